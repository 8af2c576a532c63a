package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/config"
)

// TestEveryVariableAlone: each is read from the environment by its name, shown by it, and a wrong value is told of it alone.
// It is serial, because a process has one environment.
func TestEveryVariableAlone(t *testing.T) {
	dir := t.TempDir()
	site, key := write(t, "timeout: 5m\n"), write(t, "key")
	missing := filepath.Join(dir, "none")
	table := map[string]struct{ good, bad, told string }{ // without bad, everything is good
		"NES_ADDR":                  {"[::1]:0", "127.0.0.1:65536", "write host and port"},
		"NES_DATA_DIR":              {dir, "", ""},
		"NES_LEDGER":                {"sqlite:///x/l.db", "sqlite://l.db", "is not supported"},
		"NES_BUCKET":                {"gs://team-b/nes", "gs://b", "names no bucket"},
		"NES_BACKEND":               {"local", "docker", "it may be local or kubernetes"},
		"NES_AGENT_ADDR":            {"127.0.0.1:8081", ":agent", "write host and port"},
		"NES_AGENT_URL":             {"http://nes-agents.nes:8081", "nes-agents:8081", "is no address"},
		"NES_AGENT_IMAGE":           {"registry.example.com/nes/agent:1", "", ""},
		"NES_AGENT_KEY_FILE":        {key, "", ""},
		"NES_KUBE_NAMESPACE":        {"notebooks", "Note_books", "is no namespace"},
		"NES_CONFIG":                {site, missing, "no such file"},
		"NES_PYTHON":                {"/opt/python", "", ""},
		"NES_SERVER":                {"unix:///run/nes.sock", "https://h/?a=b", "is no address"},
		"NES_TOKEN":                 {"s3cret", "", ""},
		"NES_PUBLIC_URL":            {"https://nes.example.com/nes", "unix:///run/nes.sock", "is no address"},
		"NES_URL_PREFIX":            {"/nes", "/nes?", "with a slash at the beginning"},
		"NES_FETCH_ALLOW_CIDRS":     {"10.0.0.0/8,fd00::/8", "10.0.0.0/33", "is no network"},
		"NES_FETCH_ROOTS":           {"/a,/b", "/a,b", `"b" is no absolute path`},
		"NES_FETCH_SSH_KEY":         {key, missing, "no such file"},
		"NES_FETCH_SSH_KNOWN_HOSTS": {key, missing, "no such file"},
		"NES_TRUSTED_CIDRS":         {"10.0.0.0/8,fd00::/8", "10.0.0.0/33", "is no network"},
		"NES_TRUSTED_PROXIES":       {"192.0.2.10", "proxy.example", "is no network"},
		"NES_RATE_LIMIT":            {"1", "-1", "not between 1 and 1000000"},
		"NES_ALLOWED_HOSTS":         {"a.example,b.example", "", ""},
		"NES_MAX_RUNNING":           {"10000", "10001", "not between 1 and 10000"},
		"NES_INSECURE":              {"true", "2", "true or false is needed"},
		"NES_LOG_LEVEL":             {"debug", "trace", "is not debug"},
		"NES_LOG_FORMAT":            {"json", "logfmt", "text or json"},
	}
	for _, v := range config.Variables() {
		t.Setenv(v.Name, "")
	}
	t.Setenv("HOME", dir)
	for _, v := range config.Variables() {
		t.Run(v.Name, func(t *testing.T) {
			row, ok := table[v.Name]
			require.True(t, ok, "a variable without a proof")
			t.Setenv(v.Name, row.good)
			c, err := config.Load()
			require.NoError(t, err)
			shown := row.good
			if v.Name == "NES_TOKEN" {
				shown = "***"
			}
			require.Contains(t, c.Lines(), v.Name+"="+shown)
			if row.bad == "" {
				return
			}
			t.Setenv(v.Name, row.bad)
			_, err = config.Load()
			var e *nes.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, nes.CodeInvalid, e.Code)
			require.Len(t, e.Problems, 1)
			require.Equal(t, v.Name, e.Problems[0].Field)
			require.Contains(t, e.Problems[0].Message, row.told)
		})
	}
	require.Len(t, config.Variables(), len(table))
}

func TestSiteErrorsNameTheirLine(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"timeout: 1h\nprofiles:\n - name: a\n   max_running: many\n": "line 4: cannot unmarshal",
		"timeout: 1h\ntimeout: 2h\n":                                 `line 2: mapping key "timeout" already defined at line 1`,
		"timeout: 1h\n\ttokens: []\n":                                "line 2",
		"profiles:\n - name: a\n\ntimeout: -5s\n":                    `line 4: "-5s" is not between 0 and ten years`,
		"profiles:\n - {name: a}\n - {name: a}\n":                    "profiles[1]: a name of its own",
		"profiles:\n - {name: a, max_running: -1}\n":                 "profiles[0]",
		"runtimes:\n - {name: a}\n - {python: /x}\n":                 "runtimes[0]: an image (or, for notebooks as processes of this machine, a python) is needed; runtimes[1]",
		"timeout: 1h\n" + strings.Repeat("#", 1<<20) + "\nnope: 1\n": "is larger than 1048576 bytes",
	} {
		path := write(t, file)
		_, err := config.ReadSite(path)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, path+": ")
	}
}

func TestBucketAddresses(t *testing.T) {
	t.Parallel()
	good := []string{"file:///x/b", "gs://bucket", "gs://bucket/", "gs://bucket/a/b", "gs://bucket/a/b/", "gs://a.b-c_d/ü x", "s3://bucket/a", "s3://" + strings.Repeat("x", 63)}
	for _, address := range good {
		_, err := config.Config{DataDir: t.TempDir(), Bucket: address}.Complete()
		require.NoError(t, err, address)
	}
	for address, told := range map[string]string{
		"x/b": "is not supported", "file://b": "is no absolute path", "http://bucket/x": "is not supported", "gs:bucket": "is not supported",
		"gs://": "names no bucket", "gs:///a": "names no bucket", "s3://Upper": "names no bucket", "gs://key:secret@bucket": "names no bucket",
		"gs://bucket/a//b": "has no prefix", "gs://bucket/../b": "has no prefix", "gs://bucket/?region=x": "has no prefix", "gs://bucket/.nes-x": "has no prefix",
	} {
		_, err := config.Config{DataDir: t.TempDir(), Bucket: address}.Complete()
		require.ErrorContains(t, err, told, address)
		require.ErrorContains(t, err, "NES_BUCKET")
		require.ErrorContains(t, err, "gs://bucket/prefix")
		require.NotContains(t, err.Error(), "key:secret")
	}
}
