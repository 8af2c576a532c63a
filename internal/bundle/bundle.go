// Package bundle is the format in which the tree of a repository is kept: a
// tar.zst archive of regular files, directories and symbolic links that stay
// inside, with relative slash-separated paths and modes 0644 and 0755.
// The same tree always gives the same bytes.
package bundle

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Kind of an entry.
type Kind byte

// The kinds.
const (
	File Kind = tar.TypeReg
	Dir  Kind = tar.TypeDir
	Link Kind = tar.TypeSymlink
)

// Entry of a bundle.
type Entry struct {
	Path       string // relative, without "." or ".." elements
	Kind       Kind
	Executable bool   // of a File
	Size       int64  // of a File, in bytes
	Target     string // of a Link
}

// notesRecord is the extended header of the first entry that carries the notes.
// Programs that unpack archives pass it over.
const notesRecord = "NES.notes"

// Writer writes a bundle. Entries come in the order of the tree, a directory before what is in it.
type Writer struct {
	zstd  *zstd.Encoder
	tar   *tar.Writer
	time  time.Time
	notes []string
}

// NewWriter begins a bundle on w. All entries get the time modified; notes say
// what of the tree is not in the bundle and stay with it.
func NewWriter(w io.Writer, modified time.Time, notes []string) (*Writer, error) {
	// One thread and a small window: the bytes depend on nothing else, and memory stays at some MB.
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	return &Writer{zstd: z, tar: tar.NewWriter(z), time: modified.UTC().Truncate(time.Second), notes: notes}, nil
}

// Add appends an entry; r gives the Size bytes of a File and is not read otherwise.
func (w *Writer) Add(e Entry, r io.Reader) error {
	h := &tar.Header{Typeflag: byte(e.Kind), Name: e.Path, Linkname: e.Target, Mode: 0o644, ModTime: w.time, Size: e.Size}
	if e.Executable || e.Kind == Dir {
		h.Mode = 0o755
	}
	if e.Kind == Dir {
		h.Name += "/"
	}
	if len(w.notes) > 0 {
		text, err := json.Marshal(w.notes)
		if err != nil {
			return err
		}
		h.PAXRecords, w.notes = map[string]string{notesRecord: string(text)}, nil
	}
	if err := w.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("add %q: %w", e.Path, err)
	}
	if e.Kind != File {
		return nil
	}
	if n, err := io.Copy(w.tar, r); err != nil || n != e.Size {
		return fmt.Errorf("add %q: %d of %d bytes: %w", e.Path, n, e.Size, orUnexpectedEOF(err))
	}
	return nil
}

// Close completes the bundle. It does not close the writer below.
func (w *Writer) Close() error {
	if err := w.tar.Close(); err != nil {
		return err
	}
	return w.zstd.Close()
}

// maxSteps of following links: enough for any honest tree, and a bound on the work that a hostile one makes.
const maxSteps = 4096

// Resolve follows the links on the way to a path, step by step, and returns where it ends; ok is
// false when that leaves the tree or does not end. links maps the path of every link of the tree to its target.
func Resolve(links map[string]string, name string) (end string, ok bool) {
	at, rest := "", strings.Split(name, "/")
	for hops, steps := 0, 0; len(rest) > 0; steps++ {
		if steps > maxSteps || len(at) > maxTarget {
			return "", false
		}
		step := rest[0]
		rest = rest[1:]
		switch step {
		case "", ".":
			continue
		case "..":
			if at == "" {
				return "", false
			}
			at = parent(at)
			continue
		}
		next := path.Join(at, step)
		target, isLink := links[next]
		if !isLink {
			at = next
			continue
		}
		if hops++; hops > 40 || strings.HasPrefix(target, "/") || target == "" {
			return "", false
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return at, true
}

func parent(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return ""
}

func orUnexpectedEOF(err error) error {
	if err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}
