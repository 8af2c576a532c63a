package nes_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/nes-run/nes"
)

// A run is over in its last stage alone, whatever its status says on the way there.
func TestEnded(t *testing.T) {
	t.Parallel()
	for _, stage := range nes.Stages() {
		require.Equal(t, stage == nes.StageEnded, (&nes.Run{Stage: stage, Status: stage.Status()}).Ended(), stage)
	}
	require.False(t, (&nes.Run{}).Ended())
}

func TestAPlaceBelongsToALaunch(t *testing.T) {
	t.Parallel()
	launch := nes.Launch(&nes.Run{ID: "run", Attempt: 1}, "hash", noon)
	there := launch.In("host-1")
	require.Equal(t, "host-1", there.Place)
	require.Empty(t, launch.Place, "the first one stays as it was")
	there.Place = ""
	require.Equal(t, launch, there, "nothing else changes")
}

// A permalink leads to the same commit whoever follows it, and is no address at all where there is none.
func TestPermalinksOfEveryKind(t *testing.T) {
	t.Parallel()
	commit := strings.Repeat("ab", 20)
	for _, c := range []struct{ name, clone, commit, path, want string }{
		{"https", "https://github.com/acme/reports", commit, "daily.ipynb", "git+https://github.com/acme/reports@" + commit + "#daily.ipynb"},
		{"http", "http://127.0.0.1:80/a/b.git", commit, "daily.ipynb", "git+http://127.0.0.1:80/a/b.git@" + commit + "#daily.ipynb"},
		{"ssh", "ssh://git@host:2222/a/b.git", commit, "daily.ipynb", "ssh://git@host:2222/a/b.git@" + commit + "#daily.ipynb"},
		{"scp", "git@host:a/b.git", commit, "daily.ipynb", "git@host:a/b.git@" + commit + "#daily.ipynb"},
		{"file", "file:///srv/a b.git", commit, "daily.ipynb", "git+file:///srv/a%20b.git@" + commit + "#daily.ipynb"},
		{"Korean, blanks and signs", "https://h/a/b", commit, "보고서/일 일 #1?.ipynb", "git+https://h/a/b@" + commit + "#%EB%B3%B4%EA%B3%A0%EC%84%9C/%EC%9D%BC%20%EC%9D%BC%20%231%3F.ipynb"},
		{"no commit", "https://h/a/b", "", "daily.ipynb", ""},
		{"no repository", "", commit, "daily.ipynb", ""},
		{"an object", "gs://bucket", commit, "daily.ipynb", ""},
		{"a tree that was sent", "bundle://" + strings.Repeat("0", 64), commit, "daily.ipynb", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, nes.Source{CloneURL: c.clone, Commit: c.commit, Path: c.path}.Permalink())
		})
	}
}

func TestTheSpecificationIsPartOfTheProgram(t *testing.T) {
	t.Parallel()
	var doc struct {
		OpenAPI string                    `yaml:"openapi"`
		Paths   map[string]map[string]any `yaml:"paths"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(nes.OpenAPI()), &doc))
	require.NotEmpty(t, doc.OpenAPI)
	require.Contains(t, doc.Paths, "/v1/runs")
}

// A run keeps its parameters as they were written, through any number of readings.
func TestARunKeepsTheFormOfItsParameters(t *testing.T) {
	t.Parallel()
	text := `{"input_url":"x","parameters":{"big":123456789012345678901234567890,"exact":1.10,"text":"\u0061한","nested":{"b":1,"a":[1e3,null]}}}`
	var spec nes.Spec
	require.NoError(t, json.Unmarshal([]byte(text), &spec))
	for range 3 {
		raw, err := json.Marshal(spec)
		require.NoError(t, err)
		spec = nes.Spec{}
		require.NoError(t, json.Unmarshal(raw, &spec))
	}
	require.Equal(t, "123456789012345678901234567890", string(spec.Parameters["big"]))
	require.Equal(t, "1.10", string(spec.Parameters["exact"]))
	require.Equal(t, `{"b":1,"a":[1e3,null]}`, string(spec.Parameters["nested"]))
	require.Equal(t, `"\u0061한"`, string(spec.Parameters["text"]))
}

// Whatever the words, the nearest name is one that is offered, and a name that is offered is its own nearest.
func TestNearestIsOneOfThose(t *testing.T) {
	t.Parallel()
	offered := []string{"region", "year", "top", "한국", "learning_rate", "x"}
	for _, name := range offered {
		require.Equal(t, name, nes.Nearest(name, offered))
	}
	for typo, want := range map[string]string{
		"regoin": "region", "Year": "year", "yearr": "year", "learning-rate": "learning_rate", "learningrate": "learning_rate", "": "", "zzzzzz": "",
	} {
		require.Equal(t, want, nes.Nearest(typo, offered), typo)
	}
	require.Empty(t, nes.Nearest("region", nil))
}

// A secret may be called as a notebook likes, but for what changes how a program starts.
func TestNamesOfSecrets(t *testing.T) {
	t.Parallel()
	problems := func(name string) []nes.Problem {
		spec := nes.Spec{InputURL: "https://github.com/a/b/blob/main/c.ipynb", Secrets: map[string]nes.Secret{name: {Ref: "warehouse"}}}
		return spec.Validate()
	}
	for _, name := range []string{"DB_PASSWORD", "token", "_X1", "HOMEPAGE", "USERNAME", "MY_PATH", "AWS_SECRET_ACCESS_KEY", "NESTED"} {
		require.Empty(t, problems(name), name)
	}
	for _, name := range []string{"PATH", "HOME", "IFS", "LD_PRELOAD", "DYLD_X", "PYTHONPATH", "PYTHONSTARTUP", "NES_TOKEN", "JUPYTER_PATH", "IPYTHONDIR", "BASH_ENV"} {
		found := problems(name)
		require.Len(t, found, 1, name)
		require.Equal(t, "secrets."+name, found[0].Field)
		require.Contains(t, found[0].Message, "give the secret another name")
	}
	for _, name := range []string{"", "1A", "A-B", "A B", "A=B", "\u00e9"} {
		require.NotEmpty(t, problems(name), "%q", name)
	}
}

// A dossier says all that it knows through any number of readings: it is what a lost ledger is made of.
func TestADossierKeepsEverything(t *testing.T) {
	t.Parallel()
	asked := noon
	dossier := nes.Dossier{
		V: 1, Run: nes.Run{ID: "run", Team: "risk", Spec: nes.Spec{InputURL: "x", Parameters: map[string]json.RawMessage{"n": json.RawMessage("1.10")}}},
		AskedAt:  &asked,
		Attempts: []nes.KeptAttempt{{Attempt: nes.Attempt{Number: 1}, TokenHash: "hash", Place: "host-1", Exit: json.RawMessage(`{"code":0}`)}},
		Events:   []nes.Event{{Seq: 7, Kind: "ended"}}, Keys: []nes.KeptKey{{Name: "k", Fingerprint: "f"}},
	}
	raw, err := json.Marshal(dossier)
	require.NoError(t, err)
	var again nes.Dossier
	require.NoError(t, json.Unmarshal(raw, &again))
	require.Equal(t, dossier, again)
}
