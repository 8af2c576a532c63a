package viewer

import (
	"context"
	"net/http"
	"net/url"
	"sort"
	"strconv"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/viewer/render"
)

// comparePage shows two runs side by side.
type comparePage struct {
	page
	A, B       side
	All        bool // also what is the same
	Toggle     string
	Swap       string
	Facts      []difference
	Parameters []difference
	Results    []difference
	Timing     []difference
	Cells      []cellPair
	Same       int // cells that are alike and not shown
	Absent     string
}

// side is one of the two runs.
type side struct {
	Run     nes.Run
	Badge   badge
	Took    float64
	Since   string
	Name    string
	Failing int
}

// difference is a line of a table of two values.
type difference struct {
	Name, A, B string
	Differs    bool
	Note       string // on how far they are apart
}

// against leads from a run to its comparison with an earlier one: with=success, with=previous, or a run's id.
func (v *viewer) against(w http.ResponseWriter, r *http.Request) error {
	run, err := v.allowed(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	wish, what := nes.RunFilter{}, "run"
	switch with := word(q, "with"); with {
	case "success", "":
		wish.Status, what = []nes.Status{nes.StatusSucceeded}, "success"
	case "previous":
	default:
		http.Redirect(w, r, v.Prefix+"/compare/"+url.PathEscape(with)+"/"+string(run.ID), http.StatusFound)
		return nil
	}
	before, err := v.before(r.Context(), &run, wish)
	if err != nil {
		return err
	}
	if before == nil {
		return nes.Errorf(nes.CodeNotFound, "there is no %s of this notebook before this run", what)
	}
	http.Redirect(w, r, v.Prefix+"/compare/"+string(before.ID)+"/"+string(run.ID), http.StatusFound)
	return nil
}

// compare shows what differs between two runs.
func (v *viewer) compare(w http.ResponseWriter, r *http.Request) error {
	p := &comparePage{page: v.page(r, ""), All: r.URL.Query().Get("all") == "1"}
	for i, s := range []*side{&p.A, &p.B} {
		run, err := v.seen(r, []string{"a", "b"}[i])
		if err != nil {
			return err
		}
		*s = side{Run: run, Badge: badgeOf(run), Name: runName(run)}
		s.Took, _, _ = took(run)
	}
	p.Title = p.Lang.Say("Compare %s", p.B.Name)
	at := v.Prefix + "/compare/" + string(p.A.Run.ID) + "/" + string(p.B.Run.ID)
	p.Swap, p.Toggle = v.Prefix+"/compare/"+string(p.B.Run.ID)+"/"+string(p.A.Run.ID), at+"?all=1"
	if p.All {
		p.Toggle = at
		p.Swap += "?all=1"
	}
	p.Facts, p.Parameters, p.Results = factsOf(&p.A.Run, &p.B.Run), settingsOf(&p.A.Run, &p.B.Run), outcomesOf(&p.A.Run, &p.B.Run)
	if err := v.addPairs(r.Context(), p); err != nil {
		return err
	}
	if !p.All {
		p.Facts, p.Parameters, p.Results, p.Timing = changed(p.Facts), changed(p.Parameters), changed(p.Results), changed(p.Timing)
	}
	return v.show(w, r, http.StatusOK, "compare.html", p)
}

// seen returns the run that a part of the address names, if the caller may see it.
func (v *viewer) seen(r *http.Request, name string) (nes.Run, error) {
	id := nes.RunID(r.PathValue(name))
	run, err := v.Runs.Run(r.Context(), id)
	if code := nes.CodeOf(err); code == nes.CodeNotFound || code == nes.CodeInvalid {
		return run, access.NotFound(id)
	}
	if err != nil {
		return run, err
	}
	return run, access.Authorize(access.From(r.Context()), access.ActionRead, &run)
}

// addPairs compares the notebooks. One that is not there costs only itself.
func (v *viewer) addPairs(ctx context.Context, p *comparePage) error {
	var docs [2]*document
	var rds [2]*render.Document
	for i, run := range []*nes.Run{&p.A.Run, &p.B.Run} {
		if run.Attempt == 0 {
			p.Absent = "One of the runs has no notebook."
			return nil
		}
		doc, err := v.documents.get(ctx, run, run.Attempt)
		if code := nes.CodeOf(err); err != nil && (code == nes.CodeNotFound || code == nes.CodeUnprocessable) {
			p.Absent = "One of the runs has no notebook."
			return nil
		} else if err != nil {
			return err
		}
		defer doc.release()
		docs[i], rds[i] = doc, v.documents.document(ctx, doc, run, run.Attempt)
	}
	c := comparison{renderer: v.documents.renderer, a: rds[0], b: rds[1]}
	for _, pair := range c.pairs() {
		p.Timing = append(p.Timing, pair.timing(docs[0].index, docs[1].index)...)
		if pair.Kind == "same" && !p.All {
			p.Same++
			continue
		}
		p.Cells = append(p.Cells, c.show(pair))
	}
	sort.SliceStable(p.Timing, func(i, j int) bool { return p.Timing[i].weight() > p.Timing[j].weight() })
	p.Timing = p.Timing[:min(len(p.Timing), 10)]
	return nil
}

func changed(list []difference) (rest []difference) {
	for _, d := range list {
		if d.Differs {
			rest = append(rest, d)
		}
	}
	return rest
}

// factsOf are what a run stands on.
func factsOf(a, b *nes.Run) (list []difference) {
	add := func(name, x, y string) {
		if x != "" || y != "" {
			list = append(list, difference{Name: name, A: x, B: y, Differs: x != y})
		}
	}
	source := func(r *nes.Run) nes.Source {
		if r.Source == nil {
			return nes.Source{}
		}
		return *r.Source
	}
	versions := func(r *nes.Run) nes.Versions {
		if r.Outcome == nil {
			return nes.Versions{}
		}
		return r.Outcome.Versions
	}
	x, y := source(a), source(b)
	add("Repository", x.Repository, y.Repository)
	add("Notebook", x.Path, y.Path)
	add("Ref", x.Ref, y.Ref)
	add("Commit", short(x.Commit), short(y.Commit))
	add("Caller", a.Owner, b.Owner)
	add("Runtime", a.Spec.Runtime, b.Spec.Runtime)
	add("Profile", a.Spec.Profile, b.Spec.Profile)
	v, w := versions(a), versions(b)
	add("Image", v.Image, w.Image)
	add("Kernel", v.Kernel, w.Kernel)
	add("Python", v.Python, w.Python)
	add("Papermill", v.Papermill, w.Papermill)
	add("Reason", string(a.Reason), string(b.Reason))
	return list
}

func settingsOf(a, b *nes.Run) []difference {
	x, y := map[string]string{}, map[string]string{}
	for name, raw := range givenTo(a) {
		x[name] = compact(raw)
	}
	for name, raw := range givenTo(b) {
		y[name] = compact(raw)
	}
	return beside(x, y)
}

func outcomesOf(a, b *nes.Run) []difference {
	list := beside(resultsOf(a), resultsOf(b))
	for i := range list {
		x, err1 := strconv.ParseFloat(list[i].A, 64)
		y, err2 := strconv.ParseFloat(list[i].B, 64)
		if err1 == nil && err2 == nil && list[i].Differs {
			list[i].Note = signed(y-x) + share(x, y)
		}
	}
	return list
}

// beside puts two tables of values beside each other, by name.
func beside(x, y map[string]string) (list []difference) {
	names := map[string]bool{}
	for name := range x {
		names[name] = true
	}
	for name := range y {
		names[name] = true
	}
	for name := range names {
		a, inA := x[name]
		b, inB := y[name]
		list = append(list, difference{Name: name, A: a, B: b, Differs: inA != inB || a != b})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

func signed(n float64) string {
	text := strconv.FormatFloat(n, 'g', 4, 64)
	if n > 0 {
		return "+" + text
	}
	return text
}

// share is how much y differs from x in hundredths, in brackets.
func share(x, y float64) string {
	if x == 0 {
		return ""
	}
	return " (" + signed(float64(int(1000*(y-x)/max(x, -x)))/10) + "%)"
}
