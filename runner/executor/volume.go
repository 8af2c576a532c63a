package executor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
)

// volume is the work volume of one attempt. The notebook can write anything there,
// so it is only reached through a Root, and only regular files are read.
type volume struct {
	path string
	root *os.Root
	lock *os.File
}

// openVolume opens the volume and takes its lock, which says that exec lives.
func openVolume(dir string) (*volume, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open work volume: %w", err)
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, fmt.Errorf("open work volume: %w", err)
	}
	v := &volume{path: abs, root: root}
	if err := v.takeLock(); err != nil {
		root.Close()
		return nil, err
	}
	return v, nil
}

func (v *volume) takeLock() error {
	f, err := v.root.OpenFile(journal.LockFile, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o644)
	if err != nil {
		return fmt.Errorf("open the lock of the work volume: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nes.Errorf(nes.CodeConflict, "another process executes the notebook of %s", v.path)
	}
	v.lock = f
	return nil
}

func (v *volume) close() {
	v.lock.Close()
	v.root.Close()
}

// open opens a regular file for reading; it never blocks and follows no link out of the volume.
func (v *volume) open(name string) (*os.File, int64, error) {
	return journal.OpenFile(v.root, name)
}

// readJSON reads a file of at most limit bytes.
func (v *volume) readJSON(name string, limit int64, into any) error {
	f, size, err := v.open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if size > limit {
		return fmt.Errorf("%s is larger than %d bytes", name, limit)
	}
	raw, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// launch reads what is to be run.
func (v *volume) launch() (journal.Launch, error) {
	var l journal.Launch
	if err := v.readJSON(journal.LaunchFile, journal.MaxLaunch, &l); err != nil {
		return l, fmt.Errorf("read the launch order: %w", err)
	}
	return l, nil
}

// control reads what the agent has asked for; nothing where there is no (valid) control file.
func (v *volume) control() journal.Control {
	var c journal.Control
	if v.readJSON(journal.ControlFile, journal.MaxControl, &c) != nil {
		return journal.Control{}
	}
	return c
}

// marker reads the exit marker of an earlier exec.
func (v *volume) marker() (journal.Exit, bool) {
	var e journal.Exit
	err := v.readJSON(journal.ExitFile, journal.MaxExit, &e)
	return e, err == nil && e.V == journal.Version
}

func (v *volume) journalSize() int64 {
	f, size, err := v.open(journal.JournalFile)
	if err != nil {
		return 0
	}
	f.Close()
	return size
}

const lastLineMax = 64 << 10

// lastLine returns the journal's exit line, where the journal ends with one.
func (v *volume) lastLine() (journal.Line, bool) {
	f, size, err := v.open(journal.JournalFile)
	if err != nil {
		return journal.Line{}, false
	}
	defer f.Close()
	tail := make([]byte, min(size, lastLineMax))
	n, err := f.ReadAt(tail, size-int64(len(tail)))
	if err != nil && err != io.EOF {
		return journal.Line{}, false
	}
	return exitLine(tail[:n])
}

// exitLine reads the exit line at the end of a journal's last bytes.
func exitLine(tail []byte) (journal.Line, bool) {
	var l journal.Line
	body, complete := bytes.CutSuffix(tail, []byte("\n"))
	body = body[bytes.LastIndexByte(body, '\n')+1:]
	ok := complete && json.Unmarshal(body, &l) == nil && l.V == journal.Version && l.K == journal.KindExit
	return l, ok
}

// writeMarker leaves the exit marker: complete and on disk, or not at all.
func (v *volume) writeMarker(e journal.Exit) error {
	raw, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write the exit marker: %w", err)
	}
	if err := v.replace(journal.ExitFile, append(raw, '\n')); err != nil {
		return fmt.Errorf("write the exit marker: %w", err)
	}
	return nil
}

func (v *volume) replace(name string, body []byte) error {
	part := name + ".part"
	_ = v.root.RemoveAll(part)
	_ = v.root.RemoveAll(name) // whatever the notebook may have put in its place
	f, err := v.root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return v.root.Rename(part, name)
}
