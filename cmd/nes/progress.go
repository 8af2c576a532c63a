package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/footprint"
)

// printer shows how far a run is: one line that is written over in a terminal, a line
// for each step elsewhere.
type printer struct {
	w        *os.File
	terminal bool
	started  time.Time

	mu    sync.Mutex
	line  string // what the terminal's line says
	said  string // the last plain line
	ended bool
}

func newPrinter(w *os.File) *printer {
	return &printer{w: w, terminal: term.IsTerminal(int(w.Fd())) && os.Getenv("TERM") != "dumb", started: time.Now()}
}

// say writes a line of its own.
func (p *printer) say(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintln(p.w, text)
	p.draw()
}

// close takes the progress line away.
func (p *printer) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	p.line, p.ended = "", true
}

func (p *printer) clear() {
	if p.terminal && p.line != "" {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

func (p *printer) draw() {
	if !p.terminal || p.line == "" || p.ended {
		return
	}
	width, _, err := term.GetSize(int(p.w.Fd()))
	if err != nil || width < 20 {
		width = 80
	}
	fmt.Fprint(p.w, "\r\x1b[K"+cutTo(p.line+"  "+clock(time.Since(p.started)), width-1))
}

// shrinkPace is how often at most memory is given back while a notebook runs in this process.
const shrinkPace = 200 * time.Millisecond

// watch follows the run's events until ctx ends.
func (p *printer) watch(ctx context.Context, ses *session, id nes.RunID) {
	if p.terminal {
		stop := p.tick(ctx)
		defer stop()
	}
	var shrunk time.Time
	for e, err := range ses.Events(ctx, id, 0) {
		if err != nil {
			return // the wait beside says what is wrong
		}
		if e.Progress != nil {
			p.progress(e.Progress)
		} else {
			p.stage(e.Stage, e.Message)
		}
		if ses.embedded() && time.Since(shrunk) > shrinkPace {
			footprint.Shrink() // what fetching and launching needed is not needed any more
			shrunk = time.Now()
		}
	}
}

// tick keeps the clock of the line going.
func (p *printer) tick(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		t := time.NewTicker(time.Second)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				p.mu.Lock()
				p.draw()
				p.mu.Unlock()
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// stages that are worth a word.
var stageWords = map[nes.Stage]string{
	nes.StageQueued: "waiting for a place", nes.StageFetching: "fetching", nes.StageWaiting: "waiting", nes.StageScheduling: "starting",
	nes.StageStarting: "starting the kernel", nes.StageExecuting: "executing", nes.StageSaving: "saving",
}

func (p *printer) stage(s nes.Stage, message string) {
	word := stageWords[s]
	if word == "" {
		return
	}
	if s == nes.StageWaiting && message != "" {
		word += ": " + message
	}
	p.show(word, s != nes.StageQueued && s != nes.StageScheduling)
}

func (p *printer) progress(g *nes.Progress) {
	if g.Total == 0 {
		return
	}
	text := fmt.Sprintf("[%d/%d]", g.Done, g.Total)
	if g.Label != "" {
		text += " " + firstLine(g.Label)
	}
	if g.Fraction != nil {
		text += fmt.Sprintf(" %d%%", int(*g.Fraction*100))
	}
	p.show(text, true)
}

// show replaces the line; plain says whether it is worth a line where none can be replaced.
func (p *printer) show(text string, plain bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text = printable(text)
	if p.ended || text == p.said {
		return
	}
	p.said = text
	if p.terminal {
		p.line = text
		p.draw()
	} else if plain {
		fmt.Fprintln(p.w, text)
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

// printable takes out what would move the cursor or change colours.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || 0x80 <= c && c < 0xa0 {
			return -1
		}
		return c
	}, s)
}

// cutTo shortens a line to a number of characters.
func cutTo(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:max(0, width-1)]) + "…"
}

// clock writes a time as 0:42 or 1:02:03.
func clock(d time.Duration) string {
	s := int(d.Seconds())
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}
