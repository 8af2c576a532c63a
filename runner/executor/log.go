package executor

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	logHead = 4 << 20
	logTail = 4 << 20
	tailMax = 4 << 10
)

// boundedLog is a file that keeps the first and the last 4 MiB of what is written to it.
// The head is in the file at once; the tail when it is closed.
type boundedLog struct {
	f       *os.File
	pipe    *os.File
	done    chan struct{}
	mu      sync.Mutex
	head    int64
	tail    []byte // the newest logTail bytes beyond the head, in a ring
	next    int
	dropped int64
	last    []byte
	mask    *masker // nil where there are no secrets
}

// newBoundedLog copies everything that comes out of pipe, until its last writer is gone.
func newBoundedLog(f *os.File, pipe *os.File, mask *masker) *boundedLog {
	l := &boundedLog{f: f, pipe: pipe, done: make(chan struct{}), mask: mask}
	go func() {
		defer close(l.done)
		_, _ = io.Copy(l, pipe)
	}()
	return l
}

// finish waits at most so long for the pipe's end, and closes the file.
func (l *boundedLog) finish(wait time.Duration) {
	select {
	case <-l.done:
	case <-time.After(wait):
	}
	l.pipe.Close()
	<-l.done
	if l.mask != nil {
		l.write(l.mask.rest())
	}
	l.writeTail()
	l.f.Close()
}

// Write never fails: a full disk must not block the notebook.
func (l *boundedLog) Write(p []byte) (int, error) {
	if l.mask == nil {
		l.write(p)
	} else {
		l.write(l.mask.pass(p))
	}
	return len(p), nil
}

func (l *boundedLog) write(p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = append(l.last, p[max(0, len(p)-tailMax):]...)
	l.last = append(l.last[:0], l.last[max(0, len(l.last)-tailMax):]...)
	n := int(min(int64(len(p)), logHead-l.head))
	if n > 0 {
		_, _ = l.f.Write(p[:n])
		l.head += int64(n)
	}
	l.keep(p[n:])
}

// keep puts p into the ring and counts what falls out of it.
func (l *boundedLog) keep(p []byte) {
	for len(p) > 0 {
		if len(l.tail) < logTail {
			n := min(len(p), logTail-len(l.tail))
			l.tail = append(l.tail, p[:n]...)
			p = p[n:]
			continue
		}
		n := copy(l.tail[l.next:], p)
		l.next = (l.next + n) % logTail
		l.dropped += int64(n)
		p = p[n:]
	}
}

// Last returns the last 4 KiB that were written.
func (l *boundedLog) Last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.last)
}

// writeTail writes what came behind the head, behind a mark where something was left out.
func (l *boundedLog) writeTail() {
	if l.dropped > 0 {
		fmt.Fprintf(l.f, "\n[... %d bytes left out ...]\n", l.dropped)
	}
	_, _ = l.f.Write(l.tail[l.next:])
	_, _ = l.f.Write(l.tail[:l.next])
}
