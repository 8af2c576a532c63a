package e2e

import (
	"encoding/json"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

// TestScenarios runs every scenario of testdata/scenarios on one server.
func TestScenarios(t *testing.T) {
	t.Parallel()
	all, err := Load("testdata/scenarios")
	require.NoError(t, err)
	require.NotEmpty(t, all)
	s := serve(t)
	t.Run("all", func(t *testing.T) {
		for _, sc := range all {
			t.Run(sc.Name, func(t *testing.T) {
				t.Parallel()
				play(t, s, sc)
			})
		}
	})
}

func play(t *testing.T, on *server, sc Scenario) {
	t.Helper()
	s := *on
	s.t = t
	repo := newRepository(t)
	repo.Write(sc.Path, string(sc.Notebook()))
	for path, content := range sc.Files {
		repo.Write(path, content)
	}
	repo.Commit("scenario", nil)
	spec := request(t, sc, repo.url+"/blob/main/"+(&url.URL{Path: sc.Path}).EscapedPath())

	run, _, err := s.client.Submit(s.ctx(), spec)
	if len(sc.Want.Refused) > 0 {
		require.Error(t, err)
		for _, text := range sc.Want.Refused {
			require.ErrorContains(t, err, text)
		}
		return
	}
	require.NoError(t, err)
	if sc.CancelAt != "" {
		s.awaitLog(run.ID, sc.CancelAt)
		_, err := s.client.Cancel(s.ctx(), run.ID)
		require.NoError(t, err)
	}
	compare(t, &s, sc.Want, s.wait(run.ID))
}

// request decodes a scenario's request as the API would.
func request(t *testing.T, sc Scenario, input string) nes.Spec {
	t.Helper()
	fields := map[string]any{"input_url": input}
	for k, v := range sc.Request {
		fields[k] = v
	}
	raw, err := json.Marshal(fields)
	require.NoError(t, err)
	var spec nes.Spec
	require.NoError(t, json.Unmarshal(raw, &spec))
	return spec
}

// compare holds an ended run against what a scenario wants.
func compare(t *testing.T, s *server, want Want, run nes.Run) {
	t.Helper()
	require.Equal(t, want.Status+" "+want.Reason, string(run.Status)+" "+string(run.Reason), "message: %s", run.Message)
	for _, text := range want.Message {
		require.Contains(t, run.Message, text)
	}
	if want.Error != nil {
		require.NotNil(t, run.Outcome)
		require.NotNil(t, run.Outcome.Error)
		require.Equal(t, want.Error.Name, run.Outcome.Error.Name)
		require.Contains(t, run.Outcome.Error.Value, want.Error.Value)
	}
	if want.Result != nil {
		raw, err := s.client.Result(s.ctx(), run.ID)
		require.NoError(t, err)
		expected, err := json.Marshal(want.Result)
		require.NoError(t, err)
		require.JSONEq(t, string(expected), string(raw))
	}
	for name, text := range want.Files {
		body, err := s.client.File(s.ctx(), run.ID, 0, name)
		require.NoError(t, err)
		require.Contains(t, string(readAll(t, body)), text)
	}
	if want.Cells != nil || want.Outputs != nil || want.Absent != nil || want.MaxBytes > 0 {
		compareNotebook(t, s.notebook(run.ID), want)
	}
}

func compareNotebook(t *testing.T, nb executed, want Want) {
	t.Helper()
	code := nb.code()
	if want.Cells != nil {
		var got []string
		for _, c := range code {
			got = append(got, c.Metadata.Papermill.Status)
		}
		require.Equal(t, want.Cells, got)
	}
	for n, texts := range want.Outputs {
		require.LessOrEqual(t, n, len(code))
		for _, text := range texts {
			require.Contains(t, code[n-1].text(), text, "output of code cell %d", n)
		}
	}
	for _, text := range want.Absent {
		require.NotContains(t, string(nb.raw), text)
	}
	if want.MaxBytes > 0 {
		require.LessOrEqual(t, len(nb.raw), want.MaxBytes)
	}
}

// executed is an executed notebook as its readers see it.
type executed struct {
	raw      []byte
	Cells    []executedCell `json:"cells"`
	Metadata struct {
		NES map[string]any `json:"nes"`
	} `json:"metadata"`
}

type executedCell struct {
	Type     string           `json:"cell_type"`
	Count    *int             `json:"execution_count"`
	Outputs  []map[string]any `json:"outputs"`
	Metadata struct {
		Papermill struct {
			Status string `json:"status"`
		} `json:"papermill"`
	} `json:"metadata"`
}

func (s *server) notebook(id nes.RunID) executed {
	s.t.Helper()
	body, err := s.client.Notebook(s.ctx(), id, 0)
	require.NoError(s.t, err)
	nb := executed{raw: readAll(s.t, body)}
	require.NoError(s.t, json.Unmarshal(nb.raw, &nb))
	return nb
}

func (n executed) code() []executedCell {
	var code []executedCell
	for _, c := range n.Cells {
		if c.Type == "code" {
			code = append(code, c)
		}
	}
	return code
}

// text joins everything that a reader of the cell's outputs could read.
func (c executedCell) text() string {
	var b strings.Builder
	for _, o := range c.Outputs {
		collect(&b, o)
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
