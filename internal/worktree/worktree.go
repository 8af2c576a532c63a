package worktree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/bundle"
)

// Options of opening a tree; 0 is the default in parentheses.
type Options struct {
	Files int   // entries at most (20,000)
	Size  int64 // bytes of all files at most (512 MiB)
	// DataDir is NES's own directory, which is never taken along; empty is none.
	DataDir string
}

// Tree is what belongs to a notebook.
type Tree struct {
	Root     string // absolute
	Notebook string // slash-separated path below Root
	// Repository is the canonical name of the origin, such as github.com/acme/reports,
	// without credential; where there is none, local/ and the name of Root.
	Repository string
	Commit     string // that the tree is based on; empty without Git
	Dirty      bool   // differs from Commit
	// Notes say what is not in the bundle, and why. Sorted.
	Notes []string

	entries []bundle.Entry // in the order of the bundle
}

// Open finds what belongs to the notebook at path. It reads no file's content. The
// error is a *nes.Error that says how to mend it.
func Open(ctx context.Context, path string, o Options) (*Tree, error) {
	o.Files, o.Size = orDefault(o.Files, 20_000), orDefault(o.Size, 512<<20)
	notebook, err := find(path)
	if err != nil {
		return nil, err
	}
	t, paths, err := openGit(ctx, notebook)
	if err != nil {
		return nil, err
	}
	if t == nil {
		t = &Tree{Root: filepath.Dir(notebook)}
	}
	if err := t.locate(notebook); err != nil {
		return nil, err
	}
	c := &collector{tree: t, options: o, own: ownDirs(t.Root, o.DataDir), seen: map[string]bool{}, links: map[string]string{}}
	if dir := c.own.above(t.Notebook); dir != "" {
		return nil, nes.Errorf(nes.CodeInvalid, "%s lies in a data directory of NES, %s: put it elsewhere", path, filepath.Join(t.Root, dir))
	}
	return t, c.collect(paths)
}

func orDefault[T int | int64](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// find returns the real place of the notebook.
func find(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", nes.Errorf(nes.CodeInvalid, "there is no file %s: check the path, or give the notebook's address in Git", path)
	}
	if err != nil {
		return "", nes.Errorf(nes.CodeInvalid, "find %s: %w", path, err)
	}
	info, err := os.Stat(abs)
	if err != nil || !info.Mode().IsRegular() {
		return "", nes.Errorf(nes.CodeInvalid, "%s is not a file: name a notebook (.ipynb)", path)
	}
	return abs, nil
}

func (t *Tree) locate(notebook string) error {
	rel, err := filepath.Rel(t.Root, notebook)
	if err != nil || !filepath.IsLocal(rel) {
		return nes.Errorf(nes.CodeInvalid, "%s is not below %s", notebook, t.Root)
	}
	t.Notebook = filepath.ToSlash(rel)
	if t.Repository == "" {
		t.Repository = "local/" + filepath.Base(t.Root)
	}
	return nil
}

// Address is the input address of the notebook in the uploaded bundle with that digest.
func (t *Tree) Address(sha256 string) string {
	q := url.Values{"repository": {t.Repository}}
	if t.Commit != "" {
		q.Set("commit", t.Commit)
	}
	if t.Dirty {
		q.Set("dirty", "1")
	}
	u := url.URL{Scheme: "bundle", Host: sha256, Path: "/" + t.Notebook, RawQuery: q.Encode()}
	return u.String()
}

// leftOut are directories that can be made again and are large, or are nobody's business.
var leftOut = []string{".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox"}

// collector makes entries of paths.
type collector struct {
	tree    *Tree
	options Options
	own     *own
	seen    map[string]bool
	links   map[string]string
	size    int64
}

// collect takes the given paths, or walks the whole directory where there are none.
func (c *collector) collect(paths []string) error {
	var err error
	if paths == nil {
		err = c.walkRoot()
	} else {
		err = c.takeAll(append(paths, c.tree.Notebook))
	}
	if err != nil {
		return err
	}
	t := c.tree
	t.entries = slices.DeleteFunc(t.entries, func(e bundle.Entry) bool {
		_, inside := bundle.Resolve(c.links, e.Path)
		leaves := e.Kind == bundle.Link && !inside
		if leaves {
			t.note("%s is left out: the link leads out of %s", e.Path, t.Root)
		}
		return leaves
	})
	slices.SortFunc(t.entries, func(a, b bundle.Entry) int { return strings.Compare(a.Path, b.Path) })
	slices.Sort(t.Notes)
	return nil
}

func (t *Tree) note(format string, args ...any) {
	t.Notes = append(t.Notes, fmt.Sprintf(format, args...))
}

// walkRoot refuses directories that are certainly not meant as a notebook's surroundings.
func (c *collector) walkRoot() error {
	home, _ := os.UserHomeDir()
	if c.tree.Root == "/" || c.tree.Root == filepath.Clean(home) {
		return nes.Errorf(nes.CodeTooLarge, "%s is taken along with a notebook that lies in it, and it is too much: put the notebook into a directory of its own", c.tree.Root)
	}
	return c.walk(".")
}

// walk takes everything below a directory but what nobody wants.
func (c *collector) walk(dir string) error {
	return filepath.WalkDir(filepath.Join(c.tree.Root, dir), func(path string, d fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(c.tree.Root, path)
		if relErr != nil {
			return relErr
		}
		if err != nil {
			c.tree.note("%s is left out: it cannot be read", filepath.ToSlash(rel))
			return fs.SkipDir
		}
		switch {
		case d.IsDir() && path != c.tree.Root && slices.Contains(leftOut, d.Name()):
			return fs.SkipDir
		case d.IsDir() && c.own.has(filepath.ToSlash(rel)):
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		return c.take(filepath.ToSlash(rel))
	})
}

func (c *collector) takeAll(paths []string) error {
	for _, p := range paths {
		if err := c.take(p); err != nil {
			return err
		}
	}
	return nil
}

// take adds one path: a file, a link, or a directory that is a repository of its own.
func (c *collector) take(p string) error {
	p = strings.TrimSuffix(p, "/")
	if c.seen[p] || unwanted(p) || c.own.above(p) != "" {
		return nil
	}
	c.seen[p] = true
	info, err := os.Lstat(filepath.Join(c.tree.Root, filepath.FromSlash(p)))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // deleted in the working tree
	case err != nil:
		c.tree.note("%s is left out: it cannot be read", p)
		return nil
	case info.IsDir():
		return c.walk(p)
	}
	return c.add(p, info)
}

func unwanted(p string) bool {
	dir, _, _ := strings.Cut(p, "/")
	for rest := p; ; {
		if slices.Contains(leftOut, dir) {
			return true
		}
		_, after, more := strings.Cut(rest, "/")
		if !more {
			return false
		}
		rest = after
		dir, _, _ = strings.Cut(rest, "/")
	}
}

func (c *collector) add(p string, info fs.FileInfo) error {
	for name := range strings.SplitSeq(p, "/") {
		if bundle.CheckName(name) != nil {
			c.tree.note("%q is left out: its name is not portable", p)
			return nil
		}
	}
	e := bundle.Entry{Path: p, Kind: bundle.File, Size: info.Size(), Executable: info.Mode()&0o111 != 0}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(filepath.Join(c.tree.Root, filepath.FromSlash(p)))
		if err != nil {
			return nil // gone meanwhile
		}
		e = bundle.Entry{Path: p, Kind: bundle.Link, Target: target}
		c.links[p] = target
	case !info.Mode().IsRegular():
		c.tree.note("%s is left out: it is no regular file", p)
		return nil
	}
	c.addParents(p)
	c.tree.entries = append(c.tree.entries, e)
	c.size += e.Size
	return c.check()
}

// addParents adds the directories above a path, which come before it in the order of paths.
func (c *collector) addParents(p string) {
	for i := strings.LastIndexByte(p, '/'); i > 0; i = strings.LastIndexByte(p[:i], '/') {
		if dir := p[:i] + "/"; !c.seen[dir] {
			c.seen[dir] = true
			c.tree.entries = append(c.tree.entries, bundle.Entry{Path: p[:i], Kind: bundle.Dir})
		}
	}
}

func (c *collector) check() error {
	what := ""
	switch {
	case len(c.tree.entries) > c.options.Files:
		what = fmt.Sprintf("more than %d files", c.options.Files)
	case c.size > c.options.Size:
		what = fmt.Sprintf("more than %d MB", c.options.Size>>20)
	default:
		return nil
	}
	cure := "put the notebook into a directory of its own, or let Git know what belongs to it: git init, and a .gitignore"
	if c.tree.Commit != "" {
		cure = "name what does not belong to the notebook in .gitignore, or push it and run it by its address"
	}
	return nes.Errorf(nes.CodeTooLarge, "%s holds %s: %s", c.tree.Root, what, cure)
}
