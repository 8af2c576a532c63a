package viewer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/viewer/notebook"
	"github.com/nes-run/nes/viewer/render"
)

// runPage is the page of a run. Its parts are replaced one by one while the run goes on.
type runPage struct {
	page
	Reading reading
	Run     nes.Run
	Attempt int // that is shown; 0 before the first
	Newest  bool
	Badge   badge
	Info    nes.ReasonInfo // of an ended run
	Stage   string         // what it waits for
	Took    float64
	Since   time.Time
	Live    bool

	Progress   *nes.Progress
	Parameters []parameter
	Before     *nes.Run // the run of the same notebook before this one
	Labels     []string
	Attempts   []nes.Attempt
	Error      *nes.CellError // of the failed cell
	Failures   []int          // failed cells
	Outcome    *nes.Outcome
	Recipes    []recipe

	Contents []heading
	Timing   []timed // code cells that took time
	Slowest  []timed
	CellTime float64 // of all cells together

	Problems []string // of the notebook
	Absent   string   // why there is no notebook
	Cells    []cell
	Gen      int64
	Total    int  // cells of the notebook
	Behind   bool // the notebook has grown since it was read
	Parts    []part

	CanCancel, CanRerun bool
}

type timed struct {
	Index   int
	Seconds float64
	Class   string
	Title   string
	X, W    float64 // of its bar, out of 1000
}

// part is a section of the page with an id and the version of what it shows.
type part struct {
	ID, Version string
	HTML        template.HTML
}

// allowed returns the run of a request whose caller may see it.
func (v *viewer) allowed(r *http.Request) (nes.Run, error) {
	id := nes.RunID(r.PathValue("id"))
	run, err := v.Runs.Run(r.Context(), id)
	if nes.CodeOf(err) == nes.CodeNotFound || nes.CodeOf(err) == nes.CodeInvalid {
		return run, access.NotFound(id)
	}
	if err != nil {
		return run, err
	}
	return run, access.Authorize(access.From(r.Context()), access.ActionRead, &run)
}

func (v *viewer) run(w http.ResponseWriter, r *http.Request) error {
	run, err := v.allowed(r)
	if err != nil {
		return err
	}
	p, err := v.runPage(r, run)
	if err != nil {
		return err
	}
	return v.show(w, r, http.StatusOK, "run.html", p)
}

// attemptOf reads which attempt is asked for; none is the newest.
func attemptOf(run nes.Run, query string) (int, error) {
	if query == "" {
		return run.Attempt, nil
	}
	n, err := strconv.Atoi(query)
	if err != nil || n < 1 || n > run.Attempt {
		return 0, nes.Errorf(nes.CodeNotFound, "the run has no attempt %q", query)
	}
	return n, nil
}

func (v *viewer) runPage(r *http.Request, run nes.Run) (*runPage, error) {
	ctx, q := r.Context(), r.URL.Query()
	n, err := attemptOf(run, q.Get("attempt"))
	if err != nil {
		return nil, err
	}
	attempts, err := v.Runs.Attempts(ctx, run.ID)
	if err != nil {
		return nil, err
	}
	p := &runPage{
		page: v.page(r, runName(run)), Reading: readingOf(q), Run: run, Attempt: n, Newest: n == run.Attempt, Badge: badgeOf(run),
		Attempts: attempts, Labels: labelsOf(run), Outcome: outcomeOf(run, attempts, n),
	}
	p.Icon = p.Badge.Class
	p.Took, p.Since, p.Live = took(run)
	p.Stage = stageMeaning(run.Stage)
	if run.Ended() {
		p.Info = run.Reason.Info()
	}
	p.Progress = v.progress(&run)
	if p.Outcome != nil {
		p.Error = p.Outcome.Error
	}
	caller := access.From(ctx)
	p.CanCancel = !run.Ended() && run.CancelRequestedAt == nil && access.Authorize(caller, access.ActionCancel, &run) == nil
	p.CanRerun = access.Authorize(caller, access.ActionRerun, &run) == nil
	p.Recipes = recipes(&run, v.base(r), caller.Name != access.Local().Name)
	if p.Before, err = v.before(ctx, &run, nes.RunFilter{}); err != nil {
		return nil, err
	}
	if err := v.addNotebook(ctx, p); err != nil {
		return nil, err
	}
	p.Description = p.describe()
	return p, v.addParts(p)
}

// describe is what a link to the page says in a chat.
func (p *runPage) describe() string {
	text := p.Lang.Say(p.Badge.Word)
	if p.Run.Ended() && p.Took > 0 {
		text += " · " + render.Seconds(p.Took)
	}
	for i, s := range p.Parameters {
		if !s.Given || i == 4 {
			break
		}
		text += " · " + s.Name + "=" + cutAt(s.Value, 40)
	}
	return text + " · " + folder(p.Run)
}

// outcomeOf returns what the attempt that is shown came to, nil while it runs.
func outcomeOf(run nes.Run, attempts []nes.Attempt, n int) *nes.Outcome {
	for _, a := range attempts {
		if a.Number == n && a.Outcome != nil {
			return a.Outcome
		}
	}
	if run.Ended() && n == run.Attempt {
		return run.Outcome
	}
	return nil
}

// progress of the newest attempt: as it is known now, or as it was at the end.
func (v *viewer) progress(run *nes.Run) *nes.Progress {
	if run.Ended() {
		if run.Outcome == nil {
			return nil
		}
		return &run.Outcome.Progress
	}
	if run.Attempt == 0 {
		return nil
	}
	return v.Records.Progress(run)
}

// addNotebook adds what the notebook shows. A notebook that is not there, or none, costs only itself.
func (v *viewer) addNotebook(ctx context.Context, p *runPage) error {
	p.Parameters = parametersOf(p.Run, nil, p.Before)
	if p.Attempt == 0 {
		p.Absent = "The notebook appears here when it starts."
		if p.Run.Ended() {
			p.Absent = "The run ended before its notebook started."
		}
		return nil
	}
	doc, err := v.documents.get(ctx, &p.Run, p.Attempt)
	if err != nil {
		return p.withoutNotebook(ctx, err)
	}
	defer doc.release()
	if doc.index.Title != "" {
		p.Title = doc.index.Title
	}
	p.Behind = doc.behind()
	p.Gen, p.Total, p.Problems = doc.gen, len(doc.cells), doc.index.Problems
	p.Cells = make([]cell, len(doc.cells))
	for i, c := range doc.cells {
		p.Cells[i] = c
		p.Cells[i].HTML = p.Reading.cell(c.HTML)
	}
	p.Contents = contentsOf(doc.index)
	p.Parameters = parametersOf(p.Run, declaredIn(doc.index), p.Before)
	p.addTiming(doc)
	return nil
}

func (p *runPage) withoutNotebook(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return err
	case nes.CodeOf(err) == nes.CodeNotFound && p.Run.Ended():
		p.Absent = "This attempt left no notebook."
	case nes.CodeOf(err) == nes.CodeNotFound:
		p.Absent = "The notebook appears here when it starts."
	case nes.CodeOf(err) == nes.CodeUnprocessable:
		p.Absent = "The record cannot be shown: " + err.Error()
	default:
		return err
	}
	return nil
}

// addTiming finds the failed cell, the slowest ones, and how the time went by.
func (p *runPage) addTiming(doc *document) {
	for i := range doc.index.Cells {
		c := &doc.index.Cells[i]
		if c.Run.Status == notebook.Failed {
			p.Failures = append(p.Failures, i)
		}
		if c.Type == "code" && c.Run.Seconds > 0 {
			p.Timing = append(p.Timing, timed{Index: i, Seconds: c.Run.Seconds, Class: c.Run.Status, Title: firstLine(c.Source)})
			p.CellTime += c.Run.Seconds
		}
	}
	x := 0.0
	for i := range p.Timing {
		p.Timing[i].X, p.Timing[i].W = x, 1000*p.Timing[i].Seconds/p.CellTime
		x += p.Timing[i].W
	}
	p.Slowest = slices.Clone(p.Timing)
	sort.SliceStable(p.Slowest, func(i, j int) bool { return p.Slowest[i].Seconds > p.Slowest[j].Seconds })
	p.Slowest = p.Slowest[:min(len(p.Slowest), 5)]
	p.Timing = slices.DeleteFunc(p.Timing, func(t timed) bool { return t.W < 1 }) // too thin to be seen
}

func firstLine(source string) string {
	for line := range strings.Lines(source) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "%") {
			return line[:min(len(line), 80)]
		}
	}
	return ""
}

func labelsOf(run nes.Run) []string {
	var list []string
	for name, value := range run.Spec.Labels {
		list = append(list, name+"="+value)
	}
	sort.Strings(list)
	return list
}

// Result is the notebook's result, indented; empty where there is none.
func (p *runPage) Result() string {
	if p.Outcome == nil || len(p.Outcome.Result) == 0 || string(p.Outcome.Result) == "null" {
		return ""
	}
	return indented(json.RawMessage(p.Outcome.Result))
}

// addParts renders the sections that change while the run goes on.
func (v *viewer) addParts(p *runPage) error {
	for _, name := range []string{"head", "progress", "parameters", "results", "facts", "timing", "contents"} {
		var b strings.Builder
		if err := v.pages[p.Lang].ExecuteTemplate(&b, "part-"+name, p); err != nil {
			return err
		}
		sum := sha256.Sum256([]byte(b.String()))
		p.Parts = append(p.Parts, part{ID: "part-" + name, Version: hex.EncodeToString(sum[:6]), HTML: template.HTML(b.String())}) //nolint:gosec // of our own template
	}
	return nil
}

// Part returns a section by name.
func (p *runPage) Part(name string) part {
	i := slices.IndexFunc(p.Parts, func(s part) bool { return s.ID == "part-"+name })
	return p.Parts[i]
}

// State names what the parts show, so that a page can ask for what differs.
func (p *runPage) State() string {
	var all []string
	for _, s := range p.Parts {
		all = append(all, s.Version)
	}
	return strings.Join(all, "")
}

// Switches are the ways to read the notebook.
func (p *runPage) Switches() []Switch {
	attempt := ""
	if !p.Newest {
		attempt = strconv.Itoa(p.Attempt)
	}
	return p.Reading.switches(p.Base+"/runs/"+string(p.Run.ID), attempt)
}

// Follow is the query by which the page asks for what changes.
func (p *runPage) Follow() string {
	q := p.Reading.query(url.Values{})
	if !p.Newest {
		q.Set("attempt", strconv.Itoa(p.Attempt))
	}
	return q.Encode()
}
