package file

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
)

// Put stores an object: see [storage.Bucket].
func (b *Bucket) Put(ctx context.Context, key string, r io.Reader, o storage.PutOptions) (storage.Object, error) {
	if err := storage.ValidateKey(key); err != nil {
		return storage.Object{}, err
	}
	if err := b.precheck(key, o); err != nil {
		return storage.Object{}, fault("store", key, err)
	}
	f, err := b.newTemp()
	if err != nil {
		return storage.Object{}, fault("store", key, err)
	}
	defer f.discard()
	src := &reader{ctx: ctx, r: r}
	size, err := io.Copy(onlyWriter{f}, src)
	if src.err != nil {
		return storage.Object{}, cutShort(key, src.err)
	}
	if err != nil {
		return storage.Object{}, fault("store", key, err)
	}
	if o.ContentType == "" {
		o.ContentType = storage.TypeByName(key)
	}
	generation, err := b.finish(f, key, o)
	if err != nil {
		return storage.Object{}, fault("store", key, err)
	}
	return storage.Object{Key: key, Size: size, Generation: generation, ContentType: o.ContentType, Modified: time.Unix(0, generation).UTC()}, nil
}

// precheck spares the writing of an object whose precondition fails already.
func (b *Bucket) precheck(key string, o storage.PutOptions) error {
	if o.IfGeneration == nil {
		return nil
	}
	_, err := b.check(key, o)
	return err
}

// check compares the current generation with the one wanted, and returns it; 0 is none.
func (b *Bucket) check(key string, o storage.PutOptions) (int64, error) {
	current := int64(0)
	p, err := b.locate(key)
	if err == nil {
		current = p.generation()
		p.close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	switch want := o.IfGeneration; {
	case want == nil || *want == current:
		return current, nil
	case *want == 0:
		return 0, nes.Errorf(nes.CodeConflict, "%s exists already", key)
	default:
		return 0, nes.Errorf(nes.CodeConflict, "%s has generation %d, not %d", key, current, *want)
	}
}

// finish makes a written temporary file the object, durably.
func (b *Bucket) finish(f *tempFile, key string, o storage.PutOptions) (int64, error) {
	if err := f.setType(key, o.ContentType); err != nil {
		return 0, err
	}
	generation := b.clock.after(0)
	if err := f.stamp(generation); err != nil {
		return 0, err
	}
	generation, changed, err := b.publish(f, generation, key, o)
	for _, dir := range changed {
		if err == nil {
			err = syncDir(dir)
		}
		dir.Close()
	}
	return generation, err
}

// publish gives the file its name, if the precondition holds, and returns the
// directories to sync. What guards against another writer is here, and short.
func (b *Bucket) publish(f *tempFile, generation int64, key string, o storage.PutOptions) (int64, []*os.Root, error) {
	b.names.Lock()
	defer b.names.Unlock()
	current, err := b.check(key, o)
	if err != nil {
		return 0, nil, err
	}
	if generation <= current {
		// Another Put was quicker since, or the clock was set back.
		generation = b.clock.after(current)
		if err := f.stamp(generation); err != nil {
			return 0, nil, err
		}
	}
	p, changed, err := b.prepare(key)
	if err == nil {
		changed = append(changed, p.dir)
		err = f.rename(p, o.IfGeneration != nil && *o.IfGeneration == 0)
	}
	if err != nil {
		dirs, _ := split(key)
		b.prune(dirs)
	}
	return generation, changed, err
}

// tempFile is an object that is being written. Its lock tells that somebody does.
type tempFile struct {
	*os.File
	temp *os.Root
	name string
}

func tempName() string { return rand.Text() }

func (b *Bucket) newTemp() (*tempFile, error) {
	name := tempName()
	f, err := b.temp.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	t := &tempFile{File: f, temp: b.temp, name: name}
	if err := lock(f); err != nil {
		t.discard()
		return nil, err
	}
	return t, nil
}

// setType keeps the content type where the name tells another one. A file system
// without extended attributes loses it, and the name's is used.
func (f *tempFile) setType(key, contentType string) error {
	if contentType == storage.TypeByName(key) {
		return nil
	}
	err := unix.Fsetxattr(int(f.Fd()), typeAttr, []byte(contentType), 0)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}

// stamp sets the file's generation and makes its contents durable.
func (f *tempFile) stamp(generation int64) error {
	at := time.Unix(0, generation)
	if err := f.temp.Chtimes(f.name, at, at); err != nil {
		return err
	}
	return f.Sync()
}

// rename moves the file to its place; with create, the kernel too makes sure that nothing is there.
func (f *tempFile) rename(p *place, create bool) error {
	flags := uint(0)
	if create {
		flags = unix.RENAME_NOREPLACE
	}
	err := with(f.temp, func(from int) error {
		return with(p.dir, func(to int) error {
			err := unix.Renameat2(from, f.name, to, p.name, flags)
			if create && errors.Is(err, unix.EINVAL) { // not on this file system
				err = unix.Renameat(from, f.name, to, p.name)
			}
			return err
		})
	})
	if errors.Is(err, unix.EEXIST) {
		return nes.Errorf(nes.CodeConflict, "%s exists already", p.name)
	}
	if err == nil {
		f.name = ""
	}
	return err
}

// discard closes the file and removes it, if it did not become an object.
func (f *tempFile) discard() {
	f.Close()
	if f.name != "" {
		_ = f.temp.Remove(f.name) // Open removes it otherwise
	}
}

// onlyWriter hides the file's ReadFrom, so that io.Copy passes every block through reader.
type onlyWriter struct{ io.Writer }

// reader reads until its context ends, and remembers what made it fail: that is
// the caller's error, not the bucket's.
type reader struct {
	ctx context.Context
	r   io.Reader
	err error
}

// Read reads.
func (r *reader) Read(p []byte) (n int, err error) {
	if err = r.ctx.Err(); err == nil {
		n, err = r.r.Read(p)
	}
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// cutShort keeps the code of what made the reader fail.
func cutShort(key string, err error) error {
	err = fmt.Errorf("store %s: read what is to be stored: %w", key, err)
	if _, ok := errors.AsType[*nes.Error](err); ok {
		return err
	}
	return &nes.Error{Code: nes.CodeUnavailable, Message: err.Error(), Err: err}
}
