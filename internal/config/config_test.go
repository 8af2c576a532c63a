package config_test

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/config"
)

var update = flag.Bool("update", false, "rewrite the documentation")

func TestDefaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, err := config.Config{DataDir: dir}.Complete()
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:8080", c.Addr)
	require.Equal(t, "sqlite://"+dir+"/ledger.db", c.Ledger)
	require.Equal(t, "file://"+dir+"/bucket", c.Bucket)
	require.Equal(t, "local", c.Backend)
	require.Positive(t, c.MaxRunning)
	require.NoFileExists(t, filepath.Join(dir, "ledger.db"), "reading a configuration creates nothing")
}

func TestRelativeDataDir(t *testing.T) {
	t.Parallel()
	c, err := config.Config{DataDir: "data"}.Complete()
	require.NoError(t, err)
	require.True(t, filepath.IsAbs(c.DataDir))
}

func TestEverythingWrongIsNamed(t *testing.T) {
	t.Parallel()
	_, err := config.Config{
		DataDir: t.TempDir(), Addr: "8080", Ledger: "mysql://u:hunter2@h/db", Bucket: "relative", Backend: "kube", Server: "nes.example.com",
		PublicURL: "https://user:hunter2@example.com", URLPrefix: "nes/", FetchAllowCIDRs: []string{"10.0.0.0/8", "x"}, FetchRoots: []string{"here"}, FetchSSHKey: "/does/not/exist",
		MaxRunning: -1, LogLevel: "loud", LogFormat: "xml", File: "/does/not/exist",
	}.Complete()
	var e *nes.Error
	require.True(t, errors.As(err, &e))
	require.Equal(t, nes.CodeInvalid, e.Code)
	var fields []string
	for _, p := range e.Problems {
		fields = append(fields, p.Field)
		require.NotContains(t, p.Message, "hunter2")
	}
	require.Equal(t, []string{
		"NES_CONFIG", "NES_ADDR", "NES_LEDGER", "NES_BUCKET", "NES_BACKEND", "NES_SERVER", "NES_PUBLIC_URL", "NES_URL_PREFIX",
		"NES_FETCH_ALLOW_CIDRS", "NES_FETCH_ROOTS", "NES_FETCH_SSH_KEY", "NES_MAX_RUNNING", "NES_LOG_LEVEL", "NES_LOG_FORMAT",
	}, fields)
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	c, err := config.Config{DataDir: t.TempDir(), FetchAllowCIDRs: []string{"10.0.0.0/8", " 192.168.1.7", "fd00::/8"}}.Complete()
	require.NoError(t, err)
	require.Equal(t, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.168.1.7/32"), netip.MustParsePrefix("fd00::/8")}, c.AllowedPrefixes())
}

// TestEnvironment is serial, because a process has one environment.
func TestEnvironment(t *testing.T) {
	for _, v := range config.Variables() {
		t.Setenv(v.Name, "")
		require.NoError(t, os.Unsetenv(v.Name))
	}
	t.Setenv("NES_DATA_DIR", t.TempDir())
	t.Setenv("NES_ADDR", "")
	t.Setenv("NES_INSECURE", "")
	t.Setenv("NES_MAX_RUNNING", "3")
	t.Setenv("NES_FETCH_ALLOW_CIDRS", "127.0.0.0/8,10.0.0.0/8")
	t.Setenv("NES_TOKEN", "secret-token")
	c, err := config.Load()
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:8080", c.Addr, "empty is as unset")
	require.Equal(t, 3, c.MaxRunning)
	require.Len(t, c.AllowedPrefixes(), 2)
	lines := strings.Join(c.Lines(), "\n")
	require.Contains(t, lines, "NES_MAX_RUNNING=3")
	require.Contains(t, lines, "NES_TOKEN=***")
	require.NotContains(t, lines, "secret-token")

	t.Setenv("NES_INSECURE", "perhaps")
	_, err = config.Load()
	require.EqualError(t, err, `NES_INSECURE: "perhaps" cannot be read: true or false is needed, or leave the variable unset`)
}

func TestDefaultDataDir(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", "/data/home")
	c, err := config.Config{}.Complete()
	require.NoError(t, err)
	require.Equal(t, "/data/home/nes", c.DataDir)
	t.Setenv("XDG_DATA_HOME", "")
	t.Setenv("HOME", "/home/me")
	c, err = config.Config{}.Complete()
	require.NoError(t, err)
	require.Equal(t, "/home/me/.local/share/nes", c.DataDir)
	t.Setenv("HOME", "")
	_, err = config.Config{}.Complete()
	require.ErrorContains(t, err, "NES_DATA_DIR")
}

func TestSite(t *testing.T) {
	t.Parallel()
	site, err := config.ReadSite(write(t, `
runtimes:
  - name: python-3.12
    python: /opt/venv/bin/python
    default: true
profiles:
  - name: nightly
    max_running: 4
timeout: 1h
tokens:
  - name: ana
    team: risk
    token: sha256:`+strings.Repeat("ab", 32)+`
    roles: [submit]
`))
	require.NoError(t, err)
	require.Equal(t, "/opt/venv/bin/python", site.Runtimes[0].Python)
	require.EqualValues(t, 3600e9, site.Timeout)
	require.Equal(t, 4, site.Profiles[0].MaxRunning)
	require.Equal(t, "ana", site.Tokens[0].Name)
	empty, err := config.ReadSite(write(t, ""))
	require.NoError(t, err)
	require.Zero(t, empty)
}

func TestSiteErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, want string }{
		{"unknown key", "runtimes:\n  - name: a\n    pyhton: /x\n", `line 3: unknown key "pyhton"`},
		{"two unknown keys", "a: 1\nb: 2\n", `line 1: unknown key "a"; line 2: unknown key "b"`},
		{"not YAML", "runtimes: [", "line 1"},
		{"wrong type", "runtimes: yes please\n", "line 1: cannot unmarshal"},
		{"bad duration", "profiles: []\n\ntimeout: soon\n", `line 3: "soon" is not a duration`},
		{"two documents", "runtimes: []\n---\nruntimes: []\n", "more than one YAML document"},
		{"double name", "runtimes:\n - {name: a, python: /x}\n - {name: a, python: /y}\n", "runtimes[1]"},
		{"two defaults", "runtimes:\n - {name: a, python: /x, default: true}\n - {name: b, python: /y, default: true}\n", "only one may be the default"},
		{"source with an address", "sources:\n - {host: https://github.com, token: x}\n", "sources[0]: host must be a name such as github.com"},
		{"source without credential", "sources:\n - {host: github.com}\n", "sources[0]: exactly one of token, token_file and ssh_key"},
		{"credential parameters", "credential_parameters: perhaps\n", `credential_parameters: "perhaps" is neither refuse nor allow`},
		{"secret of a profile", "profiles:\n - {name: a, secrets: {db: {env: A, file: /x}}}\n", "profiles[0]: secrets.db: exactly one of env, file and kubernetes"},
		{"source with two", "sources:\n - {host: github.com, token: abc-secret, token_file: /x}\n", "sources[0]: exactly one of"},
		{"key without hosts", "sources:\n - {host: github.com, ssh_key: /x}\n", "sources[0]: ssh_key and known_hosts belong together"},
		{"user of SSH", "sources:\n - {host: github.com, ssh_key: /x, known_hosts: /y, username: git}\n", "username belongs to a token"},
		{"no bucket", "inputs: [gs://a, 's3://b/c', 'ftp://d', 'gs://', 'gs://u@e']\n", "inputs[1]: \"s3://b/c\" is no bucket: write gs://name or s3://name"},
		{"no scheme of a bucket", "inputs: ['ftp://d']\n", "inputs[0]"},
		{"short token", "tokens:\n - {name: a, team: b, token: short}\n", "tokens[0].token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := config.ReadSite(write(t, c.file))
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "abc-secret")
		})
	}
}

func TestSources(t *testing.T) {
	t.Parallel()
	site, err := config.ReadSite(write(t, `
sources:
  - {host: github.com, repositories: acme, teams: [risk], token: abc-secret}
  - {host: github.com, teams: [], token_file: /run/secrets/t, username: bot}
  - {host: "git.example.com:2222", ssh_key: /k, known_hosts: /h}
`))
	require.NoError(t, err)
	require.Equal(t, []config.Source{
		{Host: "github.com", Repositories: "acme", Teams: []string{"risk"}, Token: "abc-secret"},
		{Host: "github.com", Teams: []string{}, TokenFile: "/run/secrets/t", Username: "bot"},
		{Host: "git.example.com:2222", SSHKey: "/k", KnownHosts: "/h"},
	}, site.Sources)
	require.NotContains(t, fmt.Sprintf("%+v %#v", site, site), "abc-secret")
}

func TestDocumentation(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "configuration.md")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(b), "<!-- variables -->\n")
	require.True(t, ok)
	_, after, ok := strings.Cut(rest, "<!-- end -->")
	require.True(t, ok)
	want := before + "<!-- variables -->\n" + config.Table() + "<!-- end -->" + after
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(b), "run go test ./internal/config -update")
}

// TestDocumentedFile reads the example of the documentation.
func TestDocumentedFile(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "configuration.md"))
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(b), "```yaml\n")
	require.True(t, ok)
	example, _, _ := strings.Cut(rest, "```")
	site, err := config.ReadSite(write(t, example))
	require.NoError(t, err)
	require.NotEmpty(t, site.Runtimes)
	require.NotEmpty(t, site.Profiles)
	require.NotEmpty(t, site.Tokens)
	require.NotEmpty(t, site.Sources)
	require.Equal(t, []string{"gs://team-notebooks"}, site.Inputs)
	require.Equal(t, "python-3.12", site.Original.Runtimes["team/python:3.12"])
	require.Equal(t, map[string]nes.Resources{"CPU/LARGE": {CPU: "4", Memory: "16Gi"}, "CPU/SMALL": {}}, site.Original.Sizes)
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nes.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestLedgerAddresses(t *testing.T) {
	t.Parallel()
	tests := map[string]string{ // address: what is wrong with it
		"sqlite:///var/lib/nes/ledger.db":         "",
		"postgres://nes@db/nes":                   "",
		"postgresql://nes:s3cret@db:5432/nes?a=b": "",
		"sqlite://ledger.db":                      "is not supported",
		"mysql://nes:s3cret@db/nes":               "is not supported",
		"postgres://nes:s3cret@db":                "names no database",
		"postgres://nes@db?password=s3cret":       "names no database",
		"postgres://nes:s3cret%zz@db/nes":         "is no address",
		"redis://nes:s3cret%zz@db/nes":            "is not supported",
	}
	for address, want := range tests {
		c, err := config.Config{DataDir: t.TempDir(), Ledger: address}.Complete()
		if want == "" {
			require.NoError(t, err, address)
		} else {
			require.ErrorContains(t, err, want, address)
			require.NotContains(t, err.Error(), "s3cret")
		}
		require.NotContains(t, strings.Join(c.Lines(), "\n"), "s3cret")
	}
}
