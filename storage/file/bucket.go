// Package file keeps objects as plain files below one directory: key a/b.ipynb is
// the file a/b.ipynb, for people to read. It does not follow symbolic links, not even
// within the directory, and takes whatever is no regular file for absent.
//
// An object is written to a hidden temporary file, synced, and renamed into
// place; then its directory is synced. Objects a and a/b can both exist: the file of the one
// moves to a/.nes-object when a becomes a directory, in one step.
//
// The generation of an object is its file's modification time in nanoseconds. The bucket sets that time itself, from
// a clock that never gives the same value twice and that goes on behind the generation it replaces;
// so it is unique though two writes share a tick, survives restarts and
// copies, and costs no second file. The directory belongs to one process at a time, which its owner sees to.
package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
)

const (
	tempDir  = storage.ReservedPrefix + "tmp"
	selfFile = storage.ReservedPrefix + "object" // of an object whose name is a directory too
	typeAttr = "user.nes.type"                   // extended attribute; only where the name tells another type
)

var _ storage.Bucket = (*Bucket)(nil)

// Bucket is a directory of objects.
type Bucket struct {
	root *os.Root
	temp *os.Root

	// names is held while the tree of names changes: preconditions and what they guard are one step.
	names sync.Mutex
	clock clock
}

// Open opens the bucket in dir, which it makes where there is none, and removes what a crash left unfinished.
func Open(dir string) (*Bucket, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fault("make bucket", dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault("open bucket", dir, err)
	}
	b := &Bucket{root: root}
	if err := b.openTemp(); err != nil {
		return nil, errors.Join(fault("open bucket", dir, err), root.Close())
	}
	if err := b.probe(); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// Close releases the directory. Objects that are open stay readable.
func (b *Bucket) Close() error {
	if err := errors.Join(b.temp.Close(), b.root.Close()); err != nil {
		return fmt.Errorf("close bucket: %w", err)
	}
	return nil
}

// openTemp opens the directory of unfinished files and empties it of those that nobody writes any more.
func (b *Bucket) openTemp() error {
	if err := b.root.Mkdir(tempDir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	temp, err := enter(b.root, tempDir)
	if err != nil {
		return err
	}
	b.temp = temp
	names, err := readNames(temp)
	if err != nil {
		return err
	}
	for _, e := range names {
		if e.IsDir() || abandoned(temp, e.Name()) {
			if err := temp.RemoveAll(e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// abandoned reports whether no process holds the lock of a temporary file.
func abandoned(temp *os.Root, name string) bool {
	f, err := temp.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return true
	}
	defer f.Close()
	return lock(f) == nil
}

// lock marks f as in use by this process, until it is closed.
func lock(f *os.File) error {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}

// probe makes sure that the file system keeps nanoseconds, on which generations rely.
func (b *Bucket) probe() error {
	f, err := b.newTemp()
	if err != nil {
		return fault("try the file system of bucket", b.root.Name(), err)
	}
	defer f.discard()
	at := time.Unix(1_000_000_000, 123_456_789)
	if err := b.temp.Chtimes(f.name, at, at); err != nil {
		return fault("try the file system of bucket", b.root.Name(), err)
	}
	info, err := f.Stat()
	if err != nil {
		return fault("try the file system of bucket", b.root.Name(), err)
	}
	if !info.ModTime().Equal(at) {
		return nes.Errorf(nes.CodeInvalid, "the file system of %s does not keep times in nanoseconds: put the bucket on another one", b.root.Name())
	}
	return nil
}

// clock gives generations.
type clock struct {
	mu   sync.Mutex
	last int64
}

// after returns the time in nanoseconds, moved on so that it is above floor and everything given before.
func (c *clock) after(floor int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(time.Now().UnixNano(), c.last+1, floor+1)
	return c.last
}

// object describes a regular file; its content type is not filled.
func object(key string, info fs.FileInfo) storage.Object {
	return storage.Object{Key: key, Size: info.Size(), Generation: generation(info), Modified: info.ModTime().UTC()}
}

// generation of a file; 1 stands for 1970, which a file from elsewhere may claim.
func generation(info fs.FileInfo) int64 { return max(info.ModTime().UnixNano(), 1) }

// split takes a key apart: its directories and its last element.
func split(key string) (dirs []string, base string) {
	elements := strings.Split(key, "/")
	return elements[:len(elements)-1], elements[len(elements)-1]
}

// fault turns an error of the file system into one for callers.
func fault(what, key string, err error) error {
	if _, ok := errors.AsType[*nes.Error](err); ok {
		return err
	}
	cause := err
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		cause = p.Err // without the path, which is the server's own
	}
	return &nes.Error{Code: nes.CodeUnavailable, Message: fmt.Sprintf("%s %s: %v", what, key, cause), Err: err}
}

func notFound(key string) error {
	return nes.Errorf(nes.CodeNotFound, "there is no object %s", key)
}
