package gitsource

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/nes-run/nes"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// openLocal opens a repository of this machine that lies below one of roots, with everything that it consists of.
func openLocal(clone string, roots []string) (*git.Repository, error) {
	dir := strings.TrimPrefix(clone, "file://")
	real, err := filepath.EvalSymlinks(dir)
	if err == nil && !below(real, roots) || err != nil && !below(filepath.Clean(dir), roots) {
		return nil, fail(nes.ReasonSourceForbidden, err, "%s is not below a directory that this server fetches from", dir)
	}
	if err != nil {
		return nil, fail(nes.ReasonSourceNotFound, err, "there is no repository at %s", dir)
	}
	for _, part := range []string{".git", "objects", filepath.Join(".git", "objects")} {
		if target, err := filepath.EvalSymlinks(filepath.Join(real, part)); err == nil && !below(target, roots) {
			return nil, outside(dir)
		}
	}
	if !pointsBelow(filepath.Join(real, ".git"), roots) {
		return nil, outside(dir)
	}
	for _, objects := range []string{".git/objects", "objects"} {
		if _, err := os.Stat(filepath.Join(real, objects, "info", "alternates")); err == nil {
			return nil, fail(nes.ReasonSourceForbidden, nil, "the repository %s borrows objects of another one: run git repack -a -d in it and remove objects/info/alternates", dir)
		}
	}
	repo, err := git.PlainOpenWithOptions(real, &git.PlainOpenOptions{EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return nil, fail(nes.ReasonSourceNotFound, err, "%s is not a Git repository", dir)
	}
	return repo, err
}

func outside(dir string) error {
	return fail(nes.ReasonSourceForbidden, nil, "parts of the repository %s lie outside of the directories that this server fetches from", dir)
}

// pointsBelow looks at the .git file of a linked worktree, which names its real directory. Everything else passes.
func pointsBelow(file string, roots []string) bool {
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() {
		return true
	}
	text, err := os.ReadFile(file)
	if err != nil || len(text) > 4<<10 {
		return false
	}
	target := strings.TrimSpace(strings.TrimPrefix(string(text), "gitdir:"))
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(file), target)
	}
	real, err := filepath.EvalSymlinks(target)
	return err == nil && below(real, roots)
}

func below(dir string, roots []string) bool {
	for _, root := range roots {
		real, err := filepath.EvalSymlinks(root)
		if err != nil {
			continue
		}
		if rel, err := filepath.Rel(real, dir); err == nil && filepath.IsLocal(rel) {
			return true
		}
	}
	return false
}

// listLocal lists the refs of a repository of this machine.
func listLocal(repo *git.Repository) (*advertisement, error) {
	a := newAdvertisement()
	refs, err := repo.Storer.IterReferences()
	if err != nil {
		return nil, err
	}
	defer refs.Close()
	err = refs.ForEach(func(ref *plumbing.Reference) error {
		if ref.Type() != plumbing.HashReference {
			return nil
		}
		a.add(ref.Name().String(), ref.Hash().String(), false, "")
		if tag, err := repo.TagObject(ref.Hash()); err == nil && ref.Name().IsTag() {
			a.add(ref.Name().String(), peel(repo, tag).String(), true, "")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if head, err := repo.Reference(plumbing.HEAD, false); err == nil && head.Type() == plumbing.SymbolicReference {
		a.headName = head.Target().Short()
		a.head = a.heads[a.headName]
	} else if err == nil {
		a.head = tip{head.Hash().String(), head.Hash().String()}
	}
	return a, nil
}

// peel follows tags of tags, which may be many but not endless.
func peel(repo *git.Repository, tag *object.Tag) plumbing.Hash {
	for range 10 {
		if tag.TargetType != plumbing.TagObject {
			return tag.Target
		}
		next, err := repo.TagObject(tag.Target)
		if err != nil {
			return tag.Target
		}
		tag = next
	}
	return tag.Target
}
