package e2e

import (
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// repository is a Git repository that Git's own HTTP server serves with its default settings.
type repository struct {
	t    *testing.T
	tree string
	url  string // as a person would copy it from the address bar
}

// newRepository makes an empty repository acme/notebooks with the branch main.
func newRepository(t *testing.T) *repository {
	t.Helper()
	root := t.TempDir()
	r := &repository{t: t, tree: filepath.Join(root, "tree")}
	bare := filepath.Join(root, "served", "acme", "notebooks.git")
	r.run(root, "init", "-q", "--bare", "-b", "main", bare)
	r.run(root, "clone", "-q", bare, r.tree)
	r.run(r.tree, "checkout", "-q", "-b", "main")
	execPath := strings.TrimSpace(r.run(root, "--exec-path"))
	srv := httptest.NewServer(&cgi.Handler{
		Path: filepath.Join(execPath, "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Join(root, "served"), "GIT_HTTP_EXPORT_ALL=1"},
	})
	t.Cleanup(srv.Close)
	r.url = srv.URL + "/acme/notebooks"
	return r
}

// write puts a file into the working tree.
func (r *repository) write(path string, content []byte) {
	r.t.Helper()
	full := filepath.Join(r.tree, filepath.FromSlash(path))
	require.NoError(r.t, os.MkdirAll(filepath.Dir(full), 0o755))
	require.NoError(r.t, os.WriteFile(full, content, 0o644))
}

// push commits everything and pushes it to a branch; it returns the commit.
func (r *repository) push(branch string) string {
	r.t.Helper()
	r.run(r.tree, "add", "-A")
	r.run(r.tree, "-c", "user.name=T", "-c", "user.email=t@example.com", "commit", "-q", "--allow-empty", "-m", "change")
	r.run(r.tree, "push", "-q", "origin", "HEAD:refs/heads/"+branch)
	return strings.TrimSpace(r.run(r.tree, "rev-parse", "HEAD"))
}

func (r *repository) run(dir string, args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(r.t, err, "git %v: %s", args, out)
	return string(out)
}
