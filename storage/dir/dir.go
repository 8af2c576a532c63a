// Package dir reads a directory of any files as a bucket is read. It changes nothing there.
package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
)

// Dir is a directory. What links lead to outside of it is not seen.
type Dir struct{ root *os.Root }

// Open opens a directory that is there.
func Open(path string) (*Dir, error) {
	root, err := os.OpenRoot(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nes.Errorf(nes.CodeNotFound, "there is no directory %s", path)
	}
	if err != nil {
		return nil, nes.Errorf(nes.CodeInvalid, "%s cannot be read as a directory: %w", path, err)
	}
	return &Dir{root}, nil
}

// Close releases the directory.
func (d *Dir) Close() error { return d.root.Close() }

// List lists one folder: o.Prefix is empty or ends with a slash, and o.Delimiter is "/". Names that begin with a dot are left out.
func (d *Dir) List(ctx context.Context, o storage.ListOptions) (storage.Page, error) {
	if o.Delimiter != "/" || o.Prefix != "" && !strings.HasSuffix(o.Prefix, "/") {
		return storage.Page{}, nes.Errorf(nes.CodeInvalid, "a directory is listed folder by folder")
	}
	entries, err := fs.ReadDir(d.root.FS(), strings.TrimSuffix(or(o.Prefix, "."), "/"))
	if errors.Is(err, fs.ErrNotExist) {
		return storage.Page{}, nil // as in a bucket, where folders are but the beginnings of keys
	}
	if err != nil {
		return storage.Page{}, fault(o.Prefix, err)
	}
	limit := o.Limit
	if limit <= 0 {
		limit = 1000
	}
	var page storage.Page
	keys := map[string]fs.DirEntry{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		key := o.Prefix + e.Name()
		if info, err := d.root.Stat(key); err == nil && info.IsDir() {
			key += "/"
		}
		if key > o.After {
			keys[key] = e
		}
	}
	for _, key := range sorted(keys) {
		if len(page.Objects)+len(page.Prefixes) == limit {
			return page, nil
		}
		page.Next = key
		if strings.HasSuffix(key, "/") {
			page.Prefixes = append(page.Prefixes, key)
			continue
		}
		object, err := d.Stat(ctx, key)
		if nes.CodeOf(err) == nes.CodeNotFound {
			continue // a link that leads out, or what is no file
		}
		if err != nil {
			return page, err
		}
		page.Objects = append(page.Objects, object)
	}
	page.Next = ""
	return page, nil
}

func sorted(keys map[string]fs.DirEntry) []string {
	list := make([]string, 0, len(keys))
	for key := range keys {
		list = append(list, key)
	}
	slices.Sort(list)
	return list
}

// Stat describes a file.
func (d *Dir) Stat(_ context.Context, key string) (storage.Object, error) {
	if err := storage.ValidateKey(key); err != nil {
		return storage.Object{}, err
	}
	info, err := d.root.Stat(key)
	if err != nil {
		return storage.Object{}, fault(key, err)
	}
	return object(key, info)
}

func object(key string, info fs.FileInfo) (storage.Object, error) {
	if !info.Mode().IsRegular() {
		return storage.Object{}, nes.Errorf(nes.CodeNotFound, "%s is no file", key)
	}
	return storage.Object{Key: key, Size: info.Size(), Generation: max(1, info.ModTime().UnixNano()), ContentType: storage.TypeByName(key), Modified: info.ModTime()}, nil
}

// Open opens a part of a file, or from offset on to its end where length is negative.
func (d *Dir) Open(ctx context.Context, key string, offset, length int64) (storage.Object, io.ReadCloser, error) {
	if _, err := d.Stat(ctx, key); err != nil { // before it is opened: opening a pipe would wait
		return storage.Object{}, nil, err
	}
	f, err := d.root.Open(key)
	if err != nil {
		return storage.Object{}, nil, fault(key, err)
	}
	info, err := f.Stat()
	if err != nil {
		return storage.Object{}, nil, errors.Join(fault(key, err), f.Close())
	}
	o, err := object(key, info)
	if err != nil {
		return o, nil, errors.Join(err, f.Close())
	}
	if length < 0 {
		length = max(0, o.Size-offset)
	}
	return o, struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, offset, length), f}, nil
}

func fault(key string, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || strings.Contains(err.Error(), "escapes") || strings.Contains(err.Error(), "not a directory") {
		return nes.Errorf(nes.CodeNotFound, "there is no file %s that may be read", key)
	}
	return fmt.Errorf("read %s: %w", key, err)
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
