package bundle

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
)

// Limits of a bundle that is read; 0 is none.
type Limits struct {
	Files    int   // entries of every kind, and directories that only paths name
	FileSize int64 // of one file, in bytes
	TreeSize int64 // of all files together, in bytes
	Depth    int   // elements of a path
}

// ErrTooLarge is in the chain of an error about a limit.
var ErrTooLarge = errors.New("larger than allowed")

// ErrForbidden is in the chain of an error about an entry that no bundle may hold, however often it is sent.
var ErrForbidden = errors.New("not allowed in a bundle")

// implied is the kind of a directory that has no entry of its own so far, but something below it.
const implied Kind = 0

// maxTarget of a link, in bytes: what Linux takes.
const maxTarget = 4095

// Reader reads a bundle and trusts nothing in it: what it gives is safe to unpack.
// Whether links stay inside is known at the end alone: see [Reader.Check].
type Reader struct {
	zstd   *zstd.Decoder
	tar    *tar.Reader
	limits Limits
	seen   map[string]Kind
	links  map[string]string
	size   int64
	notes  []string
}

// NewReader reads a bundle from r. Close it in the end.
func NewReader(r io.Reader, limits Limits) (*Reader, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		return nil, err
	}
	return &Reader{zstd: z, tar: tar.NewReader(z), limits: limits, seen: map[string]Kind{}, links: map[string]string{}}, nil
}

// Close frees what the reader holds. It does not close the reader below.
func (r *Reader) Close() { r.zstd.Close() }

// Next moves to the next entry; io.EOF after the last one.
func (r *Reader) Next() (Entry, error) {
	h, err := r.tar.Next()
	if errors.Is(err, io.EOF) {
		return Entry{}, io.EOF
	}
	if err != nil {
		return Entry{}, fmt.Errorf("read the archive: %w", err)
	}
	e := Entry{Path: strings.TrimSuffix(h.Name, "/"), Kind: Kind(h.Typeflag), Executable: h.Mode&0o111 != 0}
	switch e.Kind {
	case File:
		e.Size = h.Size
	case Link:
		e.Target = h.Linkname
	case Dir:
		e.Executable = false
	default:
		return Entry{}, fmt.Errorf("%q is neither a file, a directory nor a symbolic link: %w", h.Name, ErrForbidden)
	}
	if text := h.PAXRecords[notesRecord]; text != "" && len(r.seen) == 0 {
		_ = json.Unmarshal([]byte(text), &r.notes) // they are for people; without them the bundle is as good
	}
	if err := r.allow(e); err != nil {
		return e, err
	}
	return e, r.count(e)
}

// Read reads the content of the current file.
func (r *Reader) Read(p []byte) (int, error) { return r.tar.Read(p) }

// Notes say what of the tree is not in the bundle. They are known after the first Next.
func (r *Reader) Notes() []string { return r.notes }

// Links maps the path of every link so far to its target.
func (r *Reader) Links() map[string]string { return r.links }

// Check reports the first link that leaves the tree. Call it after io.EOF.
func (r *Reader) Check() error {
	for link := range r.links {
		if _, ok := Resolve(r.links, link); !ok {
			return fmt.Errorf("the link %q leads out of the tree: %w", link, ErrForbidden)
		}
	}
	return nil
}

// allow refuses what cannot be unpacked safely, and takes note of the rest.
func (r *Reader) allow(e Entry) error {
	if err := checkPath(e.Path, r.limits.Depth); err != nil {
		return err
	}
	if kind, there := r.seen[e.Path]; there && (kind != implied || e.Kind != Dir) {
		return fmt.Errorf("%q is there twice: %w", e.Path, ErrForbidden)
	}
	if len(e.Target) > maxTarget {
		return fmt.Errorf("the target of the link %q is longer than %d bytes: %w", e.Path, maxTarget, ErrForbidden)
	}
	for p := parent(e.Path); p != ""; p = parent(p) {
		switch kind, there := r.seen[p]; {
		case !there:
			r.seen[p] = implied
		case kind != Dir && kind != implied:
			return fmt.Errorf("%q lies below %q, which is no directory: %w", e.Path, p, ErrForbidden)
		}
	}
	r.seen[e.Path] = e.Kind
	if e.Kind == Link {
		r.links[e.Path] = e.Target
	}
	return nil
}

// count holds the bundle so far to the limits. Directories without an entry count too: they are made all the same.
func (r *Reader) count(e Entry) error {
	r.size += e.Size
	switch l := r.limits; {
	case l.Files > 0 && len(r.seen) > l.Files:
		return fmt.Errorf("more than %d files: %w", l.Files, ErrTooLarge)
	case l.FileSize > 0 && e.Size > l.FileSize:
		return fmt.Errorf("%q has %d bytes: %w", e.Path, e.Size, ErrTooLarge)
	case l.TreeSize > 0 && r.size > l.TreeSize:
		return fmt.Errorf("more than %d bytes in all: %w", l.TreeSize, ErrTooLarge)
	}
	return nil
}

// CheckName says why an element of a path may not be in a bundle; nil when it may.
func CheckName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("%q is no name", name)
	case strings.ContainsAny(name, "/\\\x00") || !utf8.ValidString(name) || strings.IndexFunc(name, unicode.IsControl) >= 0:
		return fmt.Errorf("%q holds a slash, a backslash, a control character, or is not UTF-8", name)
	case len(name) > 255:
		return fmt.Errorf("%q is longer than 255 bytes", name[:40]+"...")
	case isDotGit(name):
		return fmt.Errorf("%q stands for a .git directory", name)
	default:
		return nil
	}
}

func checkPath(p string, depth int) error {
	names := strings.Split(p, "/")
	if depth > 0 && len(names) > depth {
		return fmt.Errorf("a path has more than %d elements: %w", depth, ErrTooLarge)
	}
	for _, name := range names {
		if err := CheckName(name); err != nil {
			return fmt.Errorf("the path %q: %w: %w", p, err, ErrForbidden)
		}
	}
	return nil
}

// isDotGit knows the spellings that some file system takes for ".git": any case,
// trailing dots and spaces and streams (NTFS), its short name, and ignored characters (HFS+).
func isDotGit(name string) bool {
	plain := strings.Map(func(r rune) rune {
		if (r >= 0x200B && r <= 0x200F) || (r >= 0x202A && r <= 0x202E) || (r >= 0x206A && r <= 0x206F) || r == 0xFEFF {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
	plain, _, _ = strings.Cut(plain, ":")
	plain = strings.TrimRight(plain, ". ")
	return plain == ".git" || plain == "git~1"
}
