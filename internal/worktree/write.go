package worktree

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/bundle"
)

// entryTime is every entry's, so that the same content gives the same digest. It
// is the first that every archive format can hold.
var entryTime = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// WriteTo writes the bundle to w and returns how many bytes it has. The error
// is a *nes.Error when a file changed meanwhile or cannot be read.
func (t *Tree) WriteTo(w io.Writer) (int64, error) {
	counter := &counter{w: w}
	b, err := bundle.NewWriter(counter, entryTime, t.Notes)
	if err != nil {
		return 0, err
	}
	for _, e := range t.entries {
		if err := t.add(b, e); err != nil {
			return counter.n, err
		}
	}
	return counter.n, b.Close()
}

func (t *Tree) add(b *bundle.Writer, e bundle.Entry) error {
	if e.Kind != bundle.File {
		return b.Add(e, nil)
	}
	f, err := os.Open(filepath.Join(t.Root, filepath.FromSlash(e.Path)))
	if errors.Is(err, fs.ErrPermission) {
		return nes.Errorf(nes.CodeInvalid, "%s may not be read: mend its permissions, or name it in .gitignore", e.Path)
	}
	if err != nil {
		return changed(e.Path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return changed(e.Path, err)
	}
	e.Size = info.Size()
	r := &remembering{r: io.LimitReader(f, e.Size)}
	if err := b.Add(e, r); err != nil && (r.err != nil || r.n < e.Size) {
		return changed(e.Path, err)
	} else if err != nil {
		return err
	}
	return nil
}

func changed(path string, err error) error {
	return &nes.Error{Code: nes.CodeConflict, Message: path + " changed while it was read: run again", Err: err}
}

// counter counts what passes.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// remembering tells an error of reading from one of writing.
type remembering struct {
	r   io.Reader
	n   int64
	err error
}

func (r *remembering) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}
