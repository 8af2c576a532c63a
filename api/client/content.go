package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/parameters"
)

// Notebook returns the executed notebook of an attempt (0: the newest), or what there is of it so far.
// The caller closes it; it ends with an error when the connection breaks.
func (c *Client) Notebook(ctx context.Context, id nes.RunID, attempt int) (io.ReadCloser, error) {
	return c.open(ctx, of(id)+"/notebook", ofAttempt(attempt))
}

// Files lists the side files of an attempt (0: the newest).
func (c *Client) Files(ctx context.Context, id nes.RunID, attempt int) ([]nes.File, error) {
	var body struct {
		Files []nes.File `json:"files"`
	}
	_, err := c.json(ctx, get(of(id)+"/files", ofAttempt(attempt)), &body)
	return body.Files, err
}

// File opens a side file of an attempt (0: the newest). The caller closes it.
func (c *Client) File(ctx context.Context, id nes.RunID, attempt int, name string) (io.ReadCloser, error) {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return c.open(ctx, of(id)+"/files/"+strings.Join(parts, "/"), ofAttempt(attempt))
}

func (c *Client) open(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	res, err := c.do(ctx, get(path, query))
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// Log returns the text log of an attempt (0: the newest) from a cursor on. With wait it stays until
// there is something new, the attempt has ended, or the wait is over.
func (c *Client) Log(ctx context.Context, id nes.RunID, attempt int, cursor int64, wait time.Duration) (page nes.LogPage, err error) {
	query := ofAttempt(attempt)
	query.Set("cursor", strconv.FormatInt(cursor, 10))
	if wait > 0 {
		query.Set("wait", wait.String())
	}
	_, err = c.json(ctx, get(of(id)+"/log", query), &page)
	return page, err
}

// FollowLog writes the text log of a run to w as it grows, one attempt after the other, until the run has ended.
// It lives through restarts of the server and repeats and loses nothing.
func (c *Client) FollowLog(ctx context.Context, id nes.RunID, w io.Writer) error {
	f := &follower{c: c, id: id, w: w, attempt: 1}
	return c.persist(ctx, func() error {
		for {
			done, err := f.step(ctx)
			if done || err != nil {
				return err
			}
		}
	})
}

// follower remembers how far a log was written.
type follower struct {
	c       *Client
	id      nes.RunID
	w       io.Writer
	attempt int
	cursor  int64
	run     nes.Run
}

func (f *follower) step(ctx context.Context) (done bool, err error) {
	if f.attempt > f.run.Attempt {
		return f.await(ctx)
	}
	page, err := f.c.Log(ctx, f.id, f.attempt, f.cursor, longPoll)
	if err != nil {
		return false, err
	}
	if _, err := io.WriteString(f.w, page.Text); err != nil {
		return true, err
	}
	f.cursor = page.Next
	if page.Ended && page.Text == "" {
		f.attempt, f.cursor = f.attempt+1, 0
	}
	return false, nil
}

// await waits for the next attempt or the end of the run.
func (f *follower) await(ctx context.Context) (done bool, err error) {
	wait := longPoll
	if f.run.Version == 0 {
		wait = 0
	}
	run, err := f.c.Run(ctx, f.id, wait, f.run.Version)
	if err != nil {
		return false, err
	}
	f.run = run
	return run.Ended() && f.attempt > run.Attempt, nil
}

// Inspection is what a notebook says of itself, without being run.
type Inspection struct {
	Source     nes.Source        `json:"source"`
	Schema     parameters.Schema `json:"schema"`
	KernelName string            `json:"kernel_name"`
	Language   string            `json:"language"`
	Cells      int               `json:"cells"`
	CodeCells  int               `json:"code_cells"`
	Notes      []string          `json:"notes"` // what of the tree would be missing, for people
}

// Inspect looks into the notebook at an address.
func (c *Client) Inspect(ctx context.Context, inputURL string) (found Inspection, err error) {
	k, err := post("/v1/inspect", map[string]string{"input_url": inputURL})
	if err != nil {
		return Inspection{}, err
	}
	_, err = c.json(ctx, k, &found)
	return found, err
}

// Upload sends the tar.zst of a working tree and returns its SHA-256, which goes into
// an address bundle://<sha256>/<path>. It is sent once: a reader cannot be read again.
func (c *Client) Upload(ctx context.Context, r io.Reader) (sha256 string, err error) {
	var body struct {
		SHA256 string `json:"sha256"`
	}
	k := call{
		method: http.MethodPost, path: "/v1/bundles", stream: r,
		header: http.Header{"Content-Type": {"application/zstd"}},
	}
	_, err = c.json(ctx, k, &body)
	return body.SHA256, err
}

func ofAttempt(n int) url.Values {
	if n == 0 {
		return url.Values{}
	}
	return url.Values{"attempt": {strconv.Itoa(n)}}
}
