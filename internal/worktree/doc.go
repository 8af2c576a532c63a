// Package worktree turns a notebook's surroundings on this machine into a bundle:
// the Git working tree as it is, with uncommitted and untracked files and without
// ignored ones, or the plain directory where there is no Git.
package worktree
