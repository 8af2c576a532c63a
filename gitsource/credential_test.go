package gitsource_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/gitsource"
	"github.com/nes-run/nes/gitsource/gitsourcetest"
)

const secret = "ghp_S3cretOfTheTeamRisk"

// private is a server that wants the secret, with one repository.
func private(t *testing.T) (s *gitsourcetest.Server, host string) {
	t.Helper()
	s = gitsourcetest.NewServer(t)
	s.NewRepository("acme/reports").Commit("x", map[string]string{"a.ipynb": "{}", "lib.py": "x = 1"})
	s.RequireToken(secret)
	return s, strings.TrimPrefix(s.URL, "http://")
}

// fetchAs fetches for a team.
func fetchAs(t *testing.T, c *gitsource.Client, team, url string) (fetched, error) {
	t.Helper()
	a, err := gitsource.Parse(url)
	require.NoError(t, err)
	r, err := c.Resolve(t.Context(), c.For(team, a))
	if err != nil {
		return fetched{}, err
	}
	tree, err := c.Fetch(t.Context(), r)
	if err != nil {
		return fetched{}, err
	}
	f := read(t, tree)
	f.Resolved, f.commit = r, tree.Commit
	return f, tree.Close()
}

func client(t *testing.T, credentials ...gitsource.Credential) *gitsource.Client {
	t.Helper()
	return newClient(t, gitsource.Options{Reach: gitsource.Reach{AllowLoopback: true}, Credentials: credentials})
}

func TestAPrivateRepositoryOpensToItsTeam(t *testing.T) {
	t.Parallel()
	s, host := private(t)
	address := s.URL + "/acme/reports/blob/main/a.ipynb"
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(secret+"\n"), 0o600))
	for _, c := range []struct {
		name       string
		team       string
		credential gitsource.Credential
		refused    string // empty is fetched
	}{
		{"token", "risk", gitsource.Credential{Host: host, Teams: []string{"risk"}, Token: secret}, ""},
		{"token in a file", "risk", gitsource.Credential{Host: host, Prefix: "acme/", TokenFile: file}, ""},
		{"a prefix in other letters", "risk", gitsource.Credential{Host: host, Prefix: "ACME/Reports", Token: secret}, ""},
		{"a user name", "risk", gitsource.Credential{Host: host, Username: "ana", Token: secret}, ""},
		{"another team", "sales", gitsource.Credential{Host: host, Teams: []string{"risk"}, Token: secret}, "NES needs a credential for it"},
		{"no team at all", "risk", gitsource.Credential{Host: host, Teams: []string{}, Token: secret}, "NES needs a credential for it"},
		{"another repository", "risk", gitsource.Credential{Host: host, Prefix: "acme/repo", Token: secret}, "NES needs a credential for it"},
		{"another host", "risk", gitsource.Credential{Host: "git.example.com", Token: secret}, "NES needs a credential for it"},
		{"a key for SSH", "risk", gitsource.Credential{Host: host, SSH: gitsource.SSH{KeyFile: file, KnownHosts: file}}, "NES needs a credential for it"},
		{"a wrong token", "risk", gitsource.Credential{Host: host, Prefix: "acme", Token: "wrong"}, "does not accept the credential for " + host + "/acme (401): it may have expired"},
		{"a lost file", "risk", gitsource.Credential{Host: host, TokenFile: file + ".none"}, "cannot be read: tell its administrator"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, err := fetchAs(t, client(t, c.credential), c.team, address)
			if c.refused == "" {
				require.NoError(t, err)
				require.Equal(t, "x = 1", f.text["lib.py"])
				return
			}
			require.ErrorContains(t, err, c.refused)
			require.Equal(t, nes.ReasonSourceForbidden, nes.ReasonOf(err))
			require.NotContains(t, fmt.Sprintf("%v %+v", err, err), secret)
		})
	}
}

func TestTheLongestPrefixWins(t *testing.T) {
	t.Parallel()
	s, host := private(t)
	for _, order := range [][]gitsource.Credential{
		{{Host: host, Token: "wrong"}, {Host: host, Prefix: "acme/reports", Token: secret}, {Host: host, Prefix: "acme", Token: "wrong too"}},
		{{Host: host, Prefix: "acme/reports", Token: secret}, {Host: host, Prefix: "acme", Token: "wrong too"}, {Host: host, Token: "wrong"}},
	} {
		_, err := fetchAs(t, client(t, order...), "risk", s.URL+"/acme/reports/blob/main/a.ipynb")
		require.NoError(t, err)
	}
}

// What one team's credential fetched lies where nobody without it looks.
func TestBundlesOfPrivateRepositoriesAreKeptApart(t *testing.T) {
	t.Parallel()
	a, err := gitsource.Parse("https://github.com/acme/reports/blob/main/a.ipynb")
	require.NoError(t, err)
	c := client(t,
		gitsource.Credential{Host: "github.com", Prefix: "acme", Teams: []string{"risk", "audit"}, Token: "one"},
		gitsource.Credential{Host: "github.com", Prefix: "acme", Teams: []string{"sales"}, Token: "two"})
	risk, audit, sales, nobody := c.For("risk", a), c.For("audit", a), c.For("sales", a), c.For("", a)
	require.Equal(t, risk.RepositoryHash(), audit.RepositoryHash(), "they share the credential")
	require.Equal(t, a.RepositoryHash(), nobody.RepositoryHash(), "without a credential it is public")
	require.Len(t, map[string]bool{risk.RepositoryHash(): true, sales.RepositoryHash(): true, nobody.RepositoryHash(): true}, 3)
	replaced := client(t, gitsource.Credential{Host: "github.com", Prefix: "acme", Teams: []string{"sales"}, Token: "three"})
	require.Equal(t, sales.RepositoryHash(), replaced.For("sales", a).RepositoryHash(), "a new token is the same credential")
}

// eavesdropper is a server that notes every Authorization header and answers by a redirect, or as told.
type eavesdropper struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string
}

func listenIn(t *testing.T, answer http.HandlerFunc) *eavesdropper {
	t.Helper()
	e := &eavesdropper{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		e.seen = append(e.seen, r.Header.Get("Authorization"))
		e.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *eavesdropper) heard() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string{}, e.seen...)
}

func TestACredentialDoesNotFollowARedirect(t *testing.T) {
	t.Parallel()
	thief := listenIn(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	for name, to := range map[string]string{
		"another port": thief.URL,
		"another name": strings.Replace(thief.URL, "127.0.0.1", "localhost", 1),
	} {
		first := listenIn(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, to+r.URL.String(), http.StatusFound)
		})
		c := client(t, gitsource.Credential{Host: strings.TrimPrefix(first.URL, "http://"), Token: secret})
		_, err := fetchAs(t, c, "risk", first.URL+"/acme/reports/blob/main/a.ipynb")
		require.Error(t, err, name)
		require.Equal(t, "Basic "+base64.StdEncoding.EncodeToString([]byte("x-access-token:"+secret)), first.heard()[0], name)
	}
	require.Len(t, thief.heard(), 2)
	for _, authorization := range thief.heard() {
		require.Empty(t, authorization)
	}
}

func TestACredentialIsNotSentUnencrypted(t *testing.T) {
	t.Parallel()
	c := newClient(t, gitsource.Options{Credentials: []gitsource.Credential{{Host: "git.example.com", Token: secret}}})
	_, err := fetchAs(t, c, "risk", "http://git.example.com/acme/reports/blob/main/a.ipynb")
	require.ErrorContains(t, err, "never sent unencrypted: use the https address of git.example.com/acme/reports")
	require.Equal(t, nes.ReasonSourceForbidden, nes.ReasonOf(err))
}

// A host that repeats the credential in its answer does not bring it into our messages.
func TestATokenInAnAnswerIsMasked(t *testing.T) {
	t.Parallel()
	host := listenIn(t, func(w http.ResponseWriter, r *http.Request) {
		_, token, _ := r.BasicAuth()
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		line := "ERR no access with " + token + "\n"
		fmt.Fprintf(w, "%04x%s", len(line)+4, line)
	})
	c := client(t, gitsource.Credential{Host: strings.TrimPrefix(host.URL, "http://"), Token: secret})
	_, err := fetchAs(t, c, "risk", host.URL+"/acme/reports/blob/main/a.ipynb")
	require.ErrorContains(t, err, "no access with ***")
	require.NotContains(t, fmt.Sprintf("%+v", err), secret)
	var e *nes.Error
	require.ErrorAs(t, err, &e)
	require.NotContains(t, e.Err.Error(), secret)
}

func TestATokenShowsItselfNowhere(t *testing.T) {
	t.Parallel()
	c := gitsource.Credential{Host: "github.com", Token: secret}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", c.Token)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", c.Token, "all", c)
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), fmt.Sprintf("%s %v %q", c.Token, c.Token, c.Token), log.String()} {
		require.NotContains(t, text, secret)
	}
}

func TestSSHKeysOfTeams(t *testing.T) {
	t.Parallel()
	s := gitsourcetest.NewSSHServer(t, t.TempDir())
	gitsourcetest.NewRepository(t, s.Root, "acme/reports").Commit("first", map[string]string{"a.ipynb": "first"})
	address := "ssh://git@" + s.Addr + "/acme/reports.git#a.ipynb"
	key := gitsource.Credential{Host: repositoryHost(t, address), Teams: []string{"risk"}, SSH: gitsource.SSH{KeyFile: s.KeyFile, KnownHosts: s.KnownHosts}}
	f, err := fetchAs(t, client(t, key), "risk", address)
	require.NoError(t, err)
	require.Equal(t, "first", f.text["a.ipynb"])
	_, err = fetchAs(t, client(t, key), "sales", address)
	require.ErrorContains(t, err, "no SSH key and known hosts")
}

// repositoryHost is the host as canonical names of repositories begin.
func repositoryHost(t *testing.T, address string) string {
	t.Helper()
	a, err := gitsource.Parse(address)
	require.NoError(t, err)
	host, _, _ := strings.Cut(a.Repository, "/")
	return host
}

// The order that goes to the process that fetches holds the token, and nothing else of the process does.
func TestTheTokenIsInNoArgumentAndNoEnvironment(t *testing.T) {
	t.Parallel()
	s, host := private(t)
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	script := filepath.Join(dir, "child")
	seen := filepath.Join(dir, "seen")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\n(echo \"$@\"; env) >"+seen+"\nexec "+self+" fetch-child\n"), 0o700))
	c := newClient(t, gitsource.Options{Reach: gitsource.Reach{AllowLoopback: true}, Command: []string{script}, Credentials: []gitsource.Credential{{Host: host, Token: secret}}})
	_, err = fetchAs(t, c, "risk", s.URL+"/acme/reports/blob/main/a.ipynb")
	require.NoError(t, err)
	text, err := os.ReadFile(seen)
	require.NoError(t, err)
	require.NotEmpty(t, text)
	require.NotContains(t, string(text), secret)
	plain, err := json.Marshal(c.For("risk", gitsource.Address{Kind: gitsource.KindGit, CloneURL: s.URL, Repository: host + "/acme/reports"}))
	require.NoError(t, err)
	require.NotContains(t, string(plain), secret)
}
