package viewer

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
)

// searchPage shows what fits a few words: a run by its id, notebooks, a group, runs.
type searchPage struct {
	page
	Text      string
	Notebooks []notebookRow
	Group     bool // there is a group of that name
	Rows      []listRow
	More      string // address of all runs that fit
}

// Of what a search shows.
const (
	foundNotebooks = 12
	foundRuns      = 20
)

func (v *viewer) search(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	caller := access.From(ctx)
	if err := access.Authorize(caller, access.ActionList, nil); err != nil {
		return err
	}
	text := word(r.URL.Query(), "q")
	if run, err := v.Runs.Run(ctx, nes.RunID(strings.ToLower(text))); err == nil && access.Authorize(caller, access.ActionRead, &run) == nil {
		http.Redirect(w, r, v.Prefix+"/runs/"+string(run.ID), http.StatusSeeOther)
		return nil
	}
	p := searchPage{page: v.page(r, "Search"), Text: text}
	p.Title, p.Here = p.Lang.Say(p.Title), ""
	if text == "" {
		return v.show(w, r, http.StatusOK, "search.html", p)
	}
	var err error
	if p.Notebooks, err = v.findNotebooks(r, nes.NotebookFilter{Text: text, Limit: foundNotebooks}); err != nil {
		return err
	}
	group, err := v.Runs.Runs(ctx, nes.RunFilter{Teams: caller.Teams(), Group: text, Limit: 1})
	if err != nil {
		return err
	}
	p.Group = len(group.Runs) > 0
	found, err := v.Runs.Runs(ctx, nes.RunFilter{Teams: caller.Teams(), Text: text, Limit: foundRuns})
	if err != nil {
		return err
	}
	for _, run := range found.Runs {
		p.Rows = append(p.Rows, v.row(run))
	}
	if found.Next != "" {
		p.More = v.Prefix + "/?" + url.Values{"q": {text}}.Encode()
	}
	return v.show(w, r, http.StatusOK, "search.html", p)
}

// latest leads to the newest run that fits: of a notebook by its address, with the list's filters as its query. What
// else the query says, such as view=report, goes along.
func (v *viewer) latest(w http.ResponseWriter, r *http.Request) error {
	if err := access.Authorize(access.From(r.Context()), access.ActionList, nil); err != nil {
		return err
	}
	f, err := v.filterOf(r)
	if err != nil {
		return err
	}
	if at := r.PathValue("notebook"); at != "" {
		var ok bool
		if f.Repository, f.Notebook, ok = strings.Cut(at, "/-/"); !ok {
			return nes.Errorf(nes.CodeNotFound, "the address of a notebook's newest run is /latest/<repository>/-/<path>")
		}
	}
	f.Limit = 1
	found, err := v.Runs.Runs(r.Context(), f)
	if err != nil {
		return err
	}
	if len(found.Runs) == 0 {
		return nes.Errorf(nes.CodeNotFound, "no run fits")
	}
	to := v.Prefix + "/runs/" + string(found.Runs[0].ID)
	if q := readingOf(r.URL.Query()).query(url.Values{}); len(q) > 0 {
		to += "?" + q.Encode()
	}
	http.Redirect(w, r, to, http.StatusFound)
	return nil
}
