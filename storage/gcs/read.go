package gcs

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	gcs "cloud.google.com/go/storage"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
)

// Open reads an object: see [storage.Bucket]. A connection that breaks is made again where it broke, on the same generation.
func (b *Bucket) Open(ctx context.Context, key string, offset, length int64) (storage.Object, io.ReadCloser, error) {
	if offset < 0 {
		return storage.Object{}, nil, nes.Errorf(nes.CodeInvalid, "read %s: the offset %d is negative", key, offset)
	}
	if err := b.check(ctx, "read", key); err != nil {
		return storage.Object{}, nil, err
	}
	r, err := b.object(key).ReadCompressed(true).NewRangeReader(ctx, offset, length)
	if status(err) == http.StatusRequestedRangeNotSatisfiable { // behind the end
		o, err := b.Stat(ctx, key)
		return o, http.NoBody, err
	}
	if err != nil {
		return storage.Object{}, nil, b.fault(ctx, "read", key, err)
	}
	o := storage.Object{
		Key: key, Size: r.Attrs.Size, Generation: r.Attrs.Generation,
		ContentType: r.Attrs.ContentType, Modified: r.Attrs.LastModified.UTC().Truncate(time.Second),
	}
	return o, &body{Reader: r, ctx: ctx, b: b, key: key}, nil
}

// body is what is read of an object.
type body struct {
	*gcs.Reader
	ctx context.Context
	b   *Bucket
	key string
}

// Read reads. An object that ends early or whose sum is wrong gives an error, never its end.
func (r *body) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == nil || err == io.EOF {
		return n, err
	}
	if errors.Is(err, gcs.ErrObjectNotExist) {
		err = nes.Errorf(nes.CodeUnavailable, "read %s: it was replaced while it was being read", r.key)
	}
	return n, r.b.fault(r.ctx, "read", r.key, err)
}

// WriteTo writes all of it, with the errors of Read.
func (r *body) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{r})
}

// Stat describes an object: see [storage.Bucket].
func (b *Bucket) Stat(ctx context.Context, key string) (storage.Object, error) {
	if err := b.check(ctx, "describe", key); err != nil {
		return storage.Object{}, err
	}
	attrs, err := b.object(key).Attrs(ctx)
	if err != nil {
		return storage.Object{}, b.fault(ctx, "describe", key, err)
	}
	return b.described(attrs), nil
}

// Delete removes an object: see [storage.Bucket].
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if err := b.check(ctx, "delete", key); err != nil {
		return err
	}
	err := b.object(key).Delete(ctx)
	if errors.Is(err, gcs.ErrObjectNotExist) {
		return nil
	}
	return b.fault(ctx, "delete", key, err)
}
