package scenario

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/client"
)

// Executed is an executed notebook as its readers see it.
type Executed struct {
	Raw      []byte         `json:"-"`
	Cells    []ExecutedCell `json:"cells"`
	Metadata struct {
		NES map[string]any `json:"nes"`
	} `json:"metadata"`
}

// ExecutedCell is one of its cells.
type ExecutedCell struct {
	Type     string           `json:"cell_type"`
	Count    *int             `json:"execution_count"`
	Outputs  []map[string]any `json:"outputs"`
	Metadata struct {
		Papermill struct {
			Status string `json:"status"`
		} `json:"papermill"`
	} `json:"metadata"`
}

// ReadNotebook reads the executed notebook of an attempt; 0 is the newest.
func ReadNotebook(ctx context.Context, t *testing.T, c *client.Client, id nes.RunID, attempt int) Executed {
	t.Helper()
	body, err := c.Notebook(ctx, id, attempt)
	require.NoError(t, err)
	nb := Executed{Raw: readAll(t, body)}
	require.NoError(t, json.Unmarshal(nb.Raw, &nb))
	return nb
}

// Code lists the code cells.
func (n Executed) Code() []ExecutedCell {
	var code []ExecutedCell
	for _, c := range n.Cells {
		if c.Type == "code" {
			code = append(code, c)
		}
	}
	return code
}

// Text joins everything that a reader of the cell's outputs could read.
func (c ExecutedCell) Text() string {
	var b strings.Builder
	for _, o := range c.Outputs {
		collect(&b, o)
	}
	return b.String()
}

// Printed joins what the cell wrote to its streams.
func (c ExecutedCell) Printed() string {
	var b strings.Builder
	for _, o := range c.Outputs {
		if o["output_type"] == "stream" {
			collect(&b, o["text"])
		}
	}
	return b.String()
}

func collect(b *strings.Builder, v any) {
	switch v := v.(type) {
	case string:
		b.WriteString(v)
	case []any:
		for _, e := range v {
			collect(b, e)
		}
	case map[string]any:
		for _, e := range v {
			collect(b, e)
		}
	}
}

func readAll(t *testing.T, r io.ReadCloser) []byte {
	t.Helper()
	defer r.Close()
	raw, err := io.ReadAll(r)
	require.NoError(t, err)
	return raw
}

// AwaitLog returns once the log of the run's newest attempt contains text.
func AwaitLog(ctx context.Context, t *testing.T, c *client.Client, id nes.RunID, text string) {
	t.Helper()
	var seen strings.Builder
	var cursor int64
	for attempt := 0; !strings.Contains(seen.String(), text); {
		page, err := c.Log(ctx, id, 0, cursor, 5*time.Second)
		if nes.CodeOf(err) == nes.CodeNotFound {
			_, err = c.Run(ctx, id, time.Second, 0)
		}
		require.NoError(t, err, "waiting for %q in the log; so far: %s", text, seen.String())
		if page.Attempt != attempt { // the next attempt's log begins anew
			attempt, cursor = page.Attempt, 0
			seen.Reset()
			continue
		}
		seen.WriteString(page.Text)
		cursor = max(cursor, page.Next)
		if page.Ended && !strings.Contains(seen.String(), text) {
			run, err := c.Run(ctx, id, time.Second, 0)
			require.NoError(t, err)
			require.False(t, run.Ended(), "the run ended without %q: %s %s: %s", text, run.Reason, run.Message, seen.String())
		}
	}
}

// AwaitRun returns the run once it is as ok says.
func AwaitRun(ctx context.Context, t *testing.T, c *client.Client, id nes.RunID, ok func(nes.Run) bool) nes.Run {
	t.Helper()
	var version int64
	for {
		run, err := c.Run(ctx, id, 10*time.Second, version)
		require.NoError(t, err)
		if ok(run) {
			return run
		}
		version = run.Version
	}
}

// AwaitNote returns once an event of the run says text.
func AwaitNote(ctx context.Context, t *testing.T, c *client.Client, id nes.RunID, text string) {
	t.Helper()
	var said []string
	for e, err := range c.Events(ctx, id, 0) {
		require.NoError(t, err, "waiting for %q in the events; so far: %q", text, said)
		if strings.Contains(e.Message, text) {
			return
		}
		said = append(said, e.Kind+": "+e.Message)
	}
	require.Fail(t, "the run ended", "without %q in its events: %q", text, said)
}
