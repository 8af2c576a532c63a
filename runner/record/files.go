package record

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"maps"
	"mime"
	"path"
	"slices"
	"strings"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/fault"
	"github.com/nes-run/nes/runner/journal"
	"github.com/nes-run/nes/storage"
)

const (
	outputs = "outputs/"
	blobs   = "blobs/"
	maxName = 512
)

// PutFile stores a file of an attempt whose digest must be sha256: input.ipynb, log.txt (what
// driver and exec wrote), blobs/<sha256> or outputs/<path>. It may be repeated.
func (s *Store) PutFile(ctx context.Context, run *nes.Run, attempt int, name, sum string, body io.Reader) error {
	key, limit, err := fileKey(name, sum)
	if err != nil {
		return err
	}
	in := &verified{r: io.LimitReader(body, limit+1), hash: sha256.New(), want: sum, limit: limit}
	key = storage.AttemptPrefix(run, attempt) + key
	if short, ok := strings.CutPrefix(name, outputs); ok {
		return s.putOutput(ctx, run, attempt, key, short, in)
	}
	if err := s.putVerified(ctx, key, in); err != nil {
		return err
	}
	if name != path.Base(journal.InputFile) {
		return nil
	}
	defer s.hub.changed(run.ID)
	return s.with(ctx, run, attempt, func(l *live) error { return l.takeInput(ctx) })
}

func (s *Store) putVerified(ctx context.Context, key string, in *verified) error {
	fault.At(fault.FileStoring)
	_, err := s.o.Bucket.Put(ctx, key, in, storage.PutOptions{ContentType: typeOf(key)})
	fault.At(fault.FileStored)
	return firstError(in.err, err)
}

// putOutput stores a side file, where there is room for it.
func (s *Store) putOutput(ctx context.Context, run *nes.Run, attempt int, key, name string, in *verified) error {
	var shelf *shelf
	err := s.with(ctx, run, attempt, func(l *live) (err error) {
		shelf, err = l.sideFiles(ctx)
		return err
	})
	if err != nil {
		return err
	}
	place, err := shelf.enter(name)
	if err != nil {
		return err
	}
	in.takes = place.takes
	if err = s.putVerified(ctx, key, in); err == nil {
		place.stored = &nes.File{Name: name, Size: in.size, SHA256: in.want, Type: typeOf(name)}
	}
	place.leave()
	return err
}

// fileKey checks a file's name and says below which key it is stored and how large it may be.
func fileKey(name, sum string) (string, int64, error) {
	if raw, err := hex.DecodeString(sum); err != nil || len(raw) != sha256.Size || sum != strings.ToLower(sum) {
		return "", 0, nes.Errorf(nes.CodeInvalid, "the digest of a file is 64 hexadecimal digits")
	}
	switch {
	case name == path.Base(journal.InputFile):
		return name, journal.MaxInput, nil
	case name == path.Base(journal.LogFile):
		return driverLog, journal.MaxChunk, nil
	case name == blobs+sum:
		return name, journal.MaxBlob, nil
	case strings.HasPrefix(name, outputs) && len(name) > len(outputs) && len(name) <= maxName && storage.CleanKey(name) == name:
		return name, journal.MaxBlob, nil
	}
	return "", 0, nes.Errorf(nes.CodeInvalid, "a file named %q is not kept", name)
}

// verified fails at the end of a body that is not what was announced, so that nothing of it is stored.
type verified struct {
	r           io.Reader
	hash        hash.Hash
	want        string
	size, limit int64
	takes       func(n int) error // refuses n more bytes; nil never does
	err         error
}

// Read implements io.Reader.
func (v *verified) Read(p []byte) (int, error) {
	n, err := v.r.Read(p)
	v.hash.Write(p[:n])
	if v.size += int64(n); v.size > v.limit {
		v.err = nes.Errorf(nes.CodeTooLarge, "the file is larger than %d bytes", v.limit)
		return n, v.err
	}
	if v.takes != nil && n > 0 {
		if v.err = v.takes(n); v.err != nil {
			return n, v.err
		}
	}
	if err == io.EOF && hex.EncodeToString(v.hash.Sum(nil)) != v.want {
		v.err = nes.Errorf(nes.CodeInvalid, "the file is not what its digest says")
		return n, v.err
	}
	return n, err
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Files lists the side files of an attempt, by name.
func (s *Store) Files(ctx context.Context, run *nes.Run, attempt int) ([]nes.File, error) {
	known := map[string]nes.File{}
	if run.Outcome != nil && attempt == run.Attempt {
		for _, f := range run.Outcome.Files {
			known[f.Name] = f
		}
	}
	if l := s.peek(run.ID, attempt); l != nil {
		l.mu.RLock()
		maps.Copy(known, l.shelf.known())
		l.mu.RUnlock()
	}
	return s.listFiles(ctx, storage.AttemptPrefix(run, attempt)+outputs, known)
}

// listFiles lists what lies below prefix, and reads those files whose digest is not known.
func (s *Store) listFiles(ctx context.Context, prefix string, known map[string]nes.File) ([]nes.File, error) {
	files, after := []nes.File{}, ""
	for {
		page, err := s.o.Bucket.List(ctx, storage.ListOptions{Prefix: prefix, After: after})
		if err != nil {
			return nil, err
		}
		for _, o := range page.Objects {
			f, ok := known[strings.TrimPrefix(o.Key, prefix)]
			if !ok || f.Size != o.Size || f.SHA256 == "" {
				if f, err = s.describe(ctx, o.Key, strings.TrimPrefix(o.Key, prefix)); err != nil {
					return nil, err
				}
			}
			files = append(files, f)
		}
		if after = page.Next; after == "" {
			slices.SortFunc(files, func(a, b nes.File) int { return strings.Compare(a.Name, b.Name) })
			return files, nil
		}
	}
}

func (s *Store) describe(ctx context.Context, key, name string) (nes.File, error) {
	_, r, err := s.o.Bucket.Open(ctx, key, 0, -1)
	if err != nil {
		return nes.File{}, err
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(h, r)
	return nes.File{Name: name, Size: n, SHA256: hex.EncodeToString(h.Sum(nil)), Type: typeOf(name)}, err
}

// OpenFile opens a side file.
func (s *Store) OpenFile(ctx context.Context, run *nes.Run, attempt int, name string) (nes.File, io.ReadCloser, error) {
	if storage.CleanKey(name) != name || name == "" {
		return nes.File{}, nil, nes.Errorf(nes.CodeNotFound, "there is no file %q", name)
	}
	o, r, err := s.o.Bucket.Open(ctx, storage.AttemptPrefix(run, attempt)+outputs+name, 0, -1)
	if err != nil {
		return nes.File{}, nil, err
	}
	f := nes.File{Name: name, Size: o.Size, Type: typeOf(name)}
	if run.Outcome != nil && attempt == run.Attempt {
		for _, known := range run.Outcome.Files {
			if known.Name == name && known.Size == o.Size {
				f.SHA256 = known.SHA256
			}
		}
	}
	return f, r, nil
}

func typeOf(name string) string {
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}
