package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// publish makes a Git repository out of the files below src and serves it below dir over
// smart HTTP on a loopback port, by Git's own http-backend. It returns the repository's address.
func publish(ctx context.Context, src, dir string) (string, error) {
	bare := filepath.Join(dir, "acme", "notebooks.git")
	tree := filepath.Join(dir, "tree")
	for _, old := range []string{bare, tree} {
		if err := os.RemoveAll(old); err != nil {
			return "", err
		}
	}
	if err := os.CopyFS(tree, os.DirFS(src)); err != nil {
		return "", err
	}
	for _, step := range [][]string{
		{"-C", tree, "init", "-q", "-b", "main"},
		{"-C", tree, "add", "-A"},
		{"-C", tree, "-c", "user.name=Demo", "-c", "user.email=demo@example.com", "commit", "-q", "-m", "Notebooks for the demo"},
		{"clone", "-q", "--bare", tree, bare},
	} {
		if out, err := exec.CommandContext(ctx, "git", step...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("git %s: %w: %s", strings.Join(step, " "), err, out)
		}
	}
	return serveGit(ctx, dir)
}

func serveGit(ctx context.Context, dir string) (string, error) {
	execPath, err := exec.CommandContext(ctx, "git", "--exec-path").Output()
	if err != nil {
		return "", fmt.Errorf("git --exec-path: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: &cgi.Handler{
			Path: filepath.Join(strings.TrimSpace(string(execPath)), "git-http-backend"),
			Env:  []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1"},
		},
	}
	go func() { _ = server.Serve(listener) }()
	context.AfterFunc(ctx, func() { _ = server.Close() })
	return fmt.Sprintf("http://%s/acme/notebooks", listener.Addr()), nil
}
