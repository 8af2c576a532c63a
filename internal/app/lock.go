package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/nes-run/nes"
)

// Lock is the right of one process to a data directory. It ends with the process, however that ends.
type Lock struct{ file *os.File }

// TryLock takes the right to a data directory, which it makes if need be. The
// code is conflict when another process has it.
func TryLock(dir string) (*Lock, error) {
	return lock(dir, unix.LOCK_EX|unix.LOCK_NB)
}

// WaitLock takes the right to a data directory as soon as it can be had. It cannot be
// interrupted: call it in a goroutine that may stay until the process ends.
func WaitLock(dir string) (*Lock, error) {
	return lock(dir, unix.LOCK_EX)
}

func lock(dir string, how int) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nes.Errorf(nes.CodeInvalid, "make the data directory %s: %w: set NES_DATA_DIR to a directory that can be written", dir, reason(err))
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nes.Errorf(nes.CodeInvalid, "write into the data directory %s: %w: set NES_DATA_DIR to a directory that can be written", dir, reason(err))
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err == nil {
		return &Lock{f}, nil
	}
	_ = f.Close() // nothing was written
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, nes.Errorf(nes.CodeConflict, "another process owns the data directory %s%s", dir, ownerOf(dir))
	}
	return nil, nes.Errorf(nes.CodeInternal, "lock the data directory %s: %w", dir, err)
}

// ownerOf says which process it is, where that is known.
func ownerOf(dir string) string {
	s, err := ReadServer(dir)
	if err != nil {
		return ""
	}
	return fmt.Sprintf(": process %d at %s", s.PID, s.URL)
}

// reason is the bare cause of an error about a path, which the message has named already.
func reason(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}

// Unlock gives the right back.
func (l *Lock) Unlock() error { return l.file.Close() }
