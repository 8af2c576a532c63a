package gcs

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"time"

	gcs "cloud.google.com/go/storage"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
)

const (
	small     = 256<<10 - 1 // objects up to this size are stored by one request
	chunkSize = 8 << 20     // of larger ones, whose upload is resumed; so much is held in memory
	stalled   = time.Minute // that a chunk may take without an answer
	markName  = "nes-write" // metadata that tells writes apart
)

// Put stores an object: see [storage.Bucket].
func (b *Bucket) Put(ctx context.Context, key string, r io.Reader, o storage.PutOptions) (storage.Object, error) {
	if err := b.check(ctx, "store", key); err != nil {
		return storage.Object{}, err
	}
	src := &source{ctx: ctx, r: r}
	var head bytes.Buffer
	_, err := io.CopyN(&head, src, small)
	if src.err != nil {
		return storage.Object{}, cutShort(key, src.err)
	}
	mark := rand.Text()
	u := upload{bucket: b, key: key, mark: mark, options: o, src: src}
	var attrs *gcs.ObjectAttrs
	if errors.Is(err, io.EOF) {
		attrs, err = u.whole(ctx, head.Bytes())
	} else {
		attrs, err = u.chunked(ctx, io.MultiReader(&head, src))
	}
	if src.err != nil {
		return storage.Object{}, cutShort(key, src.err)
	}
	if status(err) == http.StatusPreconditionFailed {
		attrs, err = u.settle(ctx)
	}
	if err == nil {
		err = u.verify(ctx, attrs)
	}
	if err != nil {
		return storage.Object{}, b.fault(ctx, "store", key, err)
	}
	return b.described(attrs), nil
}

// upload is one Put.
type upload struct {
	bucket  *Bucket
	key     string
	mark    string
	options storage.PutOptions
	src     *source
}

// writer begins to store; the caller ends ctx to leave nothing behind.
func (u upload) writer(ctx context.Context) *gcs.Writer {
	object := u.bucket.object(u.key)
	if want := u.options.IfGeneration; want != nil {
		object = object.If(gcs.Conditions{DoesNotExist: *want == 0, GenerationMatch: *want})
	}
	w := object.NewWriter(ctx)
	w.ContentType = cmp.Or(u.options.ContentType, storage.TypeByName(u.key))
	w.Metadata = map[string]string{markName: u.mark}
	return w
}

// whole stores an object by one request, which the store refuses if a bit of it changed on the way.
func (u upload) whole(ctx context.Context, text []byte) (*gcs.ObjectAttrs, error) {
	ctx, cancel := context.WithTimeout(ctx, u.bucket.patience+stalled)
	defer cancel()
	w := u.writer(ctx)
	w.ChunkSize = small + 1 // larger than the object, so that it is not cut
	w.SendCRC32C, w.CRC32C = true, u.src.sum
	_, err := w.Write(text)
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return w.Attrs(), nil
}

// chunked stores an object chunk by chunk. It is there when the last one is, and not at all otherwise.
func (u upload) chunked(ctx context.Context, r io.Reader) (*gcs.ObjectAttrs, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := u.writer(ctx)
	w.ChunkSize, w.ChunkRetryDeadline, w.ChunkTransferTimeout = chunkSize, u.bucket.patience, stalled
	if _, err := io.Copy(w, r); err != nil {
		cancel() // Close would store the part
		return nil, errors.Join(err, w.Close())
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return w.Attrs(), nil
}

// settle decides about a failed precondition: where the object bears this upload's
// mark, it was this upload that changed the generation, and only the answer was lost.
func (u upload) settle(ctx context.Context) (*gcs.ObjectAttrs, error) {
	attrs, err := u.bucket.object(u.key).Attrs(ctx)
	if err == nil && attrs.Metadata[markName] == u.mark {
		return attrs, nil
	}
	if err != nil && !errors.Is(err, gcs.ErrObjectNotExist) {
		return nil, err
	}
	if *u.options.IfGeneration == 0 {
		return nil, nes.Errorf(nes.CodeConflict, "%s exists already", u.key)
	}
	return nil, nes.Errorf(nes.CodeConflict, "%s has not generation %d", u.key, *u.options.IfGeneration)
}

// verify compares what is stored with what was read, and removes what differs.
func (u upload) verify(ctx context.Context, attrs *gcs.ObjectAttrs) error {
	if attrs.Size == u.src.size && attrs.CRC32C == u.src.sum {
		return nil
	}
	err := u.bucket.object(u.key).If(gcs.Conditions{GenerationMatch: attrs.Generation}).Delete(ctx)
	return &nes.Error{
		Code:    nes.CodeUnavailable,
		Message: fmt.Sprintf("store %s: it was damaged on the way to the store and taken back: %d bytes of %d", u.key, attrs.Size, u.src.size),
		Err:     err,
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// source reads what is to be stored until its context ends, sums it up, and remembers what
// made it fail: that is the caller's error, not the bucket's.
type source struct {
	ctx  context.Context
	r    io.Reader
	size int64
	sum  uint32
	err  error
}

// Read reads.
func (s *source) Read(p []byte) (n int, err error) {
	if err = s.ctx.Err(); err == nil {
		n, err = s.r.Read(p)
	}
	s.size += int64(n)
	s.sum = crc32.Update(s.sum, castagnoli, p[:n])
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// cutShort keeps the code of what made the source fail.
func cutShort(key string, err error) error {
	err = fmt.Errorf("store %s: read what is to be stored: %w", key, err)
	if _, ok := errors.AsType[*nes.Error](err); ok {
		return err
	}
	return &nes.Error{Code: nes.CodeUnavailable, Message: err.Error(), Err: err}
}
