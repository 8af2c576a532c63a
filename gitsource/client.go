package gitsource

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"github.com/nes-run/nes"
)

// Options of a [Client]. The zero value fetches from public addresses alone.
type Options struct {
	Limits Limits
	Reach
	SSH SSH // for every team, where no credential is closer
	// Credentials of private repositories: see [Client.For].
	Credentials []Credential
	// FileRoots are the directories below which file:// addresses may be read. None by default.
	FileRoots []string
	// Command starts the process that fetches: it must call [ChildMain]. Empty is this program with the argument "fetch-child".
	Command []string
	// TempDir is where that process works; empty is the system's.
	TempDir string
	// Parallel is how many such processes may run at once; 0 is 4.
	Parallel int
	Log      *slog.Logger
}

// Client resolves and fetches. Its methods may be called concurrently.
type Client struct {
	options Options
	slots   chan struct{}
}

// New makes a client. It fails only when this program's own path cannot be found.
func New(o Options) (*Client, error) {
	o.Limits = o.Limits.withDefaults()
	orDefault(&o.Parallel, 4)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if len(o.Command) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, nes.Errorf(nes.CodeInternal, "find this program: %w", err)
		}
		o.Command = []string{self, "fetch-child"}
	}
	return &Client{options: o, slots: make(chan struct{}, o.Parallel)}, nil
}

// Resolved is an address whose ref was looked up at the server.
type Resolved struct {
	Address
	// Commit is 40 hexadecimal digits, or an abbreviated id that no ref of the server
	// completes: then only the fetch tells the rest.
	Commit string

	url   string            // where the server is, behind redirects
	caps  map[string]string // what the server can do
	tries []try             // what to ask it for, in turn
}

// Resolve asks the server for its refs and finds the commit, the ref and the path that an address
// of kind git means. It fetches no objects. Errors are *nes.Error with a reason.
func (c *Client) Resolve(ctx context.Context, a Address) (Resolved, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Limits.ListTime)
	defer cancel()
	login, err := a.httpLogin()
	if err != nil {
		return Resolved{}, classify(a.Repository, err)
	}
	adv, err := c.list(ctx, a, login)
	if err != nil {
		return Resolved{}, login.explain(a.Repository, err)
	}
	return resolve(a, adv, c.options.Limits.History)
}

func (c *Client) list(ctx context.Context, a Address, login *httpLogin) (*advertisement, error) {
	if strings.HasPrefix(a.CloneURL, "file://") {
		repo, err := openLocal(a.CloneURL, c.options.FileRoots)
		if err != nil {
			return nil, err
		}
		return listLocal(repo)
	}
	r, err := openRemote(a.CloneURL, c.logins(a, login), c.options.Reach, c.options.Limits)
	if err != nil {
		return nil, err
	}
	defer r.close()
	return r.advertise(ctx, a.FullCommit())
}

// logins are the ways to sign in at one server.
type logins struct {
	http *httpLogin
	ssh  SSH
}

func (c *Client) logins(a Address, web *httpLogin) logins {
	if a.login != nil && web == nil {
		return logins{ssh: a.login.SSH}
	}
	return logins{http: web, ssh: c.options.SSH}
}

func openRemote(clone string, by logins, reach Reach, l Limits) (remote, error) {
	if isWeb(clone) {
		return newHTTPRemote(clone, by.http, reach, l), nil
	}
	return newSSHRemote(clone, by.ssh, reach, l)
}
