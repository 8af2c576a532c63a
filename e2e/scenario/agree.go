package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
)

// Agrees holds what must be true of every run that has ended, however that came: API, bucket and ledger tell
// the same, every attempt has one notebook and one log, the end was told once, and nothing is left where it ran.
func Agrees(t *testing.T, site Site, run nes.Run) {
	t.Helper()
	require.NoError(t, Disagreement(t, site, run.ID))
}

// Disagreement is what [Agrees] finds wrong with an ended run; nil is nothing. What is done after
// the end, such as the verdict, is waited for.
func Disagreement(t *testing.T, site Site, id nes.RunID) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	a := &agreement{t: t, site: site, bucket: site.Bucket(t)}
	var err error
	if a.run, err = site.Client().Run(ctx, id, 0, 0); err != nil {
		return err
	}
	if !a.run.Ended() {
		return fmt.Errorf("run %s has not ended: %s", id, a.run.Stage)
	}
	for _, check := range []func(context.Context) error{a.verdict, a.attempts, a.notebooks, a.events, a.left} {
		if err := check(ctx); err != nil {
			return fmt.Errorf("run %s (%s %s): %w", id, a.run.Status, a.run.Reason, err)
		}
	}
	return nil
}

type agreement struct {
	t      *testing.T
	site   Site
	bucket storage.Bucket
	run    nes.Run
}

// verdict compares the run with its verdict in the bucket, which is written after the end.
func (a *agreement) verdict(ctx context.Context) error {
	key := storage.AttemptPrefix(&a.run, a.run.Attempt) + "verdict.json"
	var v struct{ Run nes.Run }
	for {
		raw, err := a.read(ctx, key)
		if err == nil {
			if err := json.Unmarshal(raw, &v); err != nil {
				return fmt.Errorf("verdict: %w", err)
			}
			break
		}
		if nes.CodeOf(err) != nes.CodeNotFound || ctx.Err() != nil {
			return fmt.Errorf("verdict: %w", err)
		}
		time.Sleep(50 * time.Millisecond) // between two looks at another process
	}
	told, want := v.Run, a.run
	told.OutputURL, want.OutputURL, told.Progress, want.Progress = "", "", nil, nil
	if was, is := document(told), document(want); was != is {
		return fmt.Errorf("the verdict is not what the API tells:\n%s\n%s", was, is)
	}
	return nil
}

func document(r nes.Run) string {
	raw, err := json.Marshal(r)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

func (a *agreement) read(ctx context.Context, key string) ([]byte, error) {
	_, body, err := a.bucket.Open(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	return readAll(a.t, body), nil
}

// attempts checks that they are numbered without a gap, that each has ended, and that the last one ended as the run did.
func (a *agreement) attempts(ctx context.Context) error {
	attempts, err := a.site.Client().Attempts(ctx, a.run.ID)
	if err != nil {
		return err
	}
	if len(attempts) != a.run.Attempt {
		return fmt.Errorf("%d attempts are recorded, and the newest is %d", len(attempts), a.run.Attempt)
	}
	for i, at := range attempts {
		switch {
		case at.Number != i+1:
			return fmt.Errorf("attempt %d is recorded as number %d", at.Number, i+1)
		case !at.Status.Ended() || at.EndedAt == nil:
			return fmt.Errorf("attempt %d has not ended: %s", at.Number, at.Status)
		case at.Number == a.run.Attempt && a.run.Outcome != nil && at.Outcome != nil && at.Outcome.Reason != a.run.Outcome.Reason:
			return fmt.Errorf("attempt %d ended as %q, the run as %q", at.Number, at.Outcome.Reason, a.run.Outcome.Reason)
		}
		if err := a.attempt(ctx, at); err != nil {
			return fmt.Errorf("attempt %d: %w", at.Number, err)
		}
	}
	return nil
}

// attempt compares an attempt with its own notebook and log.
func (a *agreement) attempt(ctx context.Context, at nes.Attempt) error {
	if at.Outcome == nil || at.Outcome.Notebook == "" {
		return nil // its record could not be made, and the run says so
	}
	raw, err := a.read(ctx, at.Outcome.Notebook)
	if err != nil {
		return err
	}
	var nb struct {
		Metadata struct {
			NES struct {
				RunID   nes.RunID  `json:"run_id"`
				Attempt int        `json:"attempt"`
				Status  nes.Status `json:"status"`
				Reason  nes.Reason `json:"reason"`
			} `json:"nes"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(raw, &nb); err != nil {
		return fmt.Errorf("notebook: %w", err)
	}
	if m := nb.Metadata.NES; m.RunID != a.run.ID || m.Attempt != at.Number || m.Reason != at.Reason || m.Status != at.Status {
		return fmt.Errorf("the notebook says %+v, the ledger %s %s", m, at.Status, at.Reason)
	}
	if _, err := a.bucket.Stat(ctx, at.Outcome.Log); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	return a.journal(ctx, at.Number)
}

// journal checks that the stored pieces follow on each other.
func (a *agreement) journal(ctx context.Context, attempt int) error {
	page, err := a.bucket.List(ctx, storage.ListOptions{Prefix: storage.AttemptPrefix(&a.run, attempt) + "journal/"})
	if err != nil {
		return err
	}
	var end int64
	for _, o := range page.Objects {
		if o.Key != storage.JournalKey(&a.run, attempt, end) {
			return fmt.Errorf("the journal has a gap or an overlap at %d: %s", end, o.Key)
		}
		end += o.Size
	}
	return nil
}

// notebooks checks that there is one for each attempt, and no other.
func (a *agreement) notebooks(ctx context.Context) error {
	if a.run.Attempt == 0 {
		return nil
	}
	first := storage.NotebookKey(&a.run, 1)
	page, err := a.bucket.List(ctx, storage.ListOptions{Prefix: first[:strings.LastIndex(first, string(a.run.ID))] + string(a.run.ID) + "."})
	if err != nil {
		return err
	}
	if len(page.Objects) > a.run.Attempt {
		return fmt.Errorf("%d notebooks are stored for %d attempts", len(page.Objects), a.run.Attempt)
	}
	return nil
}

// events checks that the end was told once, and last but for its publication and notes.
func (a *agreement) events(ctx context.Context) error {
	ends, launches := 0, 0
	for e, err := range a.site.Client().Events(ctx, a.run.ID, 0) {
		if err != nil {
			return fmt.Errorf("events: %w", err)
		}
		switch e.Kind {
		case "ended":
			ends++
		case "launched":
			launches++
		}
	}
	if ends != 1 || launches != a.run.Attempt {
		return fmt.Errorf("%d ends and %d launches are told of %d attempts", ends, launches, a.run.Attempt)
	}
	return nil
}

// left waits until nothing of the run is left where it was executed.
func (a *agreement) left(ctx context.Context) error {
	for {
		left := a.site.Left(a.t, a.run)
		if len(left) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("left behind: %v", left)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
