package driver

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

//go:embed python/driver/*.py python/driver/nes_driver/*.py python/helper/*.py
var files embed.FS

// Main is the directory, below where the driver was written, that Python is started with:
// python <dir>/driver <run directory>.
const Main = "driver"

// Write writes the driver and the helper module below dir of root.
func Write(root *os.Root, dir string) error {
	err := each(func(name string, body []byte) error {
		target := path.Join(dir, name)
		if err := root.MkdirAll(path.Dir(target), 0o755); err != nil {
			return err
		}
		return root.WriteFile(target, body, 0o644)
	})
	if err != nil {
		return fmt.Errorf("write the driver: %w", err)
	}
	return nil
}

// Cached makes sure that the driver lies below cache, in a directory that is named by its content, and
// returns that directory. Python keeps its byte code there. It may be called by many processes at once.
func Cached(cache string) (string, error) {
	dir := filepath.Join(cache, "driver-"+Hash()[:16])
	if intact(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("make the driver's cache: %w", err)
	}
	fresh, err := os.MkdirTemp(cache, ".driver-")
	if err != nil {
		return "", fmt.Errorf("make the driver's cache: %w", err)
	}
	defer os.RemoveAll(fresh)
	if err := writeTo(fresh); err != nil {
		return "", err
	}
	return dir, place(fresh, dir)
}

func writeTo(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open the driver's cache: %w", err)
	}
	defer root.Close()
	return Write(root, ".")
}

// place renames fresh to dir. Another process may have done so meanwhile, which is as good;
// a directory that somebody changed is moved out of the way first.
func place(fresh, dir string) error {
	if os.Rename(fresh, dir) == nil || intact(dir) {
		return nil
	}
	_ = os.Rename(dir, fresh+".old")
	defer os.RemoveAll(fresh + ".old")
	if err := os.Rename(fresh, dir); err != nil && !intact(dir) {
		return fmt.Errorf("place the driver in its cache: %w", err)
	}
	return nil
}

var errChanged = errors.New("changed")

// intact reports whether dir holds the driver as it is embedded.
func intact(dir string) bool {
	return each(func(name string, body []byte) error {
		have, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil && !bytes.Equal(have, body) {
			err = errChanged
		}
		return err
	}) == nil
}

// Hash is the hexadecimal SHA-256 of the driver's files and their names.
func Hash() string {
	h := sha256.New()
	_ = each(func(name string, body []byte) error {
		fmt.Fprintf(h, "%s %d\n", name, len(body))
		h.Write(body)
		return nil
	})
	return hex.EncodeToString(h.Sum(nil))
}

// each calls fn for every file, with its path below the driver's directory.
func each(fn func(name string, body []byte) error) error {
	sub, err := fs.Sub(files, "python")
	if err != nil {
		return err
	}
	return fs.WalkDir(sub, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(sub, name)
		if err != nil {
			return err
		}
		return fn(name, body)
	})
}
