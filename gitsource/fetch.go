package gitsource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nes-run/nes"
)

// Tree is a fetched tree: a bundle in a temporary file. Close it to remove that.
type Tree struct {
	Commit string   // 40 hexadecimal digits
	Notes  []string // what of the tree is not in the bundle, for people
	dir    string
}

// Open opens the bundle for reading.
func (t *Tree) Open() (*os.File, error) { return os.Open(filepath.Join(t.dir, bundleFile)) }

// Close removes the bundle.
func (t *Tree) Close() error { return os.RemoveAll(t.dir) }

const (
	bundleFile = "bundle.tar.zst"
	storeDir   = "git"
	dirPrefix  = "nes-fetch-"
	// grace is what the process that fetches gets beyond its time to say why it gave up.
	grace = 2 * time.Second
)

// order is what the process that fetches is told, on its standard input.
type order struct {
	Repository string            `json:"repository"`
	URL        string            `json:"url"`
	Commit     string            `json:"commit"` // may be abbreviated
	Caps       map[string]string `json:"caps"`
	Tries      []try             `json:"tries"`
	Limits     Limits            `json:"limits"`
	Reach      Reach             `json:"reach"`
	SSH        SSH               `json:"ssh"`
	Login      *httpLogin        `json:"login,omitempty"`
	FileRoots  []string          `json:"file_roots"`
}

// report is what it answers, on its standard output.
type report struct {
	Commit  string     `json:"commit"`
	Notes   []string   `json:"notes,omitempty"`
	Reason  nes.Reason `json:"reason,omitempty"`
	Message string     `json:"message,omitempty"`
	Cause   string     `json:"cause,omitempty"` // for the log
}

// Fetch fetches the tree of a resolved commit in a process of its own, bounded by the client's limits.
// The process and what it wrote are gone when Fetch fails. Errors are *nes.Error with a reason.
func (c *Client) Fetch(ctx context.Context, r Resolved) (*Tree, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, classify(r.Repository, ctx.Err())
	}
	dir, err := os.MkdirTemp(c.options.TempDir, dirPrefix)
	if err != nil {
		return nil, nes.Errorf(nes.CodeInternal, "make a directory to fetch into: %w", err)
	}
	t, err := c.fetchInto(ctx, dir, r)
	leftover := filepath.Join(dir, storeDir)
	if err != nil {
		leftover = dir
	}
	if rmErr := os.RemoveAll(leftover); rmErr != nil {
		c.options.Log.Warn("remove what a fetch left", "dir", leftover, "err", rmErr)
	}
	return t, err
}

func (c *Client) fetchInto(ctx context.Context, dir string, r Resolved) (*Tree, error) {
	o := c.options
	login, err := r.httpLogin()
	if err != nil {
		return nil, classify(r.Repository, err)
	}
	by := c.logins(r.Address, login)
	in, err := json.Marshal(order{
		Repository: r.Repository, URL: r.url, Commit: r.Commit, Caps: r.caps, Tries: r.tries,
		Limits: o.Limits, Reach: o.Reach, SSH: by.ssh, Login: by.http, FileRoots: o.FileRoots,
	})
	if err != nil {
		return nil, nes.Errorf(nes.CodeInternal, "write the order to fetch: %w", err)
	}
	began := time.Now()
	end := runChild(ctx, child{command: o.Command, dir: dir, order: in, memory: o.Limits.Memory, limit: o.Limits.FetchTime + grace})
	o.Log.Debug("fetched", "repository", r.Repository, "commit", r.Commit, "took", time.Since(began), "peak_bytes", end.peak, "stderr", end.stderr)
	switch {
	case end.tooMuchMemory:
		return nil, fail(nes.ReasonSourceTooLarge, nil, "%s takes more than %d MiB of memory to fetch: move large data out of it, or have the limit raised", r.Repository, o.Limits.Memory>>20)
	case end.tooLong:
		return nil, fail(nes.ReasonSourceUnavailable, nil, "%s could not be fetched within %s: its server is slow or the repository is large", r.Repository, o.Limits.FetchTime)
	case ctx.Err() != nil:
		return nil, classify(r.Repository, ctx.Err())
	}
	return readReport(end, dir, r)
}

func readReport(end ending, dir string, r Resolved) (*Tree, error) {
	var rep report
	if err := json.Unmarshal(end.stdout, &rep); err != nil {
		cause := fmt.Errorf("the process that fetches ended (%v) without a report: %s", end.err, end.stderr)
		return nil, fail(nes.ReasonSourceUnavailable, cause, "%s sent something that could not be read", r.Repository)
	}
	if rep.Reason != "" {
		return nil, fail(rep.Reason, errors.New(rep.Cause), "%s", rep.Message)
	}
	if !fullCommit.MatchString(rep.Commit) {
		return nil, fail(nes.ReasonInternal, end.err, "the fetch of %s named no commit", r.Repository)
	}
	return &Tree{Commit: rep.Commit, Notes: rep.Notes, dir: dir}, nil
}
