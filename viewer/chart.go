package viewer

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/viewer/render"
)

// bar is a run in the strip of a history: the taller, the longer it took.
type bar struct {
	badge
	Run  nes.RunID
	X, Y float64
	H    float64
	Took string
	At   time.Time
}

// The strip's measures: 100 bars, oldest on the left.
const (
	stripHeight = 60.0
	barStep     = 10.0
)

func barsOf(runs []nes.Run, now time.Time) []bar {
	longest := 0.0
	lengths := make([]float64, len(runs))
	for i, run := range runs {
		seconds, since, live := took(run)
		if live {
			seconds = now.Sub(since).Seconds()
		}
		lengths[i] = max(seconds, 0)
		longest = max(longest, seconds)
	}
	bars := make([]bar, len(runs))
	for i, run := range runs {
		h := 6.0
		if longest > 0 { // by its root, so that short ones are still seen
			h += (stripHeight - 6) * math.Sqrt(lengths[i]/longest)
		}
		at := len(runs) - 1 - i
		bars[at] = bar{badge: badgeOf(run), Run: run.ID, X: float64(at) * barStep, Y: stripHeight - h, H: h, Took: render.Seconds(lengths[i]), At: run.CreatedAt}
	}
	return bars
}

// Width of the strip with its bars.
func (p *historyPage) Width() float64 { return max(30, float64(len(p.Bars))) * barStep }

// chart is a number over runs, oldest on the left.
type chart struct {
	Measure   string
	Points    []point
	Line      string // of the path through them
	Low, High string // of the axis
	From, To  time.Time
}

type point struct {
	Run   nes.RunID
	Class string
	X, Y  float64
	Title string
}

// The chart's measures.
const (
	chartWidth  = 1000.0
	chartHeight = 160.0
	chartEdge   = 10.0
)

// chartOf draws a measure of the runs, newest first as lists have them; nil where fewer than two have it.
func chartOf(runs []nes.Run, measure string) *chart {
	type value struct {
		run *nes.Run
		n   float64
	}
	var values []value
	low, high := math.Inf(1), math.Inf(-1)
	for i := len(runs) - 1; i >= 0; i-- {
		if n, ok := measured(&runs[i], measure); ok {
			values = append(values, value{&runs[i], n})
			low, high = min(low, n), max(high, n)
		}
	}
	if len(values) < 2 {
		return nil
	}
	c := &chart{Measure: measure, Low: figure(low, measure), High: figure(high, measure), From: values[0].run.CreatedAt, To: values[len(values)-1].run.CreatedAt}
	var line strings.Builder
	for i, v := range values {
		p := point{
			Run: v.run.ID, Class: badgeOf(*v.run).Class, X: chartEdge + (chartWidth-2*chartEdge)*float64(i)/float64(len(values)-1), Y: chartHeight / 2,
			Title: v.run.CreatedAt.UTC().Format("2006-01-02 15:04") + ": " + figure(v.n, measure),
		}
		if high > low {
			// Halves, so that the difference of large numbers of unlike signs is still a number.
			p.Y = chartEdge + (chartHeight-2*chartEdge)*((high/2-v.n/2)/(high/2-low/2))
		}
		c.Points = append(c.Points, p)
		fmt.Fprintf(&line, "%c%.1f %.1f", "ML"[min(i, 1)], p.X, p.Y)
	}
	c.Line = line.String()
	return c
}
