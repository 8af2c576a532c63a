package reduce

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/nes-run/nes/runner/journal"
)

// errSource marks errors of reading, in contrast to those of writing what was read.
var errSource = errors.New("source")

// source marks its reader's errors.
type source struct{ io.Reader }

// Read reads.
func (s source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", errSource, err)
	}
	return n, err
}

// read passes a blob to w.
func (c *copier) read(b blob, w io.Writer) error {
	r, err := c.src.Blob(b.sha256)
	if err != nil {
		return fmt.Errorf("open blob %.64s: %w", b.sha256, errors.Join(errSource, err))
	}
	_, err = io.Copy(w, source{io.LimitReader(r, journal.MaxBlob)})
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("copy blob %.64s: %w", b.sha256, err)
	}
	return nil
}

// limited holds a text no longer than a line of the journal.
type limited struct{ bytes.Buffer }

// Write writes.
func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > 2*journal.MaxLine {
		return 0, errors.New("text too long")
	}
	return l.Buffer.Write(p)
}
