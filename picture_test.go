package nes_test

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

// TestStateMachinePicture holds the picture to the table of stages: it is drawn from it.
func TestStateMachinePicture(t *testing.T) {
	t.Parallel()
	const file = "docs/images/state-machine.svg"
	drawn := picture()
	moves := 0
	for _, s := range nes.Stages() {
		moves += len(s.Sources())
	}
	require.Equal(t, moves, strings.Count(drawn, "marker-end"), "one arrow for each move")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(drawn), 0o644))
		return
	}
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, drawn, string(raw), "run: go test . -update")
}

// point is the middle of a stage's box.
type point struct{ x, y float64 }

const (
	boxWidth, boxHeight = 104.0, 40.0
	row                 = 190.0 // of the usual way
)

var places = map[nes.Stage]point{
	nes.StageFetching: {70, 60}, nes.StageQueued: {70, row}, nes.StageScheduling: {230, row}, nes.StageStarting: {390, row},
	nes.StageExecuting: {550, row}, nes.StageSaving: {710, row}, nes.StageEnded: {870, row}, nes.StageWaiting: {390, 340},
}

func picture() string {
	var b strings.Builder
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 940 420" role="img" font-family="system-ui, sans-serif" font-size="15">
<title>Which stage of a run may follow which</title>
<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 10 5 0 10z" fill="#6e7781"/></marker></defs>
<g fill="none" stroke="#6e7781" stroke-width="1.5">
`)
	for _, from := range nes.Stages() {
		for _, to := range nes.Stages() {
			if from.CanBecome(to) {
				fmt.Fprintf(&b, "<path marker-end=\"url(#tip)\" d=\"%s\"><title>%s to %s</title></path>\n", way(places[from], places[to]), from, to)
			}
		}
	}
	b.WriteString("</g>\n")
	for _, s := range nes.Stages() {
		p, fill := places[s], map[nes.Status]string{nes.StatusPending: "#fff8c5", nes.StatusRunning: "#ddf4ff", "": "#dafbe1"}[s.Status()]
		fmt.Fprintf(&b, "<rect x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" rx=\"8\" fill=\"%s\" stroke=\"#57606a\"/>\n", p.x-boxWidth/2, p.y-boxHeight/2, boxWidth, boxHeight, fill)
		fmt.Fprintf(&b, "<text x=\"%g\" y=\"%g\" text-anchor=\"middle\" fill=\"#1f2328\">%s</text>\n", p.x, p.y+5, s)
	}
	b.WriteString(`<text x="20" y="405" fill="#6e7781" font-size="13">yellow: Pending, blue: Running, green: Succeeded, Failed or Error</text>
</svg>
`)
	return b.String()
}

// way is the path of an arrow: straight between neighbours, and in an arc over or below what stands between.
func way(from, to point) string {
	w, h := boxWidth/2, boxHeight/2
	apart := math.Abs(to.x-from.x) / 160
	switch {
	case from.x == to.x: // up and down side by side
		side, sign := -14.0, 1.0
		if to.y < from.y {
			side, sign = 14, -1
		}
		return fmt.Sprintf("M%g %gV%g", from.x+side, from.y+sign*h, to.y-sign*h)
	case from.y == to.y && apart == 1 && to.x > from.x:
		return fmt.Sprintf("M%g %gH%g", from.x+w, from.y, to.x-w)
	case from.y == to.y && to.x > from.x: // the further, the higher
		high := from.y - h - 26*apart
		return fmt.Sprintf("M%g %gC%g %g %g %g %g %g", from.x+20, from.y-h, from.x+60, high, to.x-60, high, to.x-20, to.y-h)
	case from.y == to.y:
		low := from.y + h + 60
		return fmt.Sprintf("M%g %gC%g %g %g %g %g %g", from.x-30, from.y+h, from.x-60, low, to.x+60, low, to.x+30, to.y+h)
	case to.y > from.y && to.y == row: // from above, to the side
		return fmt.Sprintf("M%g %gC%g %g %g %g %g %g", from.x+w, from.y, from.x+400, from.y-40, to.x, from.y-30, to.x+20, to.y-h)
	case to.y < from.y && to.x > from.x: // from below
		return fmt.Sprintf("M%g %gC%g %g %g %g %g %g", from.x+w, from.y+8, to.x-60, from.y+8, to.x, from.y, to.x, to.y+h)
	case to.y < from.y:
		return fmt.Sprintf("M%g %gC%g %g %g %g %g %g", from.x-w, from.y, to.x+60, from.y, to.x, from.y-20, to.x, to.y+h)
	default:
		return fmt.Sprintf("M%g %gC%g %g %g %g %g %g", from.x, from.y+h, from.x, from.y+90, to.x+160, to.y-8, to.x+w, to.y-8)
	}
}
