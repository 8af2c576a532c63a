package worktree

import (
	"os"
	"path"
	"path/filepath"
)

// own tells the directories below a root that are NES's own: they change while they are read, hold other
// people's runs and a token, and would grow by themselves with every run.
type own struct {
	root  string
	known map[string]bool // by slash-separated path below root
}

// ownDirs knows dataDir, and finds the others by what lies in them.
func ownDirs(root, dataDir string) *own {
	o := &own{root: root, known: map[string]bool{}}
	real, err := filepath.EvalSymlinks(dataDir)
	if dataDir == "" || err != nil {
		return o // it does not exist, so nothing of it can be taken
	}
	if rel, err := filepath.Rel(root, real); err == nil && filepath.IsLocal(rel) {
		o.known[filepath.ToSlash(rel)] = true
	}
	return o
}

// has reports whether the directory dir is one.
func (o *own) has(dir string) bool {
	is, looked := o.known[dir]
	if !looked {
		is = o.holds(dir, "lock") && (o.holds(dir, "server.json") || o.holds(dir, "ledger.db"))
		o.known[dir] = is
	}
	return is
}

func (o *own) holds(dir, name string) bool {
	info, err := os.Lstat(filepath.Join(o.root, filepath.FromSlash(dir), name))
	return err == nil && info.Mode().IsRegular()
}

// above returns the one that p lies in, or "".
func (o *own) above(p string) string {
	for dir := path.Dir(p); ; dir = path.Dir(dir) {
		if o.has(dir) {
			return dir
		}
		if dir == "." {
			return ""
		}
	}
}
