package s3

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
)

// Open reads an object: see [storage.Bucket]. A connection that breaks is made again where it broke, on the same bytes.
func (b *Bucket) Open(ctx context.Context, key string, offset, length int64) (storage.Object, io.ReadCloser, error) {
	if offset < 0 {
		return storage.Object{}, nil, nes.Errorf(nes.CodeInvalid, "read %s: the offset %d is negative", key, offset)
	}
	if err := b.check(ctx, "read", key); err != nil {
		return storage.Object{}, nil, err
	}
	r := &body{ctx: ctx, b: b, key: key, in: http.NoBody, at: offset, end: -1}
	if length >= 0 && offset+length >= 0 { // else it does not fit into a number, and is all
		r.end = offset + length
	}
	if length == 0 {
		o, err := b.Stat(ctx, key)
		return o, http.NoBody, err
	}
	info, err := r.connect()
	if status(err) == http.StatusRequestedRangeNotSatisfiable { // behind the end
		o, err := b.Stat(ctx, key)
		return o, http.NoBody, err
	}
	if err != nil {
		return storage.Object{}, nil, b.fault(ctx, "read", key, err)
	}
	r.expect(info, offset == 0)
	return b.described(info), r, nil
}

// body is what is read of an object.
type body struct {
	ctx     context.Context
	b       *Bucket
	key     string
	etag    string // empty until the first answer
	in      io.ReadCloser
	at, end int64 // what is read next, and behind what is read; end is -1 until it is known
	sum     sum   // nil where nothing is known to compare with
}

// connect asks for what is left, and describes the whole object.
func (r *body) connect() (info minio.ObjectInfo, err error) {
	var o minio.GetObjectOptions
	switch {
	case r.end > r.at:
		err = o.SetRange(r.at, r.end-1)
	case r.at > 0:
		err = o.SetRange(r.at, 0)
	}
	if err == nil && r.etag != "" {
		err = o.SetMatchETag(r.etag)
	}
	if err != nil {
		return info, err
	}
	err = r.b.again(r.ctx, func(ctx context.Context) error {
		in, found, header, err := r.b.client.GetObject(ctx, r.b.name, r.b.prefix+r.key, o)
		if err == nil {
			r.in, r.etag, info = in, found.ETag, found
			info.Key, info.Size = r.b.prefix+r.key, total(header, found.Size)
		}
		return err
	})
	return info, err
}

// total is the size of the whole object, of which a part may have been sent.
func total(h http.Header, sent int64) int64 {
	_, after, found := strings.Cut(h.Get("Content-Range"), "/")
	if n, err := strconv.ParseInt(after, 10, 64); found && err == nil {
		return n
	}
	return sent
}

// expect notes where the object ends, and what its sum is to be if all of it is read.
func (r *body) expect(info minio.ObjectInfo, fromStart bool) {
	whole := fromStart && (r.end < 0 || r.end >= info.Size)
	if r.end < 0 || r.end > info.Size {
		r.end = info.Size
	}
	if whole {
		r.sum = sumOf(info)
	}
}

// Read reads. An object that ends early or whose sum is wrong gives an error, never its end.
func (r *body) Read(p []byte) (int, error) {
	if r.at >= r.end {
		if r.sum != nil && !r.sum.fits() {
			return 0, nes.Errorf(nes.CodeUnavailable, "read %s: it was damaged on its way from the store, or in it: its checksum is wrong", r.key)
		}
		return 0, io.EOF
	}
	n, err := r.in.Read(p[:min(int64(len(p)), r.end-r.at)])
	r.at += int64(n)
	if r.sum != nil {
		r.sum.Write(p[:n])
	}
	if err == nil || n > 0 || r.at >= r.end {
		return n, nil // the next call tells what is wrong
	}
	return n, r.resume(err)
}

// resume connects again where the connection broke.
func (r *body) resume(cause error) error {
	_ = r.in.Close()
	if err := r.ctx.Err(); err != nil {
		return r.b.fault(r.ctx, "read", r.key, err)
	}
	_, err := r.connect()
	if status(err) == http.StatusPreconditionFailed || absent(err) {
		return nes.Errorf(nes.CodeUnavailable, "read %s: it was replaced while it was being read", r.key)
	}
	return r.b.fault(r.ctx, "read", r.key, errors.Join(err, ifFailed(err, cause)))
}

func ifFailed(err, cause error) error {
	if err == nil {
		return nil
	}
	return cause
}

// Close ends the reading.
func (r *body) Close() error { return r.in.Close() }

// sum of what is read, which knows what it is to be.
type sum interface {
	io.Writer
	fits() bool
}

// sumOf finds what the object's sum is to be; nil where it cannot be known: of what somebody else stored, or where the
// store encrypts so that entity tags are no digests.
func sumOf(i minio.ObjectInfo) sum {
	if want := i.UserMetadata[sumName]; want != "" {
		return &crcSum{Hash32: crc32.New(castagnoli), want: want}
	}
	size, err := strconv.Atoi(i.UserMetadata[partsName])
	crypt := i.Metadata.Get("X-Amz-Server-Side-Encryption")
	if err != nil || size < 1 || crypt != "" && crypt != "AES256" || !strings.Contains(i.ETag, "-") {
		return nil
	}
	return &partsSum{part: md5.New(), all: md5.New(), size: size, want: i.ETag}
}

type crcSum struct {
	hash.Hash32
	want string
}

func (s *crcSum) fits() bool { return fmt.Sprintf("%08x", s.Sum32()) == s.want }

// partsSum is the entity tag of an object that was stored in parts: the digest of their digests, and their number.
type partsSum struct {
	part, all      hash.Hash
	size, have, no int
	want           string
}

// Write sums up.
func (s *partsSum) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		k := min(len(p), s.size-s.have)
		s.part.Write(p[:k])
		p, s.have = p[k:], s.have+k
		if s.have == s.size {
			s.next()
		}
	}
	return n, nil
}

func (s *partsSum) next() {
	s.all.Write(s.part.Sum(nil))
	s.part.Reset()
	s.have, s.no = 0, s.no+1
}

func (s *partsSum) fits() bool {
	if s.have > 0 {
		s.next()
	}
	return fmt.Sprintf("%s-%d", hex.EncodeToString(s.all.Sum(nil)), s.no) == s.want
}

// stat describes an object as the store does.
func (b *Bucket) stat(ctx context.Context, key string) (info minio.ObjectInfo, err error) {
	err = b.again(ctx, func(ctx context.Context) error {
		info, err = b.client.StatObject(ctx, b.name, b.prefix+key, minio.StatObjectOptions{})
		return err
	})
	info.Key = b.prefix + key
	return info, err
}

// Stat describes an object: see [storage.Bucket].
func (b *Bucket) Stat(ctx context.Context, key string) (storage.Object, error) {
	if err := b.check(ctx, "describe", key); err != nil {
		return storage.Object{}, err
	}
	info, err := b.stat(ctx, key)
	if err != nil {
		return storage.Object{}, b.fault(ctx, "describe", key, err)
	}
	return b.described(info), nil
}

// Delete removes an object: see [storage.Bucket].
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if err := b.check(ctx, "delete", key); err != nil {
		return err
	}
	err := b.again(ctx, func(ctx context.Context) error {
		return b.client.RemoveObject(ctx, b.name, b.prefix+key, minio.RemoveObjectOptions{})
	})
	if absent(err) {
		return nil
	}
	return b.fault(ctx, "delete", key, err)
}
