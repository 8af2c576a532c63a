package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/nes-run/nes"
)

// longPoll is how long a call of [Client.Wait] may stay open.
const longPoll = 25 * time.Second

// Submit asks for a run. created is false when the run was known already: by its key, or
// because it is attached to. Without an idempotency key in spec it sends one of its own.
func (c *Client) Submit(ctx context.Context, spec nes.Spec) (run nes.Run, created bool, err error) {
	return c.SubmitChecked(ctx, spec, 0)
}

// SubmitChecked is [Client.Submit] that waits up to validate for the source and the parameters
// to be checked. Where they do not fit, the error has code unprocessable and names the reason.
func (c *Client) SubmitChecked(ctx context.Context, spec nes.Spec, validate time.Duration) (run nes.Run, created bool, err error) {
	k, err := post("/v1/runs", spec)
	if err != nil {
		return nes.Run{}, false, err
	}
	k.header = key(spec.IdempotencyKey)
	if validate > 0 {
		k.query = url.Values{"validate": {validate.String()}}
	}
	status, err := c.json(ctx, k, &run)
	return run, status == http.StatusCreated, err
}

// Run returns a run. With wait it returns when the run's version is no longer the given one (0: when its status or
// stage changes), or at the end of the wait; an ended run is returned at once.
func (c *Client) Run(ctx context.Context, id nes.RunID, wait time.Duration, version int64) (run nes.Run, err error) {
	query := url.Values{}
	if wait > 0 {
		query.Set("wait", wait.String())
	}
	if version > 0 {
		query.Set("version", strconv.FormatInt(version, 10))
	}
	_, err = c.json(ctx, get(of(id), query), &run)
	return run, err
}

// Wait returns the run once it has ended. It lives through restarts of the server: only
// ctx, or an answer that says that the run cannot be had, ends it earlier.
func (c *Client) Wait(ctx context.Context, id nes.RunID) (nes.Run, error) {
	var run nes.Run
	err := c.persist(ctx, func() error {
		for {
			now, err := c.Run(ctx, id, longPoll, run.Version)
			if err != nil {
				return err
			}
			if run = now; run.Ended() {
				return nil
			}
		}
	})
	return run, err
}

// persist calls step again as long as its error may pass.
func (c *Client) persist(ctx context.Context, step func() error) error {
	for pause := c.o.Backoff; ; pause = min(2*pause, 5*time.Second) {
		err := step()
		if err == nil || !mayPass(err) {
			return err
		}
		select {
		case <-time.After(jitter(pause)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Page of runs, newest first.
type Page struct {
	Runs []nes.Run `json:"runs"`
	Next string    `json:"next,omitempty"` // for the query's cursor; empty on the last page
}

// Runs lists runs. The query is that of GET /v1/runs: status, reason, repository, notebook,
// commit, group, task_key, label (name=value), parameter (name=value), text, since, until, limit, cursor.
func (c *Client) Runs(ctx context.Context, query url.Values) (page Page, err error) {
	_, err = c.json(ctx, get("/v1/runs", query), &page)
	return page, err
}

// Latest returns the newest run that fits a query as [Client.Runs] takes it.
func (c *Client) Latest(ctx context.Context, query url.Values) (run nes.Run, err error) {
	_, err = c.json(ctx, get("/v1/latest", query), &run)
	return run, err
}

// Cancel asks for the end of a run and returns at once. It may be repeated; an ended run stays as it is.
func (c *Client) Cancel(ctx context.Context, id nes.RunID) (run nes.Run, err error) {
	_, err = c.json(ctx, call{method: http.MethodPost, path: of(id) + "/cancel"}, &run)
	return run, err
}

// Rerun says how to run a run's notebook again.
type Rerun struct {
	// Newest takes the ref's newest commit; otherwise it is the run's own.
	Newest bool
	// Parameters that differ from the run's.
	Parameters map[string]json.RawMessage
	// Remove names parameters of the run that are not to be given.
	Remove []string
	// IdempotencyKey of the new run; empty sends one of its own.
	IdempotencyKey string
}

// Rerun submits a run again. The new run names id as its parent.
func (c *Client) Rerun(ctx context.Context, id nes.RunID, how Rerun) (run nes.Run, err error) {
	body := map[string]any{"commit": "same"}
	if how.Newest {
		body["commit"] = "newest"
	}
	if len(how.Parameters) > 0 {
		body["parameters"] = how.Parameters
	}
	if len(how.Remove) > 0 {
		body["remove"] = how.Remove
	}
	k, err := post(of(id)+"/rerun", body)
	if err != nil {
		return nes.Run{}, err
	}
	k.header = key(how.IdempotencyKey)
	_, err = c.json(ctx, k, &run)
	return run, err
}

// Attempts of a run, oldest first.
func (c *Client) Attempts(ctx context.Context, id nes.RunID) ([]nes.Attempt, error) {
	var body struct {
		Attempts []nes.Attempt `json:"attempts"`
	}
	_, err := c.json(ctx, get(of(id)+"/attempts", nil), &body)
	return body.Attempts, err
}

// Result returns what the notebook handed over; the code is not_found when there is nothing.
func (c *Client) Result(ctx context.Context, id nes.RunID) (result json.RawMessage, err error) {
	_, err = c.json(ctx, get(of(id)+"/result", nil), &result)
	return result, err
}

// Reasons returns the server's table of reasons, which may be newer than this client's.
func (c *Client) Reasons(ctx context.Context) ([]nes.ReasonInfo, error) {
	var body struct {
		Reasons []nes.ReasonInfo `json:"reasons"`
	}
	_, err := c.json(ctx, get("/v1/reasons", nil), &body)
	return body.Reasons, err
}

// Health returns the server's version, when it answers.
func (c *Client) Health(ctx context.Context) (version string, err error) {
	var body struct {
		Version string `json:"version"`
	}
	k := get("/healthz", nil)
	k.once = true
	_, err = c.json(ctx, k, &body)
	return body.Version, err
}

func get(path string, query url.Values) call {
	return call{method: http.MethodGet, path: path, query: query}
}

func post(path string, body any) (call, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return call{}, nes.Errorf(nes.CodeInvalid, "the request cannot be written as JSON: %v", err)
	}
	return call{method: http.MethodPost, path: path, body: b}, nil
}

// of is the path of a run.
func of(id nes.RunID) string { return "/v1/runs/" + url.PathEscape(string(id)) }

// key is the header with an idempotency key, made up when none is given.
func key(given string) http.Header {
	if given == "" {
		given = "client-" + rand.Text()
	}
	return http.Header{"Idempotency-Key": {given}}
}
