package journal

import (
	"fmt"
	"os"
	"syscall"
)

// OpenFile opens a regular file of a work volume for reading, and returns its size. The notebook may have put
// anything in its place: it follows no link, and never blocks on a pipe.
func OpenFile(root *os.Root, name string) (*os.File, int64, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", name)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}
