package reduce

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/nes-run/nes/internal/jsonspan"
	"github.com/nes-run/nes/runner/journal"
)

// maxLogged is how much of a display's or a word's text the log shows, in bytes.
const maxLogged = 4 << 10

// Log makes the plain-text log out of a journal as it grows: when cells start and how they end, what they print,
// the text of displays, tracebacks, what the driver says, and the end. It holds no escape sequences. A line that was
// written over (\r, backspace) is shown as it was at its end. Any split of the journal gives the same text.
type Log struct {
	lines lines
	out   bytes.Buffer
	text  screen
	cell  int // whose text is under way
	ended bool
}

// NewLog returns the log of an empty journal.
func NewLog() *Log { return &Log{cell: -1} }

// Feed takes the journal's next bytes and returns the text that they add to the log. The lines of the result are complete.
func (l *Log) Feed(chunk []byte) []byte {
	l.lines.feed(chunk, func(_ int64, text []byte) { l.line(text) })
	text := l.out.Bytes()
	l.out = bytes.Buffer{} // the text is the caller's now
	return text
}

func (l *Log) line(text []byte) {
	if l.ended {
		return
	}
	r, ok := read(0, text)
	if !ok {
		return
	}
	if r.kind == string(journal.KindMsg) {
		l.message(&r)
		return
	}
	if j, ok := r.line(); ok {
		l.note(&j)
	}
}

// note takes a line that is no message.
func (l *Log) note(j *journal.Line) {
	switch j.K {
	case journal.KindStart:
		l.start(j)
	case journal.KindCellStart:
		l.say(j, "cell %d", index(j))
	case journal.KindCellEnd:
		l.cellEnd(j)
	case journal.KindWord:
		l.word(j)
	case journal.KindLog:
		l.say(j, "%s", plainText(j.Text))
	case journal.KindExit:
		l.exit(j)
	}
}

// say writes a line of our own, with its time.
func (l *Log) say(j *journal.Line, format string, args ...any) {
	l.flush()
	t := min(seconds(j.T), maxTime)
	fmt.Fprintf(&l.out, "[%s] %s\n", timeOf(t).Format("2006-01-02 15:04:05"), fmt.Sprintf(format, args...))
}

func (l *Log) start(j *journal.Line) {
	if j.Kernel == nil {
		l.say(j, "the kernel is ready")
		return
	}
	l.say(j, "kernel %s is ready", plainText(short(j.Kernel.Name, maxLabel)))
}

func (l *Log) cellEnd(j *journal.Line) {
	took := fmt.Sprintf("%.2f s", seconds(j.Wall))
	switch {
	case j.Status == journal.CellOK:
		l.say(j, "cell %d done in %s", index(j), took)
	case j.Error != nil:
		l.say(j, "cell %d %s after %s: %s: %s", index(j), how(j.Status), took, plainText(short(j.Error.Name, maxLabel)), oneLine(j.Error.Value))
	default:
		l.say(j, "cell %d %s after %s", index(j), how(j.Status), took)
	}
}

func how(s journal.CellStatus) string {
	switch s {
	case journal.CellError:
		return "failed"
	case journal.CellAllowed:
		return "raised what it may raise"
	case journal.CellDied:
		return "ended with its kernel"
	case journal.CellTimedOut:
		return "was out of time"
	}
	return "was stopped"
}

func index(j *journal.Line) int {
	if j.Cell == nil {
		return -1
	}
	return *j.Cell
}

func (l *Log) message(r *record) {
	if r.kindOf(r.content) != '{' {
		return
	}
	switch r.typ {
	case "stream":
		l.stream(r)
	case "display_data", "execute_result":
		if text := r.string(r.fieldOf(r.fieldOf(r.content, "data"), "text/plain")); text != "" {
			l.block(shorten(text))
		}
	case "error":
		l.block(r.traceback())
	}
}

// traceback is what an error message shows.
func (r *record) traceback() string {
	var trace []string
	for e := range jsonspan.Elements(r.text, r.fieldOf(r.content, "traceback")) {
		trace = append(trace, r.string(e))
	}
	if text := strings.Join(trace, "\n"); text != "" {
		return text
	}
	return r.string(r.fieldOf(r.content, "ename")) + ": " + r.string(r.fieldOf(r.content, "evalue"))
}

func (l *Log) stream(r *record) {
	text := r.fieldOf(r.content, "text")
	if r.kindOf(text) != '"' {
		return
	}
	if r.cell != l.cell {
		l.flush()
		l.cell = r.cell
	}
	if c := r.cutOut(); c != nil {
		l.flush()
		fmt.Fprintf(&l.out, "%s\n", plainText(cutNotice(c)))
	}
	l.out.Grow(text.Len())
	for piece := range jsonspan.Text(text.Of(r.text)[1 : text.Len()-1]) {
		l.text.write(&l.out, piece)
	}
}

// block writes text as lines of its own.
func (l *Log) block(text string) {
	l.flush()
	l.text.write(&l.out, []byte(text))
	l.flush()
}

// flush ends the line that text is in.
func (l *Log) flush() { l.text.end(&l.out) }

func (l *Log) word(j *journal.Line) {
	switch j.Word {
	case "progress":
		return
	case "result", "checkpoint":
		name := ""
		if j.Name != "" {
			name = " " + oneLine(short(j.Name, maxLabel))
		}
		l.say(j, "%s%s: %s", j.Word, name, shorten(oneLine(string(j.Value))))
	case "skip", "not_ready":
		l.say(j, "%s: %s", strings.ReplaceAll(j.Word, "_", " "), oneLine(*reason(j.Value)))
	}
}

func (l *Log) exit(j *journal.Line) {
	switch {
	case j.Reason == "":
		l.say(j, "done")
	case j.Message == "":
		l.say(j, "ended: %s", oneLine(short(j.Reason, maxLabel)))
	default:
		l.say(j, "ended: %s: %s", oneLine(short(j.Reason, maxLabel)), oneLine(j.Message))
	}
	l.ended = true
}

func shorten(text string) string {
	if len(text) <= maxLogged {
		return text
	}
	return fmt.Sprintf("%s... (%d bytes)", short(text, maxLogged), len(text))
}

// oneLine is text without line ends.
func oneLine(text string) string { return strings.ReplaceAll(plainText(text), "\n", " ") }

// plainText is text without escape sequences and control characters.
func plainText(text string) string {
	var s screen
	var out bytes.Buffer
	s.write(&out, []byte(text))
	s.end(&out)
	return strings.TrimSuffix(out.String(), "\n")
}
