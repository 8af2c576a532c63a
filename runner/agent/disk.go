package agent

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
)

// Disk is how much the notebook may write. A cluster ends a pod that writes more at once, with all that was not sent yet; the agent
// ends the notebook a little before.
type Disk struct {
	Limit int64  // in bytes; 0 is not looked at
	Also  string // a directory beside the volume that counts for itself
}

const (
	diskEvery = 2 * time.Second
	diskLazy  = 20 // times what a look took, at least, until the next one
)

// reserve is what is left for last words.
func (d Disk) reserve() int64 { return min(d.Limit/10, 256<<20) }

// watchDisk says, once, when the notebook has written almost as much as it may. It returns with ctx at the latest.
func (w *watcher) watchDisk(ctx context.Context) {
	d := w.c.Disk
	if d.Limit <= 0 {
		return
	}
	for pause := diskEvery; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		began := time.Now()
		for _, dir := range []string{w.c.Dir, d.Also} {
			if dir == "" {
				continue
			}
			if used := diskUsed(dir); used > d.Limit-d.reserve() {
				w.disk <- journal.Control{Reason: string(nes.ReasonDiskFull), Why: fmt.Sprintf("the notebook wrote %d MiB; its disk has %d MiB", used>>20, d.Limit>>20)}
				return
			}
		}
		pause = max(diskEvery, diskLazy*time.Since(began))
	}
}

// diskUsed is how much of the disk is taken by what is below a directory, in bytes. A file of several names counts once.
func diskUsed(dir string) int64 {
	total, seen := int64(0), map[uint64]bool{}
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // what cannot be seen is the kubelet's to count
		}
		info, err := d.Info()
		if err != nil || !info.Mode().IsRegular() {
			return nil
		}
		s, ok := info.Sys().(*syscall.Stat_t)
		if !ok || seen[s.Ino] {
			return nil
		}
		if s.Nlink > 1 {
			seen[s.Ino] = true
		}
		total += s.Blocks * 512
		return nil
	})
	return total
}
