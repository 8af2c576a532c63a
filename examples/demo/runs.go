package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/client"
)

// stories of the demo. With quick, the one to watch live is short.
func stories(quick bool) []story {
	seconds := 60
	if quick {
		seconds = 5
	}
	return []story{
		{
			about: "a report with plots, from data in the repository", notebook: "sales-report/report.ipynb",
			parameters: map[string]any{"region": "north", "year": 2026, "top": "5"},
			status:     nes.StatusSucceeded, outputs: []string{"image/png"},
		},
		{
			about: "a check that fails, with the cell that says why", notebook: "data-quality/check.ipynb",
			status: nes.StatusFailed, reason: nes.ReasonCellError, outputs: []string{"AssertionError"},
		},
		{
			about: fmt.Sprintf("a training of %d seconds, to watch live", seconds), notebook: "training/train.ipynb",
			parameters: map[string]any{"seconds": seconds}, status: nes.StatusSucceeded, outputs: []string{"image/png"},
		},
	}
}

// submit sends the demo's runs.
func submit(ctx context.Context, c *client.Client, repository string, quick bool) ([]submitted, error) {
	var runs []submitted
	for _, s := range stories(quick) {
		params := map[string]json.RawMessage{}
		for name, v := range s.parameters {
			raw, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			params[name] = raw
		}
		run, _, err := c.Submit(ctx, nes.Spec{
			InputURL: repository + "/blob/main/" + s.notebook, Parameters: params,
			Labels: map[string]string{"demo": "yes"}, Group: "demo",
		})
		if err != nil {
			return nil, fmt.Errorf("submit %s: %w", s.notebook, err)
		}
		runs = append(runs, submitted{s, run})
	}
	return runs, nil
}

// check waits for every run and compares it with its story; it names everything that is wrong.
func check(ctx context.Context, c *client.Client, runs []submitted) error {
	var wrong []error
	for _, r := range runs {
		end, err := c.Wait(ctx, r.run.ID)
		if err != nil {
			return fmt.Errorf("wait for %s: %w", r.notebook, err)
		}
		fmt.Printf("  %-28s %s %s\n", r.notebook, end.Status, end.Reason)
		if end.Status != r.status || end.Reason != r.reason {
			wrong = append(wrong, fmt.Errorf("%s ended %s %s (%s), want %s %s", r.notebook, end.Status, end.Reason, end.Message, r.status, r.reason))
			continue
		}
		if err := checkNotebook(ctx, c, r, end); err != nil {
			wrong = append(wrong, err)
		}
		if err := checkPage(ctx, end); err != nil {
			wrong = append(wrong, err)
		}
	}
	return errors.Join(wrong...)
}

// checkNotebook reads the executed notebook through the API.
func checkNotebook(ctx context.Context, c *client.Client, r submitted, end nes.Run) error {
	body, err := c.Notebook(ctx, end.ID, 0)
	if err != nil {
		return fmt.Errorf("%s: executed notebook: %w", r.notebook, err)
	}
	defer body.Close()
	raw, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("%s: executed notebook: %w", r.notebook, err)
	}
	for _, text := range r.outputs {
		if !strings.Contains(string(raw), text) {
			return fmt.Errorf("%s: the executed notebook does not contain %q", r.notebook, text)
		}
	}
	return nil
}

// checkPage opens the run's page as a browser would.
func checkPage(ctx context.Context, end nes.Run) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, end.OutputURL, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("open %s: %w", end.OutputURL, err)
	}
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("open %s: %w", end.OutputURL, err)
	}
	if res.StatusCode != http.StatusOK || !strings.Contains(string(page), string(end.Status)) {
		return fmt.Errorf("open %s: %s, and the page does not say %q", end.OutputURL, res.Status, end.Status)
	}
	return nil
}
