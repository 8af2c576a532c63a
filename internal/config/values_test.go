package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/config"
)

// TestWhatEachVariableTakes gives each setting what it must take and what it must refuse; a refusal names its variable alone.
func TestWhatEachVariableTakes(t *testing.T) {
	t.Parallel()
	webGood := []string{"", "http://h", "https://h:8443/base", "https://[::1]:8080", "https://한글.example"}
	webBad := []string{"h", "h:80", "//h", "http://", "https:///x", "ftp://h", "https://h?x=1", "https://h#x", "http://h:port"}
	for variable, c := range map[string]struct {
		set       func(*config.Config, string)
		good, bad []string
	}{
		"NES_ADDR": {func(c *config.Config, v string) { c.Addr = v },
			[]string{"", "127.0.0.1:8080", ":0", ":65535", "[::1]:80", "nes.example:1", "localhost:0"}, []string{"8080", "h", "h:", "h:-1", "h:65536", "h:http", "::1:80", "[::1]", "h:80:80", "http://h:80"}},
		"NES_AGENT_ADDR": {func(c *config.Config, v string) { c.AgentAddr = v }, []string{"", ":8081"}, []string{"8081", "h:x"}},
		"NES_LEDGER": {func(c *config.Config, v string) { c.Ledger = v },
			[]string{"", "sqlite:///l.db", "postgres://h/db", "postgresql://u:p@h:5432/db?sslmode=require", "postgres:///db?host=/run/pg"},
			[]string{"sqlite://l.db", "sqlite:/l.db", "/l.db", "mysql://h/db", "postgres://h", "postgres://h/", "postgres://u:p%zz@h/db", "POSTGRES://h/db"}},
		"NES_BUCKET": {func(c *config.Config, v string) { c.Bucket = v },
			[]string{"", "file:///b", "gs://bucket", "gs://my-bucket.example/some/prefix", "gs://bucket/prefix/"},
			[]string{"b", "file://b", "file:/b", "gs://", "gs://B", "gs://ab", "gs://-bucket", "gs://bucket/../x", "gs://bucket/a//b", "gs://bucket/?x", "gs://bucket/#x", "http://bucket", "gs:/bucket"}},
		"NES_BACKEND":    {func(c *config.Config, v string) { c.Backend = v }, []string{"", "local"}, []string{"Local", "kube", "local ", "docker"}},
		"NES_SERVER":     {func(c *config.Config, v string) { c.Server = v }, append(webGood, "unix:///run/nes.sock", "unix:/run/nes.sock"), append(webBad, "unix://", "unix:")},
		"NES_PUBLIC_URL": {func(c *config.Config, v string) { c.PublicURL = v }, webGood, append(webBad, "unix:///run/nes.sock")},
		"NES_AGENT_URL":  {func(c *config.Config, v string) { c.AgentURL = v }, webGood, webBad},
		"NES_URL_PREFIX": {func(c *config.Config, v string) { c.URLPrefix = v }, []string{"", "/nes", "/a/b", "/한글"}, []string{"nes", "/nes/", "/", "/a?b", "/a#b", "/a b", "nes/"}},
		"NES_FETCH_ALLOW_CIDRS": {func(c *config.Config, v string) { c.FetchAllowCIDRs = []string{v} },
			[]string{"10.0.0.0/8", " 10.0.0.1 ", "::1", "fd00::/8", "0.0.0.0/0"}, []string{"", "10.0.0.0/33", "10.0.0", "h", "10.0.0.0/8/8", "::1%lo/64", "10.0.0.1-10.0.0.9"}},
		"NES_FETCH_ROOTS":    {func(c *config.Config, v string) { c.FetchRoots = []string{v} }, []string{"/", "/srv/git"}, []string{"", ".", "srv", "~/git"}},
		"NES_LOG_LEVEL":      {func(c *config.Config, v string) { c.LogLevel = v }, []string{"", "debug", "INFO", "warn", "error", "warn+1"}, []string{"loud", "warning", "trace", "info "}},
		"NES_LOG_FORMAT":     {func(c *config.Config, v string) { c.LogFormat = v }, []string{"", "text", "json"}, []string{"JSON", "logfmt"}},
		"NES_KUBE_NAMESPACE": {func(c *config.Config, v string) { c.KubeNamespace = v }, []string{"", "a", "notebooks-2", strings.Repeat("n", 63)}, []string{"A", "-a", "a-", "a.b", "a_b", strings.Repeat("n", 64)}},
	} {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			for _, value := range c.good {
				given := config.Config{DataDir: t.TempDir()}
				c.set(&given, value)
				_, err := given.Complete()
				require.NoError(t, err, "%q", value)
			}
			for _, value := range c.bad {
				given := config.Config{DataDir: t.TempDir()}
				c.set(&given, value)
				_, err := given.Complete()
				e, ok := errors.AsType[*nes.Error](err)
				require.True(t, ok, "%q is taken", value)
				require.Equal(t, nes.CodeInvalid, e.Code)
				for _, p := range e.Problems {
					require.Equal(t, variable, p.Field, "%q", value)
				}
			}
		})
	}
	for n, ok := range map[int]bool{1: true, 10_000: true, 10_001: false, -1: false} {
		_, err := config.Config{DataDir: t.TempDir(), MaxRunning: n}.Complete()
		require.Equal(t, ok, err == nil, n)
	}
}

// TestNoSecretIsShown: neither by the lines that "nes doctor" prints, nor by an error, whatever form an address has.
func TestNoSecretIsShown(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for _, address := range []string{
		"postgres://nes:hunter2@h/db", "postgres://hunter2@h/db", "postgres://h/db?password=hunter2", "postgres://h/db?user=a&password=hunter2&x=y", "postgres://nes:hunter2@h", "postgres://nes:hunter2%zz@h/db",
		"mysql://nes:hunter2@h/db", "nes:hunter2@h/db", "postgresql://nes:hunter2@/db?host=x",
	} {
		c, err := config.Config{DataDir: t.TempDir(), Ledger: address}.Complete()
		if err != nil {
			require.NotContains(t, withoutUser(err.Error()), secret, address)
		}
		require.NotContains(t, withoutUser(strings.Join(c.Lines(), "\n")), secret, address)
	}
	for _, set := range []func(*config.Config, string){
		func(c *config.Config, v string) { c.Server = v }, func(c *config.Config, v string) { c.PublicURL = v }, func(c *config.Config, v string) { c.AgentURL = v }, func(c *config.Config, v string) { c.Bucket = v },
	} {
		for _, address := range []string{"https://u:hunter2@h/", "https://u:hunter2@h/?x", "ftp://u:hunter2@h", "gs://u:hunter2@b"} {
			given := config.Config{DataDir: t.TempDir()}
			set(&given, address)
			c, err := given.Complete()
			require.Error(t, err, address)
			require.NotContains(t, err.Error(), secret)
			require.NotContains(t, strings.Join(c.Lines(), "\n"), secret)
		}
	}
	c, err := config.Config{DataDir: t.TempDir(), Token: secret}.Complete()
	require.NoError(t, err)
	require.Contains(t, c.Lines(), "NES_TOKEN=***")
	require.NotContains(t, strings.Join(c.Lines(), "\n"), secret)
	for _, form := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		require.NotContains(t, fmt.Sprintf(form, config.Hidden(secret)), secret, form)
	}
}

// withoutUser takes the names of users out: "hunter2@" is one, and may be seen.
func withoutUser(text string) string { return strings.ReplaceAll(text, "//hunter2@", "//@") }

// TestSiteIsBounded: a file is read whole or not at all.
func TestSiteIsBounded(t *testing.T) {
	t.Parallel()
	padded := func(n int) string { return "timeout: 5m\n#" + strings.Repeat("x", n-13) }
	site, err := config.ReadSite(write(t, padded(1<<20)))
	require.NoError(t, err)
	require.EqualValues(t, 300e9, site.Timeout)
	_, err = config.ReadSite(write(t, padded(1<<20+1)))
	require.ErrorContains(t, err, "is larger than 1048576 bytes")
	_, err = config.ReadSite(t.TempDir())
	require.ErrorContains(t, err, "cannot be read")
	_, err = config.ReadSite(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'j'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	_, err = config.ReadSite(write(t, bomb))
	require.Error(t, err, "aliases of aliases are not followed without end")
}

// TestSiteTellsEverythingAtOnce, also across its parts, in the order of the file's documentation.
func TestSiteTellsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	_, err := config.ReadSite(write(t, `
runtimes: [{python: /x}, {name: a, python: /x, default: true}, {name: b, python: /y, default: true}]
profiles: [{name: p, max_running: -1}, {name: p}, {}]
sources: [{host: GitHub.com, token: t}, {host: h/x, token: t, username: u}]
tokens: [{name: n, team: t, token: too-short, roles: [king]}]
`))
	at := -1
	for _, want := range []string{
		"runtimes[0]: a name of its own", "runtimes: only one may be the default", "profiles[0]: a name of its own is needed, and a max_running", "profiles[1]:", "profiles[2]:",
		"sources[0]: host must be a name", "sources[1]: host must be a name", "tokens[0].roles",
	} {
		require.ErrorContains(t, err, want)
		next := strings.Index(err.Error(), want)
		require.Greater(t, next, at, "%q comes after what stands before it", want)
		at = next
	}
	require.NotContains(t, err.Error(), "too-short")
}

func TestTimeoutsInTheFile(t *testing.T) {
	t.Parallel()
	for text, seconds := range map[string]float64{"90s": 90, "1h30m": 5400, "90": 90, "0.5": 0.5, "0": 0, `"15m"`: 900} {
		site, err := config.ReadSite(write(t, "timeout: "+text+"\n"))
		require.NoError(t, err, text)
		require.InDelta(t, seconds, float64(site.Timeout)/1e9, 1e-9, text)
	}
	for _, text := range []string{"-1", "soon", "1d", "[]", "{}", "1e300", "~x"} {
		_, err := config.ReadSite(write(t, "\ntimeout: "+text+"\n"))
		require.ErrorContains(t, err, "line 2", text)
	}
}

func TestKubernetesNeedsItsOwn(t *testing.T) {
	t.Parallel()
	runtimes := "runtimes: [{name: a, image: r.example/a:1, default: true}]\n"
	complete := func(change func(*config.Config), file string) (config.Config, error) {
		c := config.Config{DataDir: t.TempDir(), Backend: config.Kubernetes, AgentURL: "http://nes-agents.nes:8081", AgentImage: "r.example/agent:1", File: write(t, file)}
		change(&c)
		return c.Complete()
	}
	c, err := complete(func(*config.Config) {}, runtimes)
	require.NoError(t, err)
	require.Equal(t, 100, c.MaxRunning)
	require.Equal(t, ":8081", c.AgentAddr)
	for name, row := range map[string]struct {
		change func(*config.Config)
		file   string
		says   string
	}{
		"no address for agents": {func(c *config.Config) { c.AgentURL = "" }, runtimes, "NES_AGENT_URL: is needed"},
		"no image of the agent": {func(c *config.Config) { c.AgentImage = "" }, runtimes, "NES_AGENT_IMAGE: is needed"},
		"no runtime":            {func(*config.Config) {}, "", "one with an image must be the default"},
		"no default":            {func(*config.Config) {}, "runtimes: [{name: a, image: r.example/a:1}]\n", "one with an image must be the default"},
		"a runtime of here":     {func(*config.Config) {}, "runtimes: [{name: a, python: /x, default: true}]\n", "runtimes[0]: an image is needed"},
		"pods' runtimes here":   {func(c *config.Config) { c.Backend = config.Local }, runtimes, "runtimes[0]: a python is needed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := complete(row.change, row.file)
			require.ErrorContains(t, err, row.says)
		})
	}
	own, err := complete(func(c *config.Config) { c.MaxRunning, c.AgentAddr = 7, ":9" }, runtimes)
	require.NoError(t, err)
	require.Equal(t, 7, own.MaxRunning)
	require.Equal(t, ":9", own.AgentAddr)
}

func TestAllowedPrefixes(t *testing.T) {
	t.Parallel()
	c := config.Config{FetchAllowCIDRs: []string{"10.1.2.3/8", "192.168.1.7", "::1", "nonsense", " fd00::/8 "}}
	require.Equal(t, []netip.Prefix{netip.MustParsePrefix("10.1.2.3/8"), netip.MustParsePrefix("192.168.1.7/32"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fd00::/8")}, c.AllowedPrefixes())
	require.True(t, c.AllowedPrefixes()[0].Contains(netip.MustParseAddr("10.255.0.1")))
	require.Empty(t, config.Config{}.AllowedPrefixes(), "nothing is allowed that is not named")
}

// TestLogger writes what the level lets through, in the form that is asked for.
func TestLogger(t *testing.T) {
	t.Parallel()
	for level, want := range map[string][]string{"debug": {"d", "i", "w", "e"}, "info": {"i", "w", "e"}, "warn": {"w", "e"}, "error": {"e"}} {
		for _, format := range []string{"json", "text"} {
			file, err := os.Create(filepath.Join(t.TempDir(), "log"))
			require.NoError(t, err)
			log := config.Config{LogLevel: level, LogFormat: format}.Logger(file)
			for message, at := range map[string]slog.Level{"d": slog.LevelDebug, "i": slog.LevelInfo, "w": slog.LevelWarn, "e": slog.LevelError} {
				log.Log(t.Context(), at, message, "key", "value with blanks")
			}
			require.NoError(t, file.Close())
			text, err := os.ReadFile(file.Name())
			require.NoError(t, err)
			var got []string
			for line := range strings.Lines(string(text)) {
				require.Equal(t, format == "json", json.Valid([]byte(line)))
				for _, message := range []string{"d", "i", "w", "e"} {
					if strings.Contains(line, `"msg":"`+message+`"`) || strings.Contains(line, "msg="+message+" ") {
						got = append(got, message)
					}
				}
			}
			require.ElementsMatch(t, want, got, "%s as %s", level, format)
		}
	}
}

// FuzzReadSite: no file makes it panic, and what it takes holds to its own rules.
func FuzzReadSite(f *testing.F) {
	for _, seed := range []string{
		"", "runtimes: []", "timeout: 5m\n", "tokens: [{name: a, team: b, token: sha256:00}]", "sources: [{host: h, token: t}]", "a: &a [*a]", "runtimes: [{name: x, python: /p, default: true}]", "profiles: [{name: p, max_running: 3}]",
		"---\n---\n", "\ttabs", "!!binary x", "{", "timeout: !!float 1e999", "runtimes: !!map {}", "<<: {a: 1}", "? [a]\n: b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		site, err := config.ReadSite(write(t, text))
		if err != nil {
			require.NotContains(t, err.Error(), "access.Token", "words of the source code mean nothing to an administrator")
			return
		}
		names := map[string]bool{}
		for _, r := range site.Runtimes {
			require.NotEmpty(t, r.Name)
			require.False(t, names[r.Name])
			names[r.Name] = true
		}
		for _, s := range site.Sources {
			u, err := url.Parse("https://" + s.Host)
			require.NoError(t, err)
			require.Empty(t, u.Path)
		}
		require.GreaterOrEqual(t, int64(site.Timeout), int64(0))
	})
}
