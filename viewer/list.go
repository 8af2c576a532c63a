package viewer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
)

const pageSize = 50

type listPage struct {
	page
	Text    string // searched for
	Status  string
	Tabs    []tab
	Kept    []kept  // further filters that are on
	Hidden  []field // filters that the search form carries along
	Rows    []listRow
	Next    string // address of the next page
	First   string // address of the first page, where this is another
	Version string // of the rows
	Live    string // address that answers when they change
}

type tab struct {
	Word, URL string
	On        bool
}

type kept struct{ Name, Value, Without string }
type field struct{ Name, Value string }

type listRow struct {
	Run    nes.Run
	Labels []string
	Took   float64
	Since  time.Time
	Live   bool
	Done   int
	Total  int
}

var tabs = []struct {
	word   string
	status []nes.Status
}{
	{"All", nil},
	{"Under way", []nes.Status{nes.StatusPending, nes.StatusRunning}},
	{"Succeeded", []nes.Status{nes.StatusSucceeded}},
	{"Failed", []nes.Status{nes.StatusFailed}},
	{"Error", []nes.Status{nes.StatusError}},
}

// list shows the runs, newest first. With part=runs it answers with the rows alone, once they differ from those that
// the query's version names, or with 204 when nothing changed in time.
func (v *viewer) list(w http.ResponseWriter, r *http.Request) error {
	caller := access.From(r.Context())
	if err := access.Authorize(caller, access.ActionList, nil); err != nil {
		return err
	}
	q := r.URL.Query()
	filter := filterOf(q)
	filter.Teams = caller.Teams()
	if q.Get("part") == "runs" {
		return v.listChanges(w, r, filter)
	}
	p, err := v.listPage(r, filter)
	if err != nil {
		return err
	}
	return v.show(w, r, http.StatusOK, "list.html", p)
}

func filterOf(q url.Values) nes.RunFilter {
	f := nes.RunFilter{
		Text: strings.TrimSpace(q.Get("q")), Group: q.Get("group"), Notebook: q.Get("notebook"), Repository: q.Get("repository"),
		Cursor: q.Get("cursor"), Limit: pageSize,
	}
	for _, t := range tabs {
		if t.word == q.Get("status") {
			f.Status = t.status
		}
	}
	for _, l := range q["label"] {
		if name, value, ok := strings.Cut(l, "="); ok {
			if f.Labels == nil {
				f.Labels = map[string]string{}
			}
			f.Labels[name] = value
		}
	}
	return f
}

func (v *viewer) listPage(r *http.Request, f nes.RunFilter) (listPage, error) {
	q := r.URL.Query()
	found, err := v.Runs.Runs(r.Context(), f)
	if err != nil {
		return listPage{}, err
	}
	p := listPage{page: v.page(r, "Runs"), Text: f.Text, Status: q.Get("status")}
	for _, run := range found.Runs {
		p.Rows = append(p.Rows, v.row(run))
	}
	p.navigation(v.Prefix, q, found.Next)
	if p.Version, err = v.version(p); err != nil {
		return p, err
	}
	return p, nil
}

// navigation fills in the addresses, all made from the query that led here.
func (p *listPage) navigation(prefix string, q url.Values, next string) {
	at := func(change func(url.Values)) string {
		c := url.Values{}
		for _, name := range []string{"q", "status", "group", "notebook", "repository", "label"} {
			if len(q[name]) > 0 && q[name][0] != "" {
				c[name] = slices.Clone(q[name])
			}
		}
		change(c)
		if len(c) == 0 {
			return prefix + "/"
		}
		return prefix + "/?" + c.Encode()
	}
	for _, t := range tabs {
		on := q.Get("status") == t.word || t.status == nil && q.Get("status") == ""
		p.Tabs = append(p.Tabs, tab{t.word, at(func(c url.Values) {
			c.Del("status")
			if t.status != nil {
				c.Set("status", t.word)
			}
		}), on})
	}
	for _, name := range []string{"group", "notebook", "repository", "label"} {
		for _, value := range q[name] {
			if value != "" {
				p.Kept = append(p.Kept, kept{name, value, at(func(c url.Values) { c.Del(name) })})
				p.Hidden = append(p.Hidden, field{name, value})
			}
		}
	}
	if p.Status != "" {
		p.Hidden = append(p.Hidden, field{"status", p.Status})
	}
	if next != "" {
		p.Next = at(func(c url.Values) { c.Set("cursor", next) })
	}
	if q.Get("cursor") != "" {
		p.First = at(func(url.Values) {})
	} else {
		p.Live = at(func(c url.Values) { c.Set("part", "runs") })
	}
}

func (v *viewer) row(run nes.Run) listRow {
	row := listRow{Run: run}
	row.Took, row.Since, row.Live = took(run)
	if p := v.progress(&run); p != nil && !run.Ended() {
		row.Done, row.Total = p.Done+p.Failed, p.Total
	}
	for name, value := range run.Spec.Labels {
		row.Labels = append(row.Labels, name+"="+value)
	}
	sort.Strings(row.Labels)
	return row
}

// version names the rows as they are shown.
func (v *viewer) version(p listPage) (string, error) {
	sum := sha256.New()
	if err := v.pages[p.Lang].ExecuteTemplate(sum, "rows", p); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

func (v *viewer) listChanges(w http.ResponseWriter, r *http.Request, f nes.RunFilter) error {
	q := r.URL.Query()
	deadline := time.NewTimer(v.MaxWait)
	defer deadline.Stop()
	for {
		changed := v.Runs.Changed("")
		p, err := v.listPage(r, f)
		if err != nil {
			return err
		}
		if p.Version != q.Get("version") {
			return v.show(w, r, http.StatusOK, "rows", p)
		}
		select {
		case <-changed:
			if !pause(r.Context(), v.Pace) {
				return nil
			}
		case <-deadline.C:
			w.WriteHeader(http.StatusNoContent)
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
}

// pause waits for d and reports whether ctx still holds: what changes in bursts is looked at once.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
