package intake

import (
	"context"
	"strings"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/gitsource"
	"github.com/nes-run/nes/internal/fault"
	"github.com/nes-run/nes/storage"
)

// locateCommit resolves an address of a Git repository and makes sure of its bundle.
// A permalink whose bundle is there needs no server at all.
func (in *Intake) locateCommit(ctx context.Context, a gitsource.Address) (nes.Source, error) {
	if commit := a.FullCommit(); commit != "" {
		there, err := in.has(ctx, storage.BundleKey(a.RepositoryHash(), commit))
		if err != nil || there {
			return sourceOf(gitsource.Resolved{Address: a, Commit: commit}), err
		}
	}
	r, err := in.git.Resolve(ctx, a)
	if err != nil {
		return nes.Source{}, err
	}
	if known, err := in.complete(ctx, &r); err != nil || known {
		return sourceOf(r), err
	}
	key := storage.BundleKey(r.RepositoryHash(), r.Commit)
	r.Commit, err = in.flights.do(ctx, key, func(ctx context.Context) (string, error) { return in.fetch(ctx, r) })
	return sourceOf(r), err
}

// complete reports whether the bundle of a commit is there. An abbreviated id is completed by what is there.
func (in *Intake) complete(ctx context.Context, r *gitsource.Resolved) (bool, error) {
	if len(r.Commit) == 40 {
		return in.has(ctx, storage.BundleKey(r.RepositoryHash(), r.Commit))
	}
	prefix, _ := strings.CutSuffix(storage.BundleKey(r.RepositoryHash(), r.Commit), ".tar.zst")
	page, err := in.bucket.List(ctx, storage.ListOptions{Prefix: prefix, Limit: 2})
	if err != nil {
		return false, storageError(err)
	}
	if len(page.Objects) != 1 {
		return false, nil
	}
	name := page.Objects[0].Key[strings.LastIndexByte(page.Objects[0].Key, '/')+1:]
	r.Commit = strings.TrimSuffix(name, ".tar.zst")
	return true, nil
}

func (in *Intake) has(ctx context.Context, key string) (bool, error) {
	_, err := in.bucket.Stat(ctx, key)
	switch {
	case err == nil:
		return true, nil
	case nes.CodeOf(err) == nes.CodeNotFound:
		return false, nil
	default:
		return false, storageError(err)
	}
}

// fetch brings a tree from its server into the bucket and returns its commit.
func (in *Intake) fetch(ctx context.Context, r gitsource.Resolved) (string, error) {
	// A fetch of the same commit may have ended between our look into the bucket and now.
	if known, err := in.complete(ctx, &r); err != nil || known {
		return r.Commit, err
	}
	tree, err := in.git.Fetch(ctx, r)
	if err != nil {
		return "", err
	}
	defer func() {
		if err := tree.Close(); err != nil {
			in.log.Warn("remove a fetched tree", "err", err)
		}
	}()
	f, err := tree.Open()
	if err != nil {
		return "", err
	}
	defer f.Close()
	in.log.Info("fetched", "repository", r.Repository, "commit", tree.Commit, "notes", tree.Notes)
	fault.At(fault.BundleStoring)
	_, err = in.bucket.Put(ctx, storage.BundleKey(r.RepositoryHash(), tree.Commit), f, bundleOptions())
	fault.At(fault.BundleStored)
	return tree.Commit, ignoreConflict(err)
}

func bundleOptions() storage.PutOptions {
	return storage.PutOptions{ContentType: "application/zstd", IfGeneration: storage.CreateOnly()}
}

// ignoreConflict takes it as success that somebody stored the same archive first.
func ignoreConflict(err error) error {
	if err == nil || nes.CodeOf(err) == nes.CodeConflict {
		return nil
	}
	return storageError(err)
}

func sourceOf(r gitsource.Resolved) nes.Source {
	return nes.Source{
		Repository: r.Repository, CloneURL: r.CloneURL, Ref: r.Ref, Commit: r.Commit, Path: r.Path,
		Bundle: storage.BundleKey(r.RepositoryHash(), r.Commit), WebURL: r.WebURL(r.Commit, r.Path),
	}
}
