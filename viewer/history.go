package viewer

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
)

// historySize is how many runs the page of a notebook or group shows.
const historySize = 100

// historyPage shows runs beside each other: those of one notebook, or of one group.
type historyPage struct {
	page
	Repository, Path string // of one notebook
	Group            string
	Tally            []count
	Total            int
	Bars             []bar
	Columns          columns
	Rows             []historyRow
	Chart            *chart
	Measures         []Switch // what the chart can show
	More             string   // address of the list with all of them
	Kept             []kept
	Live             string
	Version          string
}

// count is a number of runs in a status.
type count struct {
	badge
	N   int
	URL string
}

type historyRow struct {
	listRow
	Parameters, Results []string // in the order of the columns
}

func (v *viewer) notebook(w http.ResponseWriter, r *http.Request) error {
	repository, path, ok := strings.Cut(r.PathValue("notebook"), "/-/")
	if !ok || repository == "" || path == "" {
		return nes.Errorf(nes.CodeNotFound, "the address of a notebook is /notebooks/<repository>/-/<path>")
	}
	return v.history(w, r, func(f *nes.RunFilter, p *historyPage) {
		f.Repository, f.Notebook = repository, path
		p.Repository, p.Path, p.Here = repository, path, "notebooks"
		p.Title = strings.TrimSuffix(path[strings.LastIndexByte(path, '/')+1:], ".ipynb")
	})
}

func (v *viewer) group(w http.ResponseWriter, r *http.Request) error {
	group := r.PathValue("group")
	return v.history(w, r, func(f *nes.RunFilter, p *historyPage) {
		f.Group = group
		p.Group, p.Title = group, group
	})
}

// history shows the runs that narrow chooses. With part=runs it answers as a list does.
func (v *viewer) history(w http.ResponseWriter, r *http.Request, narrow func(*nes.RunFilter, *historyPage)) error {
	if err := access.Authorize(access.From(r.Context()), access.ActionList, nil); err != nil {
		return err
	}
	f, err := v.filterOf(r)
	if err != nil {
		return err
	}
	f.Limit = historySize
	build := func() (*historyPage, error) {
		p := &historyPage{page: v.page(r, "")}
		narrow(&f, p)
		return p, v.fillHistory(r, f, p)
	}
	if r.URL.Query().Get("part") == "runs" {
		return v.listChanges(w, r, "history", func() (any, string, error) {
			p, err := build()
			return p, p.Version, err
		})
	}
	p, err := build()
	if err != nil {
		return err
	}
	if p.Total == 0 && len(p.Kept) == 0 {
		return nes.Errorf(nes.CodeNotFound, "no run fits")
	}
	return v.show(w, r, http.StatusOK, "history.html", p)
}

func (v *viewer) fillHistory(r *http.Request, f nes.RunFilter, p *historyPage) error {
	found, err := v.Runs.Runs(r.Context(), f)
	if err != nil {
		return err
	}
	all := f
	all.Status = nil
	tally, err := v.Catalogue.Tally(r.Context(), all)
	if err != nil {
		return err
	}
	q, path := r.URL.Query(), v.Prefix+r.URL.EscapedPath()
	p.count(tally, path, q)
	p.Columns = columnsOf(found.Runs)
	for _, run := range found.Runs {
		row := historyRow{listRow: v.row(run)}
		row.Parameters, row.Results = p.Columns.cells(&run)
		p.Rows = append(p.Rows, row)
	}
	p.Bars = barsOf(found.Runs, v.Now())
	p.measure(found.Runs, path, q)
	p.Kept = keptOf(path, q)
	p.Live = address(path, q, func(c url.Values) {
		c.Set("part", "runs")
		if m := q.Get("plot"); m != "" {
			c.Set("plot", m)
		}
	})
	more := url.Values{}
	for name, value := range map[string]string{"repository": p.Repository, "notebook": p.Path, "group": p.Group} {
		if value != "" {
			more.Set(name, value)
		}
	}
	p.More = v.Prefix + "/?" + more.Encode()
	p.Description = p.describe()
	p.Version, err = v.version(p.Lang, "history", p)
	return err
}

// count lists how many runs there are in each status, with the address of these alone.
func (p *historyPage) count(tally map[nes.Status]int, path string, q url.Values) {
	for _, status := range nes.Statuses() {
		n := tally[status]
		if p.Total += n; n == 0 {
			continue
		}
		stage := nes.StageQueued
		if status.Ended() {
			stage = nes.StageEnded
		}
		b := badgeOf(nes.Run{Status: status, Stage: stage})
		if !status.Ended() {
			b.Word = string(status)
		}
		p.Tally = append(p.Tally, count{b, n, address(path, q, func(c url.Values) {
			if c.Get("status") == string(status) {
				c.Del("status")
			} else {
				c.Set("status", string(status))
			}
		})})
	}
}

func (p *historyPage) describe() string {
	var parts []string
	for _, c := range p.Tally {
		parts = append(parts, p.Lang.Say("%d × %s", c.N, p.Lang.Say(c.Word)))
	}
	return strings.Join(append(parts, p.Repository), " · ")
}

// notebooksPage lists the notebooks that were run.
type notebooksPage struct {
	page
	Text      string
	Notebooks []notebookRow
}

type notebookRow struct {
	nes.NotebookRuns
	Last *listRow
}

func (v *viewer) notebooks(w http.ResponseWriter, r *http.Request) error {
	if err := access.Authorize(access.From(r.Context()), access.ActionList, nil); err != nil {
		return err
	}
	p := notebooksPage{page: v.page(r, "Notebooks"), Text: word(r.URL.Query(), "q")}
	p.Title, p.Here = p.Lang.Say(p.Title), "notebooks"
	var err error
	if p.Notebooks, err = v.findNotebooks(r, nes.NotebookFilter{Text: p.Text, Limit: 200}); err != nil {
		return err
	}
	return v.show(w, r, http.StatusOK, "notebooks.html", p)
}

func (v *viewer) findNotebooks(r *http.Request, f nes.NotebookFilter) ([]notebookRow, error) {
	f.Teams = access.From(r.Context()).Teams()
	found, err := v.Catalogue.Notebooks(r.Context(), f)
	if err != nil {
		return nil, err
	}
	rows := make([]notebookRow, 0, len(found))
	for _, n := range found {
		run, err := v.Runs.Run(r.Context(), n.Newest)
		if err != nil && nes.CodeOf(err) != nes.CodeNotFound {
			return nil, err
		}
		row := notebookRow{NotebookRuns: n}
		if err == nil {
			last := v.row(run)
			row.Last = &last
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Address is the path of the notebook's page, below the prefix.
func (n notebookRow) Address() string {
	return notebookAddress(&nes.Source{Repository: n.Repository, Path: n.Notebook})
}

// Name is the notebook's name, without its folder.
func (n notebookRow) Name() string {
	return strings.TrimSuffix(n.Notebook[strings.LastIndexByte(n.Notebook, '/')+1:], ".ipynb")
}

// measure chooses what the chart shows: what the address names, else the first result that is a number, else nothing.
func (p *historyPage) measure(runs []nes.Run, path string, q url.Values) {
	names := append([]string{"duration"}, p.Columns.numeric(runs)...)
	if len(runs) < 2 {
		return
	}
	shown := q.Get("plot")
	if !slices.Contains(names, shown) {
		if shown = names[0]; len(names) > 1 {
			shown = names[1]
		}
	}
	for _, name := range names {
		p.Measures = append(p.Measures, Switch{Word: name, On: name == shown, URL: address(path, q, func(c url.Values) { c.Set("plot", name) })})
	}
	p.Chart = chartOf(runs, shown)
}
