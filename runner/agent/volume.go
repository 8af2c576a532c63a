package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/nes-run/nes/runner/journal"
)

// Volume is an attempt's work volume as seen from outside the notebook. The notebook can put
// anything there, so it is reached through a Root, only regular files are read, and nothing blocks.
type Volume struct{ root *os.Root }

// OpenVolume opens the volume at dir.
func OpenVolume(dir string) (*Volume, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the work volume: %w", err)
	}
	return &Volume{root}, nil
}

// Close closes the volume.
func (v *Volume) Close() error { return v.root.Close() }

// open opens a regular file for reading.
func (v *Volume) open(name string) (*os.File, int64, error) {
	return journal.OpenFile(v.root, name)
}

func (v *Volume) exists(name string) bool {
	_, err := v.root.Lstat(name)
	return err == nil
}

// size of a regular file; 0 where there is none.
func (v *Volume) size(name string) int64 {
	f, size, err := v.open(name)
	if err != nil {
		return 0
	}
	f.Close()
	return size
}

// read reads a file of at most limit bytes.
func (v *Volume) read(name string, limit int64) ([]byte, error) {
	f, size, err := v.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, limit)
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// tail reads the last bytes of a file, limit at most.
func (v *Volume) tail(name string, limit int64) []byte {
	f, size, err := v.open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	out, _ := io.ReadAll(io.NewSectionReader(f, max(0, size-limit), limit))
	return out
}

// replace puts a file in place, complete or not at all.
func (v *Volume) replace(name string, body []byte) error {
	part := name + ".part"
	_ = v.root.RemoveAll(part)
	f, err := v.root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := v.root.Rename(part, name); err == nil {
		return nil
	}
	_ = v.root.RemoveAll(name) // a directory that the notebook put in its place
	return v.root.Rename(part, name)
}

// Exit reads the marker that exec left, if it has. What the notebook may have written
// there instead is kept within what a marker can say.
func (v *Volume) Exit() (journal.Exit, bool) {
	var e journal.Exit
	raw, err := v.read(journal.ExitFile, journal.MaxExit)
	if err != nil || json.Unmarshal(raw, &e) != nil || e.V != journal.Version {
		return journal.Exit{}, false
	}
	e.Inferred, e.Unstarted = false, false
	e.Message, e.LogTail = clip(e.Message, maxText), clip(e.LogTail, maxText)
	e.Reason, e.Signal = clip(e.Reason, maxWord), clip(e.Signal, maxWord)
	return e, true
}

const (
	maxText = 4096 // bytes of a marker's texts
	maxWord = 64   // and of its words
)

func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "")
	}
	return s
}

// Launch reads the launch order.
func (v *Volume) Launch() (journal.Launch, error) {
	var l journal.Launch
	raw, err := v.read(journal.LaunchFile, journal.MaxLaunch)
	if err != nil {
		return l, err
	}
	return l, json.Unmarshal(raw, &l)
}

// Fetched reports whether the tree and the launch order are in place.
func (v *Volume) Fetched() bool { return v.exists(journal.LaunchFile) }

// Begun reports whether exec was ever started.
func (v *Volume) Begun() bool { return v.exists(journal.LockFile) }

// settled is how old a lock is when exec has certainly taken it.
const settled = 2 * time.Second

// locked reports whether exec has had the time to take its lock. Before that nobody else
// may touch the lock, not even for a moment: exec would take itself for the second of its kind.
func (v *Volume) locked() bool {
	for _, name := range []string{journal.LogFile, journal.JournalFile, journal.ExitFile} {
		if v.exists(name) {
			return true
		}
	}
	info, err := v.root.Lstat(journal.LockFile)
	return err == nil && time.Since(info.ModTime()) > settled
}

// Alive reports whether exec lives. It is false before exec was started.
func (v *Volume) Alive() bool {
	if !v.Begun() {
		return false
	}
	if !v.locked() {
		return true
	}
	f, _, err := v.open(journal.LockFile)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(flock(f, syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

// waitDeath returns when exec has died, which it learns from the kernel at once, or when quit
// is closed while exec has not begun. One thread waits in it as long as exec lives.
func (v *Volume) waitDeath(quit <-chan struct{}) {
	for pause := 5 * time.Millisecond; !v.Begun() || !v.locked(); pause = min(pause*5/4, 100*time.Millisecond) {
		select {
		case <-quit:
			return
		case <-time.After(pause):
		}
	}
	f, _, err := v.open(journal.LockFile)
	if err != nil {
		return // the notebook took it away: there is nothing to wait for
	}
	defer f.Close()
	_ = flock(f, syscall.LOCK_SH)
}

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// regular lists the regular files below a directory, by slash-separated path below it.
func (v *Volume) regular(dir string, each func(name string, info fs.FileInfo) error) error {
	err := fs.WalkDir(v.root.FS(), dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // what cannot be read is not sent
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		return each(path[len(dir)+1:], info)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
