// Package gitsourcetest serves real Git repositories on this machine, over smart
// HTTP and over SSH, by Git's own programs.
package gitsourcetest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// T is what is needed of a *testing.T; programs that are no tests bring their own.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
	TempDir() string
}

var _ T = testing.TB(nil)

// Repository is a bare repository with a working tree from which it is filled.
type Repository struct {
	Name string // as given, such as "acme/reports"
	Bare string // directory of the bare repository
	Work string // directory of the working tree
	t    T
}

// NewRepository makes an empty repository below root, in the directory name + ".git". Its default branch is main.
func NewRepository(t T, root, name string) *Repository {
	t.Helper()
	r := &Repository{Name: name, Bare: filepath.Join(root, filepath.FromSlash(name)+".git"), Work: t.TempDir(), t: t}
	if err := os.MkdirAll(r.Bare, 0o755); err != nil {
		t.Fatalf("make a repository: %v", err)
	}
	r.Git("init", "--quiet", "--bare", "--initial-branch=main", r.Bare)
	r.Git("init", "--quiet", "--initial-branch=main", r.Work)
	r.Git("remote", "add", "origin", r.Bare)
	return r
}

// Commit writes files, by path, on the current branch, commits everything, pushes, and returns the commit.
// A content that begins with "-> " makes a symbolic link.
func (r *Repository) Commit(message string, files map[string]string) string {
	r.t.Helper()
	for name, content := range files {
		r.Write(name, content)
	}
	r.Git("add", "--all")
	r.Git("commit", "--quiet", "--allow-empty", "--message", message)
	r.Git("push", "--quiet", "--force", "origin", "HEAD")
	return r.Head()
}

// Write writes a file into the working tree.
func (r *Repository) Write(name, content string) {
	r.t.Helper()
	full := filepath.Join(r.Work, filepath.FromSlash(name))
	err := os.MkdirAll(filepath.Dir(full), 0o755)
	if target, isLink := strings.CutPrefix(content, "-> "); err == nil && isLink {
		err = os.Symlink(target, full)
	} else if err == nil {
		err = os.WriteFile(full, []byte(content), 0o644)
	}
	if err != nil {
		r.t.Fatalf("write %s: %v", name, err)
	}
}

// Branch makes a branch from where the working tree is, switches to it, and pushes it.
func (r *Repository) Branch(name string) {
	r.t.Helper()
	r.Git("switch", "--quiet", "--create", name)
	r.Git("push", "--quiet", "origin", "HEAD")
}

// Switch goes to a branch that is there.
func (r *Repository) Switch(name string) {
	r.t.Helper()
	r.Git("switch", "--quiet", name)
}

// Tag makes an annotated tag at the current commit and pushes it.
func (r *Repository) Tag(name string) {
	r.t.Helper()
	r.Git("tag", "--annotate", "--message", name, name)
	r.Git("push", "--quiet", "origin", "refs/tags/"+name)
}

// Head returns the current commit.
func (r *Repository) Head() string {
	r.t.Helper()
	return r.Git("rev-parse", "HEAD")
}

// Git runs git in the working tree and returns what it printed.
func (r *Repository) Git(args ...string) string {
	r.t.Helper()
	return r.GitInput("", args...)
}

// GitInput is like Git, with a standard input.
func (r *Repository) GitInput(input string, args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env, cmd.Stdin = r.Work, environment(), strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// environment makes git independent of who runs it, and commits the same at any time.
func environment() []string {
	return append(os.Environ(),
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_AUTHOR_DATE=2024-05-01T12:00:00Z",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com", "GIT_COMMITTER_DATE=2024-05-01T12:00:00Z",
	)
}

// Notebook returns the text of a Python notebook: a cell tagged "parameters", where
// parameters is not empty, and a code cell for each of code.
func Notebook(parameters string, code ...string) string {
	type m = map[string]any
	cells := []m{}
	add := func(source string, tags ...string) {
		meta := m{}
		if len(tags) > 0 {
			meta["tags"] = tags
		}
		cells = append(cells, m{
			"cell_type": "code", "id": fmt.Sprintf("cell-%d", len(cells)), "metadata": meta,
			"source": source, "outputs": []any{}, "execution_count": nil,
		})
	}
	if parameters != "" {
		add(parameters, "parameters")
	}
	for _, c := range code {
		add(c)
	}
	text, err := json.MarshalIndent(m{
		"cells": cells, "nbformat": 4, "nbformat_minor": 5,
		"metadata": m{"kernelspec": m{"name": "python3", "display_name": "Python 3", "language": "python"}},
	}, "", " ")
	if err != nil {
		panic(err) // strings and maps alone: it cannot happen
	}
	return string(text) + "\n"
}
