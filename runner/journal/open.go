package journal

import (
	"fmt"
	"os"
	"syscall"
)

// OpenFile opens a regular file of a work volume for reading, and returns its size. The notebook may have put
// anything in its place: a link is refused wherever it leads, and a pipe is never waited for.
func OpenFile(root *os.Root, name string) (*os.File, int64, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	size, err := regular(root, f, name)
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, size, nil
}

// regular holds that f is a regular file, and itself what lies at name: a root follows links that stay inside
// it, whatever the flags say.
func regular(root *os.Root, f *os.File, name string) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	there, err := root.Lstat(name)
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() || !os.SameFile(info, there) {
		return 0, fmt.Errorf("%s is not a regular file", name)
	}
	return info.Size(), nil
}
