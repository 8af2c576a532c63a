package viewer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"sort"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/viewer/words"
)

const pageSize = 50

type listPage struct {
	page
	Text    string // searched for
	Status  string
	Tabs    []tab
	Kept    []kept  // further filters that are on
	Hidden  []field // filters that the search form carries along
	Choices []choice
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
	Brief  []string // parameters
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
	if err := access.Authorize(access.From(r.Context()), access.ActionList, nil); err != nil {
		return err
	}
	filter, err := v.filterOf(r)
	if err != nil {
		return err
	}
	if r.URL.Query().Get("part") == "runs" {
		return v.listChanges(w, r, "rows", func() (any, string, error) {
			p, err := v.listPage(r, filter)
			return p, p.Version, err
		})
	}
	p, err := v.listPage(r, filter)
	if err != nil {
		return err
	}
	return v.show(w, r, http.StatusOK, "list.html", p)
}

func (v *viewer) listPage(r *http.Request, f nes.RunFilter) (listPage, error) {
	q := r.URL.Query()
	found, err := v.Runs.Runs(r.Context(), f)
	if err != nil {
		return listPage{}, err
	}
	p := listPage{page: v.page(r, "Runs"), Text: f.Text, Status: q.Get("status"), Choices: choices(q)}
	p.Title = p.Lang.Say(p.Title)
	for _, run := range found.Runs {
		p.Rows = append(p.Rows, v.row(run))
	}
	p.navigation(v.Prefix+"/", q, found.Next)
	p.Version, err = v.version(p.Lang, "rows", p)
	return p, err
}

// navigation fills in the addresses, all made from the query that led here.
func (p *listPage) navigation(path string, q url.Values, next string) {
	at := func(change func(url.Values)) string { return address(path, q, change) }
	for _, t := range tabs {
		on := q.Get("status") == t.word || t.status == nil && q.Get("status") == ""
		p.Tabs = append(p.Tabs, tab{t.word, at(func(c url.Values) {
			c.Del("status")
			if t.status != nil {
				c.Set("status", t.word)
			}
		}), on})
	}
	p.Kept = keptOf(path, q)
	for _, k := range p.Kept {
		p.Hidden = append(p.Hidden, field{k.Name, k.Value})
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
	row := listRow{Run: run, Brief: brief(&run)}
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

// version names what a part of a page shows.
func (v *viewer) version(l words.Language, part string, data any) (string, error) {
	sum := sha256.New()
	if err := v.pages[l].ExecuteTemplate(sum, part, data); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

// listChanges answers with a part of a page once its version differs from the one in the address.
func (v *viewer) listChanges(w http.ResponseWriter, r *http.Request, part string, build func() (data any, version string, err error)) error {
	deadline := time.NewTimer(v.MaxWait)
	defer deadline.Stop()
	for {
		changed := v.Runs.Changed("")
		data, version, err := build()
		if err != nil {
			return err
		}
		if version != r.URL.Query().Get("version") {
			return v.show(w, r, http.StatusOK, part, data)
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
