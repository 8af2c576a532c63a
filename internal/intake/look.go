package intake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/bundle"
	"github.com/nes-run/nes/internal/nearest"
)

// look reads the notebook, the notes and the digest of a source's bundle, or remembers them.
func (in *Intake) look(ctx context.Context, s nes.Source) (looked, error) {
	key := s.Bundle + "\x00" + s.Path
	if l, ok := in.cache.get(key); ok {
		return l, nil
	}
	file := s.Path
	for range 2 { // once more where the path leads through links
		l, next, err := in.lookFor(ctx, s, file)
		if err != nil {
			return looked{}, err
		}
		if next == "" {
			if err := checkPointer(s.Path, l.notebook); err != nil {
				return looked{}, err // and it is not kept: the second who asks is told the same
			}
			in.cache.put(key, l)
			return l, nil
		}
		file = next
	}
	return looked{}, nes.Fail(nes.ReasonSourceNotFound, "%s is a link that leads nowhere", s.Path)
}

// lookFor looks for a file in a bundle. next is where to look instead, when links lead there.
func (in *Intake) lookFor(ctx context.Context, s nes.Source, file string) (l looked, next string, err error) {
	_, archive, err := in.bucket.Open(ctx, s.Bundle, 0, -1)
	if err != nil {
		return looked{}, "", storageError(err)
	}
	defer archive.Close()
	hash := sha256.New()
	whole := io.TeeReader(archive, hash)
	r, err := bundle.NewReader(whole, bundle.Limits{})
	if err != nil {
		return looked{}, "", unreadable(err)
	}
	defer r.Close()
	l.notebook, next, err = in.find(r, s, file)
	if err != nil || next != "" {
		return looked{}, next, err
	}
	if _, err := io.Copy(io.Discard, whole); err != nil { // the rest, for the digest
		return looked{}, "", storageError(err)
	}
	l.sha256, l.notes = hex.EncodeToString(hash.Sum(nil)), r.Notes()
	return l, "", nil
}

func (in *Intake) find(r *bundle.Reader, s nes.Source, file string) (notebook []byte, next string, err error) {
	var notebooks []string
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, "", unreadable(err)
		}
		if e.Kind == bundle.File && e.Path == file {
			notebook, err := in.readNotebook(r, e)
			return notebook, "", err
		}
		if strings.HasSuffix(e.Path, ".ipynb") {
			notebooks = append(notebooks, e.Path)
		}
	}
	if end, ok := bundle.Resolve(r.Links(), file); ok && end != file {
		return nil, end, nil
	}
	return nil, "", noNotebook(s, notebooks)
}

func (in *Intake) readNotebook(r io.Reader, e bundle.Entry) ([]byte, error) {
	if e.Size > in.limits.Notebook {
		return nil, nes.Fail(nes.ReasonSourceTooLarge, "%s has %d MiB, a notebook may have %d: clear its outputs", e.Path, e.Size>>20, in.limits.Notebook>>20)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, unreadable(err)
	}
	return b, nil
}

func noNotebook(s nes.Source, notebooks []string) error {
	where := s.Repository
	if s.Ref != "" {
		where += " at " + s.Ref
	}
	if len(s.Commit) == 40 && !strings.HasPrefix(s.Commit, s.Ref) {
		where += " (" + s.Commit[:8] + ")"
	}
	near := nearest.To(s.Path, notebooks, 3)
	hint := ""
	switch {
	case len(near) > 0:
		hint = "; nearest: " + strings.Join(near, ", ")
	case len(notebooks) == 0:
		hint = "; it holds no notebook at all"
	}
	return nes.Fail(nes.ReasonSourceNotFound, "there is no %s in %s%s", s.Path, where, hint)
}

// checkPointer recognises what Git LFS leaves in place of a large file.
func checkPointer(file string, content []byte) error {
	if len(content) < 1024 && bytes.HasPrefix(content, []byte("version https://git-lfs.github.com/spec/")) {
		return nes.Fail(nes.ReasonNotANotebook, "%s is a Git LFS pointer, not the notebook itself, and NES does not fetch from LFS: "+
			"keep notebooks in Git (git lfs untrack, then add the file again)", file)
	}
	return nil
}

func unreadable(err error) error {
	return &nes.Error{Code: nes.CodeInternal, Reason: nes.ReasonInternal, Message: "the source's archive cannot be read", Err: err}
}
