package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// enter opens a directory of r. os.Root alone would follow a link that stays inside it.
func enter(r *os.Root, name string) (*os.Root, error) {
	info, err := r.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "enter", Path: name, Err: unix.ENOTDIR}
	}
	return r.OpenRoot(name)
}

// find opens the directory below the bucket's; one that is not there, or no directory, is fs.ErrNotExist.
func (b *Bucket) find(dirs []string) (*os.Root, error) {
	at, err := b.root.OpenRoot(".")
	if err != nil {
		return nil, err
	}
	for _, name := range dirs {
		next, err := enter(at, name)
		at.Close()
		if errors.Is(err, unix.ENOTDIR) {
			return nil, fs.ErrNotExist
		}
		if err != nil {
			return nil, err
		}
		at = next
	}
	return at, nil
}

// place is where the file of an object is, or will be.
type place struct {
	dir  *os.Root
	name string
	info fs.FileInfo // nil where there is no regular file
}

func (p *place) close() { p.dir.Close() }

// generation of the object there; 0 where there is none.
func (p *place) generation() int64 {
	if p.info == nil {
		return 0
	}
	return generation(p.info)
}

// locate finds the file of an object. Its directory not being there is fs.ErrNotExist.
func (b *Bucket) locate(key string) (*place, error) {
	dirs, base := split(key)
	dir, err := b.find(dirs)
	if err != nil {
		return nil, err
	}
	return settle(dir, base)
}

// settle looks at name in dir, which it takes over.
func settle(dir *os.Root, name string) (*place, error) {
	info, err := dir.Lstat(name)
	if err == nil && info.IsDir() {
		inner, err := dir.OpenRoot(name)
		dir.Close()
		if err != nil {
			return nil, err
		}
		return settle(inner, selfFile)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		dir.Close()
		return nil, err
	}
	p := &place{dir: dir, name: name}
	if err == nil && info.Mode().IsRegular() {
		p.info = info
	}
	return p, nil
}

// prepare finds the place for an object's file and makes its directories. It
// also returns the directories that got new names, to be synced; the caller closes them.
func (b *Bucket) prepare(key string) (p *place, changed []*os.Root, err error) {
	dirs, base := split(key)
	at, err := b.root.OpenRoot(".")
	if err != nil {
		return nil, nil, err
	}
	for _, name := range dirs {
		made, err := b.makeDir(at, name)
		if err != nil {
			at.Close()
			return nil, changed, err
		}
		next, err := enter(at, name)
		if made {
			changed = append(changed, at)
		} else {
			at.Close()
		}
		if err != nil {
			return nil, changed, err
		}
		at = next
	}
	p, err = settle(at, base)
	return p, changed, err
}

// makeDir makes the directory name in r, unless it is there. Where an object has that name, it moves inside.
func (b *Bucket) makeDir(r *os.Root, name string) (made bool, err error) {
	err = r.Mkdir(name, 0o755)
	if err == nil || !errors.Is(err, fs.ErrExist) {
		return err == nil, err
	}
	info, err := r.Lstat(name)
	if err != nil || info.IsDir() {
		return false, err
	}
	if !info.Mode().IsRegular() {
		return false, fmt.Errorf("%s is neither file nor directory (links are not followed): %w", name, unix.ENOTDIR)
	}
	return true, b.moveInside(r, name)
}

// moveInside turns the file name into a directory that holds it. The two are
// exchanged in one step, so that the object is there at every moment, also in a crash.
func (b *Bucket) moveInside(r *os.Root, name string) error {
	temp := tempName()
	if err := b.temp.Mkdir(temp, 0o755); err != nil {
		return err
	}
	defer func() { _ = b.temp.RemoveAll(temp) }()
	inner, err := b.temp.OpenRoot(temp)
	if err != nil {
		return err
	}
	defer inner.Close()
	return with(r, func(from int) error {
		err := with(inner, func(to int) error { return unix.Linkat(from, name, to, selfFile, 0) })
		if err != nil {
			return err
		}
		if err := syncDir(inner); err != nil {
			return err
		}
		return with(b.temp, func(to int) error {
			return unix.Renameat2(from, name, to, temp, unix.RENAME_EXCHANGE)
		})
	})
}

// with calls f with a descriptor of r, for calls that os.Root does not have.
func with(r *os.Root, f func(fd int) error) error {
	d, err := r.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return f(int(d.Fd()))
}

// syncDir makes the names in r durable.
func syncDir(r *os.Root) error { return with(r, unix.Fsync) }

// prune removes directories that became empty, the deepest first. Called with names held.
func (b *Bucket) prune(dirs []string) {
	for n := len(dirs); n > 0; n-- {
		parent, err := b.find(dirs[:n-1])
		if err != nil {
			return
		}
		err = parent.Remove(dirs[n-1])
		parent.Close()
		if err != nil {
			return // not empty
		}
	}
}

func readNames(r *os.Root) ([]fs.DirEntry, error) {
	d, err := r.Open(".")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.ReadDir(-1)
}
