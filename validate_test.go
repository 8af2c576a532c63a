package nes_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

// valid is a spec with every field, and nothing wrong.
func valid() nes.Spec {
	return nes.Spec{
		InputURL:   "https://github.com/acme/reports/blob/main/daily.ipynb",
		Parameters: map[string]json.RawMessage{"a": json.RawMessage(`{"x":[1,null,"]["]}`)},
		Runtime:    "python-3.12", Profile: "team_a", KernelName: "python3",
		Resources: &nes.Resources{CPU: "500m", Memory: "2Gi", Disk: "1.5G", GPU: 1},
		Secrets:   map[string]nes.Secret{"DB_PASSWORD": {Ref: "warehouse"}},
		Timeout:   nes.Duration(time.Hour), Lease: nes.Duration(time.Minute),
		Retry:    &nes.Retry{Limit: 3, Backoff: nes.Duration(time.Second), On: []nes.Reason{nes.ReasonEvicted}, MemoryFactor: 2},
		NotReady: &nes.NotReady{Every: nes.Duration(time.Minute), Until: nes.Duration(time.Hour)},
		Priority: -100, Labels: map[string]string{"team/cost-centre": "서울 4711"}, Group: "backfill", OutputPath: "team a/매일.ipynb",
		IdempotencyKey: "airflow:prod/daily/nb", TaskKey: "t", Reattach: nes.ReattachActive, CallbackURL: "https://hooks.example.com/nes?x=1",
	}
}

func TestValidSpecs(t *testing.T) {
	t.Parallel()
	s := valid()
	require.Empty(t, s.Validate())
	s = nes.Spec{InputURL: "ssh://git@example.com/repo.git@main#a.ipynb"}
	require.Empty(t, s.Validate())
	s = nes.Spec{InputURL: "git@github.com:acme/reports.git", Resources: &nes.Resources{Size: "large"}, Reattach: nes.ReattachNever}
	require.Empty(t, s.Validate())
}

func TestEveryFieldIsChecked(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	for _, c := range []struct {
		field  string
		change func(*nes.Spec)
	}{
		{"input_url", func(s *nes.Spec) { s.InputURL = "  " }},
		{"input_url", func(s *nes.Spec) { s.InputURL = "https://x/" + long }},
		{"input_url", func(s *nes.Spec) { s.InputURL = "https://x/\x00" }},
		{"input_url", func(s *nes.Spec) { s.InputURL = "https://user:secret@example.com/a.ipynb" }},
		{"input_url", func(s *nes.Spec) { s.InputURL = "https://ghp_token@github.com/a/b/blob/main/a.ipynb" }},
		{"parameters", func(s *nes.Spec) {
			s.Parameters["big"] = json.RawMessage(`"` + strings.Repeat("x", nes.MaxParameters) + `"`)
		}},
		{"parameters.bad", func(s *nes.Spec) { s.Parameters["bad"] = json.RawMessage(`{`) }},
		{"parameters.deep", func(s *nes.Spec) {
			s.Parameters["deep"] = json.RawMessage(strings.Repeat("[", 65) + strings.Repeat("]", 65))
		}},
		{"parameters", func(s *nes.Spec) {
			for i := range nes.MaxParameterNames {
				s.Parameters[fmt.Sprint("p", i)] = json.RawMessage(`1`)
			}
		}},
		{"runtime", func(s *nes.Spec) { s.Runtime = "../x" }},
		{"profile", func(s *nes.Spec) { s.Profile = "-rf" }},
		{"kernel_name", func(s *nes.Spec) { s.KernelName = "a b" }},
		{"resources.cpu", func(s *nes.Spec) { s.Resources.CPU = "-1" }},
		{"resources.memory", func(s *nes.Spec) { s.Resources.Memory = "2 GB" }},
		{"resources.disk", func(s *nes.Spec) { s.Resources.Disk = "." }},
		{"resources.gpu", func(s *nes.Spec) { s.Resources.GPU = -1 }},
		{"resources.size", func(s *nes.Spec) { s.Resources.Size = "large" }},
		{"secrets.A-B", func(s *nes.Spec) { s.Secrets["A-B"] = nes.Secret{Ref: "x"} }},
		{"secrets.NES_TOKEN", func(s *nes.Spec) { s.Secrets["NES_TOKEN"] = nes.Secret{Ref: "x"} }},
		{"secrets.LD_PRELOAD", func(s *nes.Spec) { s.Secrets["LD_PRELOAD"] = nes.Secret{Ref: "x"} }},
		{"secrets.PYTHONSTARTUP", func(s *nes.Spec) { s.Secrets["PYTHONSTARTUP"] = nes.Secret{Ref: "x"} }},
		{"secrets.HOME", func(s *nes.Spec) { s.Secrets["HOME"] = nes.Secret{Ref: "x"} }},
		{"secrets.A.ref", func(s *nes.Spec) { s.Secrets["A"] = nes.Secret{} }},
		{"timeout", func(s *nes.Spec) { s.Timeout = -1 }},
		{"cell_timeout", func(s *nes.Spec) { s.CellTimeout = 1 << 62 }},
		{"silence_timeout", func(s *nes.Spec) { s.SilenceTimeout = -1 }},
		{"start_timeout", func(s *nes.Spec) { s.StartTimeout = -1 }},
		{"deadline", func(s *nes.Spec) { s.Deadline = -1 }},
		{"lease", func(s *nes.Spec) { s.Lease = 1 }},
		{"retry.limit", func(s *nes.Spec) { s.Retry.Limit = 11 }},
		{"retry.backoff", func(s *nes.Spec) { s.Retry.Backoff = nes.Duration(25 * time.Hour) }},
		{"retry.memory_factor", func(s *nes.Spec) { s.Retry.MemoryFactor = 0.5 }},
		{"retry.on[1]", func(s *nes.Spec) { s.Retry.On = []nes.Reason{nes.ReasonEvicted, ""} }},
		{"retry.on[0]", func(s *nes.Spec) { s.Retry.On = []nes.Reason{nes.ReasonCancelled} }},
		{"not_ready.every", func(s *nes.Spec) { s.NotReady.Every = 0 }},
		{"not_ready.until", func(s *nes.Spec) { s.NotReady.Until = 1 }},
		{"priority", func(s *nes.Spec) { s.Priority = 101 }},
		{"labels.-", func(s *nes.Spec) { s.Labels["-"] = "" }},
		{"labels.a", func(s *nes.Spec) { s.Labels["a"] = "\n" }},
		{"labels.b", func(s *nes.Spec) { s.Labels["b"] = long }},
		{"labels", func(s *nes.Spec) {
			for i := range nes.MaxLabels {
				s.Labels[fmt.Sprint("l", i)] = "x"
			}
		}},
		{"group", func(s *nes.Spec) { s.Group = long }},
		{"output_path", func(s *nes.Spec) { s.OutputPath = "/etc/passwd" }},
		{"output_path", func(s *nes.Spec) { s.OutputPath = "../x" }},
		{"output_path", func(s *nes.Spec) { s.OutputPath = "a//b" }},
		{"output_path", func(s *nes.Spec) { s.OutputPath = `a\b` }},
		{"output_path", func(s *nes.Spec) { s.OutputPath = "a/" }},
		{"output_path", func(s *nes.Spec) { s.OutputPath = ".." }},
		{"idempotency_key", func(s *nes.Spec) { s.IdempotencyKey = long }},
		{"idempotency_key", func(s *nes.Spec) { s.IdempotencyKey = "a\xffb" }},
		{"task_key", func(s *nes.Spec) { s.TaskKey = "a\tb" }},
		{"task_key", func(s *nes.Spec) { s.TaskKey = "" }},
		{"reattach", func(s *nes.Spec) { s.Reattach = "always" }},
		{"callback_url", func(s *nes.Spec) { s.CallbackURL = "javascript:alert(1)" }},
		{"callback_url", func(s *nes.Spec) { s.CallbackURL = "https:///x" }},
		{"callback_url", func(s *nes.Spec) { s.CallbackURL = "https://a:b@example.com" }},
	} {
		s := valid()
		c.change(&s)
		problems := s.Validate()
		require.Len(t, problems, 1, "%s: %v", c.field, problems)
		require.Equal(t, c.field, problems[0].Field)
		require.Less(t, len(problems[0].Message), 300)
	}
}

func TestPermalink(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]nes.Source{
		"git+https://github.com/a/b.git@c0ffee#dir/a%20b.ipynb": {CloneURL: "https://github.com/a/b.git", Commit: "c0ffee", Path: "dir/a b.ipynb"},
		"ssh://git@host/b.git@c0ffee#%ED%95%9C%23.ipynb":        {CloneURL: "ssh://git@host/b.git", Commit: "c0ffee", Path: "한#.ipynb"},
		"git@host:a/b.git@c0ffee#a.ipynb":                       {CloneURL: "git@host:a/b.git", Commit: "c0ffee", Path: "a.ipynb"},
		"git+file:///srv/my%20repos/b@c0ffee#a.ipynb":           {CloneURL: "file:///srv/my repos/b", Commit: "c0ffee", Path: "a.ipynb"},
	} {
		require.Equal(t, want, s.Permalink())
	}
	for _, s := range []nes.Source{
		{CloneURL: "https://github.com/a/b.git", Path: "a.ipynb"},
		{Commit: "12345", Path: "a.ipynb"},
		{CloneURL: "gs://bucket", Commit: "12345", Path: "a.ipynb"},
	} {
		require.Empty(t, s.Permalink())
	}
}

func TestInvalidNamesTheFirstAndCountsTheRest(t *testing.T) {
	t.Parallel()
	require.NoError(t, nes.Invalid(nil))
	require.EqualError(t, nes.Invalid([]nes.Problem{{Field: "a", Message: "is wrong"}, {Field: "b"}}), "a: is wrong (and 1 more)")
	require.EqualError(t, nes.Invalid([]nes.Problem{{Message: "is empty"}}), "the request is empty")
}
