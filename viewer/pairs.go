package viewer

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"github.com/nes-run/nes/viewer/diff"
	"github.com/nes-run/nes/viewer/notebook"
	"github.com/nes-run/nes/viewer/render"
)

// comparison of two notebooks.
type comparison struct {
	renderer *render.Renderer
	a, b     *render.Document
}

// pair is a cell of each of the two notebooks; -1 where only the other has it.
type pair struct {
	A, B int
	// Kind is same, changed, removed or added.
	Kind string
}

// cellPair is a pair as a page shows it.
type cellPair struct {
	pair
	Type     string
	Source   []diff.Span // of code
	Alike    bool        // the sources are
	Left     template.HTML
	Right    template.HTML
	Outputs  []outputPair
	TimeA    float64
	TimeB    float64
	FailedA  bool
	FailedB  bool
	Rendered bool // Left and Right are Markdown
}

// outputPair is an output of each cell: as words that differ, or one beside the other.
type outputPair struct {
	Words       []diff.Span
	Left, Right template.HTML
	Same        bool
}

// maxWords is how much of an output's text is compared by words.
const maxWords = 64 << 10

// pairs lines the cells of the two notebooks up: alike sources first, then what stands between them, in order.
func (c *comparison) pairs() []pair {
	x, y := c.a.Index.Cells, c.b.Index.Cells
	var list, gap []pair
	settle := func() {
		list = append(list, c.settle(gap)...)
		gap = nil
	}
	for _, p := range diff.Match(keys(x), keys(y)) {
		if p.A >= 0 && p.B >= 0 {
			settle()
			list = append(list, pair{p.A, p.B, c.kind(p.A, p.B)})
			continue
		}
		gap = append(gap, pair{A: p.A, B: p.B})
	}
	settle()
	return list
}

// settle pairs cells between two that are alike: a removed one with the next added one of the same type.
func (c *comparison) settle(gap []pair) (list []pair) {
	taken := map[int]bool{}
	for i, p := range gap {
		if p.A < 0 || taken[i] {
			continue
		}
		j := slices.IndexFunc(gap, func(q pair) bool { return q.B >= 0 && c.b.Index.Cells[q.B].Type == c.a.Index.Cells[p.A].Type })
		for j >= 0 && taken[j] {
			next := slices.IndexFunc(gap[j+1:], func(q pair) bool { return q.B >= 0 && c.b.Index.Cells[q.B].Type == c.a.Index.Cells[p.A].Type })
			if next < 0 {
				j = -1
				break
			}
			j += 1 + next
		}
		if j < 0 {
			list = append(list, pair{p.A, -1, "removed"})
			continue
		}
		taken[j] = true
		list = append(list, pair{p.A, gap[j].B, "changed"})
	}
	for j, q := range gap {
		if q.B >= 0 && !taken[j] {
			list = append(list, pair{-1, q.B, "added"})
		}
	}
	return list
}

func keys(cells []notebook.Cell) []string {
	list := make([]string, len(cells))
	for i := range cells {
		list[i] = cells[i].Type + "\n" + strings.TrimSpace(cells[i].Source)
	}
	return list
}

// kind of two cells with one source: same when they show the same, whatever time they took.
func (c *comparison) kind(i, j int) string {
	a, b := &c.a.Index.Cells[i], &c.b.Index.Cells[j]
	if len(a.Outputs) != len(b.Outputs) || (a.Run.Status == notebook.Failed) != (b.Run.Status == notebook.Failed) {
		return "changed"
	}
	for k := range a.Outputs {
		if !sameOutput(&a.Outputs[k], &b.Outputs[k]) {
			return "changed"
		}
	}
	return "same"
}

func sameOutput(a, b *notebook.Output) bool {
	if a.Type != b.Type || a.Name != b.Name || (a.Error == nil) != (b.Error == nil) {
		return false
	}
	if a.Error != nil && (a.Error.Name != b.Error.Name || a.Error.Value != b.Error.Value) {
		return false
	}
	return slices.EqualFunc(a.Bodies, b.Bodies, func(x, y notebook.Body) bool { return x.MIME == y.MIME && x.SHA256 == y.SHA256 })
}

func (c *comparison) show(p pair) cellPair {
	s := cellPair{pair: p}
	var a, b *notebook.Cell
	sourceA, sourceB := "", ""
	if p.A >= 0 {
		a = &c.a.Index.Cells[p.A]
		s.Type, sourceA, s.TimeA, s.FailedA = a.Type, strings.TrimRight(a.Source, "\n"), a.Run.Seconds, a.Run.Status == notebook.Failed
	}
	if p.B >= 0 {
		b = &c.b.Index.Cells[p.B]
		s.Type, sourceB, s.TimeB, s.FailedB = b.Type, strings.TrimRight(b.Source, "\n"), b.Run.Seconds, b.Run.Status == notebook.Failed
	}
	s.Alike = a != nil && b != nil && sourceA == sourceB
	s.Source = diff.Words(sourceA, sourceB)
	if s.Type == "markdown" && s.Alike {
		s.Rendered, s.Right = true, c.renderer.Prose(c.b, p.B, fmt.Sprintf("b%d-", p.B))
	}
	for k := range max(outputs(a), outputs(b)) {
		s.Outputs = append(s.Outputs, c.output(p, a, b, k))
	}
	return s
}

func outputs(c *notebook.Cell) int {
	if c == nil {
		return 0
	}
	return len(c.Outputs)
}

func (c *comparison) output(p pair, a, b *notebook.Cell, k int) outputPair {
	inA, inB := k < outputs(a), k < outputs(b)
	var o outputPair
	if inA && inB {
		o.Same = sameOutput(&a.Outputs[k], &b.Outputs[k])
		x, okX := render.Words(&a.Outputs[k], maxWords)
		y, okY := render.Words(&b.Outputs[k], maxWords)
		if okX && okY && !o.Same {
			o.Words = diff.Words(x, y)
			return o
		}
	}
	if inA && !o.Same {
		o.Left = c.renderer.Output(c.a, p.A, k)
	}
	if inB {
		o.Right = c.renderer.Output(c.b, p.B, k)
	}
	return o
}

// timing compares how long a pair took; nothing where neither took long.
func (p pair) timing(a, b *notebook.Index) []difference {
	if p.A < 0 || p.B < 0 {
		return nil
	}
	x, y := a.Cells[p.A].Run.Seconds, b.Cells[p.B].Run.Seconds
	if max(x, y) < 0.1 {
		return nil
	}
	return []difference{{
		Name: fmt.Sprint(p.B), A: render.Seconds(x), B: render.Seconds(y), Note: signed(y-x) + " s" + share(x, y),
		Differs: math.Abs(y-x) > 0.1+0.2*min(x, y),
	}}
}

// weight orders lines of timing: the one that differs most first.
func (d difference) weight() float64 {
	var n float64
	_, _ = fmt.Sscanf(d.Note, "%g", &n)
	return math.Abs(n)
}
