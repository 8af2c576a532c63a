package reduce

import (
	"bytes"

	"github.com/nes-run/nes/runner/journal"
)

// keepBuffer is the largest buffer that is kept for the next incomplete line.
const keepBuffer = 64 << 10

// lines cuts a journal that comes in pieces into lines. A last line without its end is kept back.
type lines struct {
	end     int64  // bytes fed
	pending []byte // the start of a line
	long    bool   // the line under way is longer than a line may be: drop it
}

// feed calls line for every line that chunk completes, with its offset in the journal and without
// its end; line must not keep the text. It returns how many lines were dropped for their length.
func (l *lines) feed(chunk []byte, line func(offset int64, text []byte)) (dropped int) {
	for len(chunk) > 0 {
		n := bytes.IndexByte(chunk, '\n')
		if n < 0 {
			l.hold(chunk)
			return dropped
		}
		text := chunk[:n]
		if l.long || len(l.pending)+n > journal.MaxLine {
			dropped++
		} else {
			if len(l.pending) > 0 {
				l.pending = append(l.pending, text...)
				text = l.pending
			}
			line(l.end+int64(n-len(text)), text)
		}
		l.end += int64(n) + 1
		chunk = chunk[n+1:]
		l.release()
	}
	return dropped
}

func (l *lines) hold(rest []byte) {
	l.end += int64(len(rest))
	if l.long = l.long || len(l.pending)+len(rest) > journal.MaxLine; l.long {
		l.pending = nil
		return
	}
	l.pending = append(l.pending, rest...)
}

func (l *lines) release() {
	l.long = false
	if l.pending = l.pending[:0]; cap(l.pending) > keepBuffer {
		l.pending = nil
	}
}
