package intake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/bundle"
	"github.com/nes-run/nes/storage"
)

// Upload takes a working tree as a bundle, checks it, and keeps it under the digest that it
// returns: bundle://<sha256>/<path> addresses a notebook in it. The same bytes may be sent again.
func (in *Intake) Upload(ctx context.Context, r io.Reader) (string, error) {
	f, err := os.CreateTemp(in.tempDir, "nes-upload-")
	if err != nil {
		return "", nes.Errorf(nes.CodeInternal, "make a file for the upload: %w", err)
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil { // it lives as long as it is open
		return "", nes.Errorf(nes.CodeInternal, "unlink the file for the upload: %w", err)
	}
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, hash), io.LimitReader(r, in.limits.Upload+1))
	if err != nil {
		return "", nes.Errorf(nes.CodeInvalid, "the upload broke off")
	}
	if n > in.limits.Upload {
		return "", nes.Errorf(nes.CodeTooLarge, "the archive has more than %d MiB: leave large data out of the directory", in.limits.Upload>>20)
	}
	if n == 0 {
		return "", nes.Invalid([]nes.Problem{{Field: "body", Message: "is empty: send a tar.zst archive"}})
	}
	if err := in.checkUpload(f); err != nil {
		return "", err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", nes.Errorf(nes.CodeInternal, "read the upload again: %w", err)
	}
	sum := hex.EncodeToString(hash.Sum(nil))
	_, err = in.bucket.Put(ctx, storage.UploadKey(sum), f, bundleOptions())
	return sum, ignoreConflict(err)
}

// checkUpload reads a bundle from beginning to end.
func (in *Intake) checkUpload(f *os.File) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nes.Errorf(nes.CodeInternal, "read the upload again: %w", err)
	}
	r, err := bundle.NewReader(f, in.limits.Bundle)
	if err != nil {
		return badUpload(err)
	}
	defer r.Close()
	for {
		_, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return badUpload(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			return badUpload(err)
		}
	}
	if err := r.Check(); err != nil {
		return badUpload(err)
	}
	return nil
}

func badUpload(err error) error {
	if errors.Is(err, bundle.ErrTooLarge) {
		return nes.Errorf(nes.CodeTooLarge, "the archive is too large: %v", err)
	}
	return nes.Invalid([]nes.Problem{{Field: "body", Message: "is not a tar.zst archive that may be kept: " + err.Error()}})
}
