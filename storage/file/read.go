package file

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
)

// Open reads an object: see [storage.Bucket]. The open file is the generation: overwriting gives its name to another one.
func (b *Bucket) Open(ctx context.Context, key string, offset, length int64) (storage.Object, io.ReadCloser, error) {
	if offset < 0 {
		return storage.Object{}, nil, nes.Errorf(nes.CodeInvalid, "read %s: the offset %d is negative", key, offset)
	}
	o, f, err := b.open(ctx, key)
	if err != nil {
		return storage.Object{}, nil, err
	}
	left := max(o.Size-offset, 0)
	if length >= 0 {
		left = min(left, length)
	}
	section := io.NewSectionReader(f, offset, left)
	return o, &body{section, f}, nil
}

// Stat describes an object: see [storage.Bucket].
func (b *Bucket) Stat(ctx context.Context, key string) (storage.Object, error) {
	o, f, err := b.open(ctx, key)
	if err != nil {
		return storage.Object{}, err
	}
	return o, f.Close()
}

func (b *Bucket) open(ctx context.Context, key string) (storage.Object, *os.File, error) {
	if err := errors.Join(storage.ValidateKey(key), ctx.Err()); err != nil {
		return storage.Object{}, nil, fault("read", key, err)
	}
	f, info, err := b.openFile(key)
	if errors.Is(err, fs.ErrNotExist) {
		return storage.Object{}, nil, notFound(key)
	}
	if err != nil {
		return storage.Object{}, nil, fault("read", key, err)
	}
	o := object(key, info)
	o.ContentType = contentType(f, key)
	return o, f, nil
}

// moves is how often a file may move inside its name's directory while it is being opened: once, unless it is deleted and made again.
const moves = 8

func (b *Bucket) openFile(key string) (*os.File, fs.FileInfo, error) {
	for range moves {
		p, err := b.locate(key)
		if err != nil {
			return nil, nil, err
		}
		if p.info == nil {
			p.close()
			break
		}
		f, err := p.dir.OpenFile(p.name, os.O_RDONLY|unix.O_NONBLOCK, 0)
		p.close()
		if err != nil {
			return nil, nil, err
		}
		info, err := f.Stat()
		if err == nil && info.Mode().IsRegular() {
			return f, info, nil
		}
		f.Close()
		if err != nil {
			return nil, nil, err
		}
	}
	return nil, nil, fs.ErrNotExist
}

func contentType(f *os.File, key string) string {
	value := make([]byte, 256)
	n, err := unix.Fgetxattr(int(f.Fd()), typeAttr, value)
	if err != nil || n == 0 {
		return storage.TypeByName(key)
	}
	return string(value[:n])
}

// body is a part of a file.
type body struct {
	*io.SectionReader
	f *os.File
}

// Close closes the file.
func (b *body) Close() error { return b.f.Close() }

// Delete removes an object: see [storage.Bucket]. Directories that become empty go with it.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if err := errors.Join(storage.ValidateKey(key), ctx.Err()); err != nil {
		return fault("delete", key, err)
	}
	b.names.Lock()
	defer b.names.Unlock()
	p, err := b.locate(key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault("delete", key, err)
	}
	defer p.close()
	if p.info == nil {
		return nil
	}
	if err := p.dir.Remove(p.name); err != nil {
		return fault("delete", key, err)
	}
	dirs, base := split(key)
	if p.name == selfFile {
		dirs = append(dirs, base)
	}
	b.prune(dirs)
	return nil
}
