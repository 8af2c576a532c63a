package gitsource

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/bundle"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// maxNotes bounds how many things that were left out are named.
const maxNotes = 20

// plan is what of a tree goes into its bundle. It is made, and every limit is checked, before a byte is written.
type plan struct {
	objects storer.EncodedObjectStorer
	limits  Limits
	entries []planned
	links   map[string]string
	size    int64
	seen    int // entries of every kind, also those left out
	notes   []string
	omitted int
}

type planned struct {
	bundle.Entry
	blob plumbing.Hash
}

func planTree(objects storer.EncodedObjectStorer, tree plumbing.Hash, l Limits) (*plan, error) {
	p := &plan{objects: objects, limits: l, links: map[string]string{}}
	if err := p.walk(tree, "", 1); err != nil {
		return nil, err
	}
	p.dropLinksThatLeave()
	if err := p.notePointers(); err != nil {
		return nil, err
	}
	if p.omitted > maxNotes {
		p.notes = append(p.notes, fmt.Sprintf("%d more entries were left out", p.omitted-maxNotes))
	}
	return p, nil
}

func (p *plan) walk(tree plumbing.Hash, dir string, depth int) error {
	if depth > p.limits.Depth {
		return tooLarge("a path has more than %d elements", p.limits.Depth)
	}
	t, err := object.GetTree(p.objects, tree)
	if err != nil {
		return fmt.Errorf("read the tree of %q: %w", dir, err)
	}
	names := make(map[string]bool, len(t.Entries))
	folded := make(map[string]string, len(t.Entries))
	for _, e := range t.Entries {
		if p.seen++; p.seen > p.limits.Files {
			return tooLarge("it has more than %d files", p.limits.Files)
		}
		if err := bundle.CheckName(e.Name); err != nil || names[e.Name] {
			p.omit("%q in %q, whose name is not safe", shorten(e.Name), dir)
			continue
		}
		names[e.Name] = true
		full := path.Join(dir, e.Name)
		if other, collides := folded[strings.ToLower(e.Name)]; collides {
			p.note("%q and %q differ in case alone", path.Join(dir, other), e.Name)
		}
		folded[strings.ToLower(e.Name)] = e.Name
		if err := p.add(full, e, depth); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) add(full string, e object.TreeEntry, depth int) error {
	switch e.Mode {
	case filemode.Dir:
		p.entries = append(p.entries, planned{Entry: bundle.Entry{Path: full, Kind: bundle.Dir}})
		return p.walk(e.Hash, full, depth+1)
	case filemode.Symlink:
		return p.addLink(full, e.Hash)
	case filemode.Submodule:
		p.entries = append(p.entries, planned{Entry: bundle.Entry{Path: full, Kind: bundle.Dir}})
		p.note("%q is a submodule: its directory is empty", full)
		return nil
	case filemode.Regular, filemode.Deprecated, filemode.Executable:
		return p.addFile(full, e)
	default:
		p.omit("%q, whose mode %s is not known", full, e.Mode)
		return nil
	}
}

func (p *plan) addFile(full string, e object.TreeEntry) error {
	size, err := p.objects.EncodedObjectSize(e.Hash)
	if err != nil {
		return fmt.Errorf("look up %q: %w", full, err)
	}
	if size > p.limits.FileSize {
		return tooLarge("%q has %d bytes, %d are allowed for a file", full, size, p.limits.FileSize)
	}
	if p.size += size; p.size > p.limits.TreeSize {
		return tooLarge("its files have more than %d bytes together", p.limits.TreeSize)
	}
	p.entries = append(p.entries, planned{bundle.Entry{Path: full, Kind: bundle.File, Size: size, Executable: e.Mode == filemode.Executable}, e.Hash})
	return nil
}

func (p *plan) addLink(full string, hash plumbing.Hash) error {
	size, err := p.objects.EncodedObjectSize(hash)
	if err != nil {
		return fmt.Errorf("look up %q: %w", full, err)
	}
	if size == 0 || size > 4095 {
		p.omit("the link %q, whose target has %d bytes", full, size)
		return nil
	}
	r, err := p.open(hash)
	if err != nil {
		return err
	}
	defer r.Close()
	target, err := io.ReadAll(io.LimitReader(r, 4096))
	if err != nil {
		return fmt.Errorf("read the link %q: %w", full, err)
	}
	p.links[full] = string(target)
	p.entries = append(p.entries, planned{Entry: bundle.Entry{Path: full, Kind: bundle.Link, Target: string(target)}})
	return nil
}

func (p *plan) open(hash plumbing.Hash) (io.ReadCloser, error) {
	blob, err := object.GetBlob(p.objects, hash)
	if err != nil {
		return nil, err
	}
	return blob.Reader()
}

// dropLinksThatLeave takes out links that end outside, which only the whole tree shows.
func (p *plan) dropLinksThatLeave() {
	kept := p.entries[:0]
	for _, e := range p.entries {
		if e.Kind == bundle.Link {
			if _, inside := bundle.Resolve(p.links, e.Path); !inside || strings.ContainsRune(e.Target, 0) {
				p.omit("the link %q, which leads out of the repository", e.Path)
				continue
			}
		}
		kept = append(kept, e)
	}
	p.entries = kept
}

// write makes the bundle.
func (p *plan) write(w io.Writer, modified time.Time) error {
	out, err := bundle.NewWriter(w, modified, p.notes)
	if err != nil {
		return err
	}
	for _, e := range p.entries {
		if err := p.writeEntry(out, e); err != nil {
			return err
		}
	}
	return out.Close()
}

func (p *plan) writeEntry(out *bundle.Writer, e planned) error {
	if e.Kind != bundle.File {
		return out.Add(e.Entry, nil)
	}
	r, err := p.open(e.blob)
	if err != nil {
		return fmt.Errorf("open %q: %w", e.Path, err)
	}
	return errors.Join(out.Add(e.Entry, r), r.Close())
}

func (p *plan) omit(format string, args ...any) {
	if p.omitted++; p.omitted <= maxNotes {
		p.notes = append(p.notes, "left out: "+fmt.Sprintf(format, args...))
	}
}

func (p *plan) note(format string, args ...any) {
	if len(p.notes) < 2*maxNotes {
		p.notes = append(p.notes, fmt.Sprintf(format, args...))
	}
}

func tooLarge(format string, args ...any) error {
	return fail(nes.ReasonSourceTooLarge, nil, "the repository is larger than a fetch may be: "+format, args...)
}

// writeBundle writes the tree of a commit to a new file.
func writeBundle(objects storer.EncodedObjectStorer, commit *object.Commit, file string, l Limits) (*plan, error) {
	p, err := planTree(objects, commit.TreeHash, l)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return p, errors.Join(p.write(f, commit.Committer.When), f.Close())
}
