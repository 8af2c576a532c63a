package executor

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/nes-run/nes/runner/journal"
)

// hideNames renames side files whose names hold a secret: names are listed and are part of addresses. What is in the
// files is the notebook's own.
func (x *execution) hideNames() {
	if x.log.mask == nil {
		return
	}
	var found []string
	_ = fs.WalkDir(x.volume.root.FS(), journal.OutputDir, func(name string, _ fs.DirEntry, err error) error {
		if err == nil && name != journal.OutputDir {
			found = append(found, name)
		}
		return nil // what cannot be read cannot be sent either
	})
	slices.Reverse(found) // what is in a directory before it
	for _, name := range found {
		dir, base := path.Split(name)
		if hidden := string(x.log.mask.mask([]byte(base))); hidden != base {
			x.rename(name, dir+strings.ReplaceAll(hidden, masked, "masked"))
		}
	}
}

// rename gives a file the name, or the first free one after it; one that nothing can rename is removed.
func (x *execution) rename(from, to string) {
	const tries = 100
	free := to
	for n := 2; n < tries; n++ {
		if _, err := x.volume.root.Lstat(free); err != nil {
			break
		}
		free = fmt.Sprintf("%s-%d", to, n)
	}
	if err := x.volume.root.Rename(from, free); err != nil {
		x.options.Log.Warn("a side file with a secret in its name is left out", "error", "it cannot be renamed")
		_ = x.volume.root.RemoveAll(from)
	}
}
