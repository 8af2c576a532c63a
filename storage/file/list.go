package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/nes-run/nes/storage"
)

const defaultPage = 1000

// List returns a page of keys: see [storage.Bucket]. It holds the page and the
// names of the directories on the way down to its last key, and looks into no others than it must.
func (b *Bucket) List(ctx context.Context, o storage.ListOptions) (storage.Page, error) {
	if o.Limit <= 0 {
		o.Limit = defaultPage
	}
	l := &lister{ctx: ctx, ListOptions: o}
	if rest, ok := strings.CutPrefix(o.After, o.Prefix); ok && o.Delimiter != "" && strings.Contains(rest, o.Delimiter) {
		l.folded = o.After // the page before ended with a prefix
	}
	start := o.Prefix[:strings.LastIndexByte(o.Prefix, '/')+1]
	if start != "" && storage.ValidateKey(strings.TrimSuffix(start, "/")) != nil {
		return storage.Page{}, nil // no key begins like that
	}
	dir, err := b.find(elements(start))
	if err == nil {
		err = l.walk(dir, start)
		dir.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errFull) {
		return storage.Page{}, fault("list", o.Prefix, err)
	}
	return l.page, nil
}

func elements(dir string) []string {
	if dir == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(dir, "/"), "/")
}

// errFull ends a walk when the page is full and there is more.
var errFull = errors.New("page is full")

// lister fills one page.
type lister struct {
	storage.ListOptions
	ctx    context.Context
	page   storage.Page
	last   string // key or prefix last put on the page
	folded string // prefix whose keys are on the page by its name
}

// name in a directory, in the order of the keys that it stands for: those of
// directory a, a/..., come behind a-b and before a0.
type name struct {
	text string
	dir  bool
	info fs.FileInfo // of the object of a directory's name
}

func (n name) order() string {
	if n.dir {
		return n.text + "/"
	}
	return n.text
}

// walk lists the keys below dir, all of which begin with prefix.
func (l *lister) walk(dir *os.Root, prefix string) error {
	names, err := l.names(dir, prefix)
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := l.ctx.Err(); err != nil {
			return err
		}
		err := l.visit(dir, prefix, n)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // deleted meanwhile
			return err
		}
	}
	return nil
}

func (l *lister) visit(dir *os.Root, prefix string, n name) error {
	key := prefix + n.text
	if !n.dir {
		return l.object(dir, key, n)
	}
	if l.isFolded(key + "/") {
		return nil
	}
	inner, err := enter(dir, n.text)
	if err != nil {
		return err
	}
	defer inner.Close()
	return l.walk(inner, key+"/")
}

// names of a directory that may matter for this page, in order.
func (l *lister) names(dir *os.Root, prefix string) ([]name, error) {
	entries, err := readNames(dir)
	if err != nil {
		return nil, err
	}
	names := make([]name, 0, len(entries))
	for _, e := range entries {
		key := prefix + e.Name()
		switch {
		case storage.ValidateKey(key) != nil: // ours, or put there by somebody else
		case e.Type().IsRegular():
			if l.wanted(key) {
				names = append(names, name{text: e.Name()})
			}
		case e.IsDir():
			if l.wanted(key) {
				names = append(names, ownObject(dir, e.Name())...)
			}
			if l.mayHold(key + "/") {
				names = append(names, name{text: e.Name(), dir: true})
			}
		}
	}
	slices.SortFunc(names, func(a, b name) int { return strings.Compare(a.order(), b.order()) })
	return names, nil
}

// ownObject is the object that has a directory's name, if there is one.
func ownObject(dir *os.Root, text string) []name {
	info, err := dir.Lstat(text + "/" + selfFile)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return []name{{text: text, info: info}}
}

// wanted reports whether key can be on this page.
func (l *lister) wanted(key string) bool {
	return strings.HasPrefix(key, l.Prefix) && key > l.After && !l.isFolded(key)
}

// mayHold reports whether keys that begin with dir can be on this page.
func (l *lister) mayHold(dir string) bool {
	within := strings.HasPrefix(dir, l.Prefix) || strings.HasPrefix(l.Prefix, dir)
	behind := dir > l.After || strings.HasPrefix(l.After, dir)
	return within && behind && !l.isFolded(dir)
}

func (l *lister) isFolded(key string) bool {
	return l.folded != "" && strings.HasPrefix(key, l.folded)
}

// object puts a key on the page, or the prefix that it is folded into.
func (l *lister) object(dir *os.Root, key string, n name) error {
	if l.isFolded(key) {
		return nil
	}
	info, err := lookAt(dir, n)
	if err != nil {
		return err
	}
	if len(l.page.Objects)+len(l.page.Prefixes) == l.Limit {
		l.page.Next = l.last
		return errFull
	}
	if fold := l.fold(key); fold != "" {
		l.folded, l.last = fold, fold
		l.page.Prefixes = append(l.page.Prefixes, fold)
		return nil
	}
	l.last = key
	l.page.Objects = append(l.page.Objects, object(key, info))
	return nil
}

// lookAt describes the file of a name, which may have moved inside a directory since the name was read.
func lookAt(dir *os.Root, n name) (fs.FileInfo, error) {
	if n.info != nil {
		return n.info, nil
	}
	info, err := dir.Lstat(n.text)
	if err != nil || !info.IsDir() {
		return info, err
	}
	if own := ownObject(dir, n.text); len(own) > 0 {
		return own[0].info, nil
	}
	return nil, fs.ErrNotExist
}

// fold is the prefix that stands for key in a listing with a delimiter; empty where the key stands for itself.
func (l *lister) fold(key string) string {
	if l.Delimiter == "" {
		return ""
	}
	i := strings.Index(key[len(l.Prefix):], l.Delimiter)
	if i < 0 {
		return ""
	}
	return key[:len(l.Prefix)+i+len(l.Delimiter)]
}
