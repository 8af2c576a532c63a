package intake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/gitsource"
	"github.com/nes-run/nes/internal/bundle"
	"github.com/nes-run/nes/storage"
)

// locateObject makes a bundle of one notebook that lies in a bucket, so that it stays what it was
// when the run was submitted. Its generation stands in the place of a commit.
func (in *Intake) locateObject(ctx context.Context, a gitsource.Address) (nes.Source, error) {
	from, ok := in.objects[a.CloneURL]
	if !ok {
		return nes.Source{}, nes.Fail(nes.ReasonSourceForbidden,
			"this server does not read from %s: have the bucket configured, or give the notebook's address in Git", a.CloneURL)
	}
	object, content, err := from.Open(ctx, a.Path, 0, -1)
	if nes.CodeOf(err) == nes.CodeNotFound {
		return nes.Source{}, nes.Fail(nes.ReasonSourceNotFound, "there is no %s in %s", a.Path, a.CloneURL)
	}
	if err != nil {
		return nes.Source{}, storageError(err)
	}
	defer content.Close()
	generation := strconv.FormatInt(object.Generation, 10)
	if a.Generation != "" && a.Generation != generation {
		return nes.Source{}, nes.Fail(nes.ReasonSourceNotFound, "%s/%s is now at generation %s: %s is gone", a.CloneURL, a.Path, generation, a.Generation)
	}
	if object.Size > in.limits.Notebook {
		return nes.Source{}, nes.Fail(nes.ReasonSourceTooLarge, "%s has %d MiB, a notebook may have %d: clear its outputs", a.Path, object.Size>>20, in.limits.Notebook>>20)
	}
	sum := sha256.Sum256([]byte(a.CloneURL + "/" + a.Path))
	s := nes.Source{
		Repository: a.Repository, CloneURL: a.CloneURL, Commit: generation, Path: a.Path,
		Bundle: storage.BundleKey(hex.EncodeToString(sum[:16]), generation),
	}
	there, err := in.has(ctx, s.Bundle)
	if err != nil || there {
		return s, err
	}
	return s, in.putSingle(ctx, s, object, content)
}

// putSingle stores a bundle of one file.
func (in *Intake) putSingle(ctx context.Context, s nes.Source, object storage.Object, content io.Reader) error {
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(writeSingle(w, s.Path, object, content)) }()
	_, err := in.bucket.Put(ctx, s.Bundle, r, bundleOptions())
	_ = r.Close()
	return ignoreConflict(err)
}

func writeSingle(w io.Writer, file string, object storage.Object, content io.Reader) error {
	b, err := bundle.NewWriter(w, time.Unix(0, 0), nil)
	if err != nil {
		return err
	}
	for i, c := range file {
		if c != '/' {
			continue
		}
		if err := b.Add(bundle.Entry{Path: strings.TrimSuffix(path.Clean(file[:i]), "/"), Kind: bundle.Dir}, nil); err != nil {
			return err
		}
	}
	return errors.Join(b.Add(bundle.Entry{Path: file, Kind: bundle.File, Size: object.Size}, content), b.Close())
}
