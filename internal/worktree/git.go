package worktree

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// openGit returns the Git working tree that the notebook is in, and the paths in it
// that Git does not ignore. The tree is nil outside of Git; paths are nil where all files are taken.
func openGit(ctx context.Context, notebook string) (*Tree, []string, error) {
	root := gitRoot(filepath.Dir(notebook))
	if root == "" {
		return nil, nil, nil
	}
	t := &Tree{Root: root}
	if _, err := exec.LookPath("git"); err != nil {
		t.note("git is not installed: files that it would ignore are taken along, and the commit is not known")
		return t, nil, nil
	}
	var commit, origin, status, files []byte
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		files, err = git(ctx, root, "ls-files", "-co", "--exclude-standard", "-z")
		return err
	})
	g.Go(func() (err error) { status, err = git(ctx, root, "status", "--porcelain", "-z"); return err })
	g.Go(func() error { commit, _ = git(ctx, root, "rev-parse", "--verify", "-q", "HEAD"); return nil })
	g.Go(func() error { origin, _ = git(ctx, root, "config", "--get", "remote.origin.url"); return nil })
	if err := g.Wait(); err != nil {
		if ctx.Err() != nil && !errors.As(err, new(*exec.ExitError)) {
			return nil, nil, err
		}
		t.note("git cannot read %s (%s): files that it would ignore are taken along, and the commit is not known", root, firstLine(err))
		return t, nil, nil
	}
	t.Commit = strings.TrimSpace(string(commit))
	t.Dirty = len(status) > 0
	t.Repository = canonical(strings.TrimSpace(string(origin)))
	paths := strings.Split(strings.TrimSuffix(string(files), "\x00"), "\x00")
	return t, slices.DeleteFunc(paths, func(p string) bool { return p == "" }), nil
}

// gitRoot is the nearest directory above that holds a .git, or "".
func gitRoot(dir string) string {
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// git runs a command that only reads.
func git(ctx context.Context, root string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", root, "-c", "core.fsmonitor=false", "-c", "core.quotePath=false"}, args...)...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), moves), "GIT_OPTIONAL_LOCKS=0", "LC_ALL=C")
	return cmd.Output()
}

// moves tells variables that would lead git to another repository, as they are set inside of its hooks.
func moves(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return slices.Contains([]string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_NAMESPACE"}, name)
}

func firstLine(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		line, _, _ := bytes.Cut(bytes.TrimSpace(exit.Stderr), []byte("\n"))
		return string(line)
	}
	return err.Error()
}

// canonical is the name of a repository: host and path, without scheme, credential, port and .git.
func canonical(remote string) string {
	host, p := "", remote
	if u, err := url.Parse(remote); err == nil && u.Scheme != "" && u.Host != "" {
		host, p = u.Hostname(), u.Path
	} else if strings.Contains(remote, "://") {
		return "" // as of file:///srv/git
	} else if before, after, ok := strings.Cut(remote, ":"); ok && !strings.Contains(before, "/") { // git@host:path
		host, p = before[strings.LastIndexByte(before, '@')+1:], after
	} else {
		return "" // a directory of this machine
	}
	p = strings.TrimSuffix(strings.Trim(path.Clean("/"+p), "/"), ".git")
	if host == "" || p == "" {
		return ""
	}
	return strings.ToLower(host) + "/" + p
}
