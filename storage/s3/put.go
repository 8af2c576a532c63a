package s3

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
)

const (
	partSize = 8 << 20          // objects up to this size are stored by one call; so much is held in memory
	maxParts = 10_000           // that the store takes of one object
	cleaning = 30 * time.Second // that taking back what was begun may take
)

// Put stores an object: see [storage.Bucket].
func (b *Bucket) Put(ctx context.Context, key string, r io.Reader, o storage.PutOptions) (storage.Object, error) {
	if err := b.check(ctx, "store", key); err != nil {
		return storage.Object{}, err
	}
	src := &source{ctx: ctx, r: r}
	var head bytes.Buffer
	_, err := io.CopyN(&head, src, partSize)
	if src.err != nil {
		return storage.Object{}, cutShort(key, src.err)
	}
	u := &upload{bucket: b, key: key, generation: b.nextGeneration(), options: o, src: src}
	u.contentType = cmp.Or(o.ContentType, storage.TypeByName(key))
	whole := errors.Is(err, io.EOF)
	if err = u.look(ctx); err == nil {
		if whole {
			err = u.whole(ctx, head.Bytes())
		} else {
			err = u.inParts(ctx, head.Bytes())
		}
	}
	if src.err != nil {
		return storage.Object{}, cutShort(key, src.err)
	}
	if u.onlyIf != nil && refused(err) {
		err = u.settle(ctx)
	}
	if err != nil {
		return storage.Object{}, b.fault(ctx, "store", key, err)
	}
	return storage.Object{
		Key: key, Size: src.size, Generation: u.generation, ContentType: u.contentType,
		Modified: time.Unix(0, u.generation).UTC().Truncate(time.Second),
	}, nil
}

// upload is one Put.
type upload struct {
	bucket      *Bucket
	key         string
	generation  int64
	contentType string
	options     storage.PutOptions
	src         *source
	onlyIf      func(*minio.PutObjectOptions) // nil without a precondition
}

// look makes the precondition on a generation one on an entity tag, which the store can hold.
func (u *upload) look(ctx context.Context) error {
	want := u.options.IfGeneration
	if want == nil {
		return nil
	}
	if *want == 0 {
		u.onlyIf = func(o *minio.PutObjectOptions) { o.SetMatchETagExcept("*") }
		return nil
	}
	i, err := u.bucket.stat(ctx, u.key)
	if absent(err) || err == nil && generation(i) != *want {
		return u.conflict()
	}
	u.onlyIf = func(o *minio.PutObjectOptions) { o.SetMatchETag(i.ETag) }
	return err
}

func (u *upload) conflict() error {
	if *u.options.IfGeneration == 0 {
		return nes.Errorf(nes.CodeConflict, "%s exists already", u.key)
	}
	return nes.Errorf(nes.CodeConflict, "%s has not generation %d", u.key, *u.options.IfGeneration)
}

// settle decides about a failed precondition: where the object has this upload's generation,
// it was this upload that changed it, and only the answer was lost.
func (u *upload) settle(ctx context.Context) error {
	i, err := u.bucket.stat(ctx, u.key)
	switch {
	case err == nil && generation(i) == u.generation:
		return nil
	case err != nil && !absent(err):
		return err
	}
	return u.conflict()
}

// described are the options with what the object is to be known by.
func (u *upload) described(name, value string) minio.PutObjectOptions {
	return minio.PutObjectOptions{
		ContentType: u.contentType, DisableContentSha256: true, // the digest is given
		UserMetadata: map[string]string{generationName: strconv.FormatInt(u.generation, 10), name: value},
	}
}

// whole stores an object by one call. The store refuses it if a bit of it changed on the way.
func (u *upload) whole(ctx context.Context, text []byte) error {
	o := u.described(sumName, fmt.Sprintf("%08x", u.src.sum))
	if u.onlyIf != nil {
		u.onlyIf(&o)
	}
	digest := digestOf(text)
	return u.bucket.again(ctx, func(ctx context.Context) error {
		_, err := u.bucket.client.PutObject(ctx, u.bucket.name, u.bucket.prefix+u.key, bytes.NewReader(text), int64(len(text)), digest.md5, digest.sha256, o)
		return err
	})
}

// inParts stores an object part by part. It is there when the last call succeeds, and not at all otherwise.
func (u *upload) inParts(ctx context.Context, part []byte) (err error) {
	b, name := u.bucket, u.bucket.prefix+u.key
	var id string
	tries := 0
	err = b.again(ctx, func(ctx context.Context) (err error) {
		tries++
		id, err = b.client.NewMultipartUpload(ctx, b.name, name, u.described(partsName, strconv.Itoa(partSize)))
		return err
	})
	if err != nil {
		return err
	}
	if tries > 1 {
		defer u.clearLost(context.WithoutCancel(ctx), id)
	}
	defer func() {
		if err != nil {
			u.abort(context.WithoutCancel(ctx), id)
		}
	}()
	parts, err := u.sendParts(ctx, id, part)
	if err != nil {
		return err
	}
	return u.complete(ctx, id, parts)
}

// sendParts sends the first part, then what else the source gives, and reuses its memory.
func (u *upload) sendParts(ctx context.Context, id string, part []byte) ([]minio.CompletePart, error) {
	b := u.bucket
	var parts []minio.CompletePart
	for number := 1; len(part) > 0; number++ {
		if number > maxParts {
			return nil, nes.Errorf(nes.CodeTooLarge, "store %s: it has more than %d bytes", u.key, int64(partSize)*maxParts)
		}
		digest := digestOf(part)
		err := b.again(ctx, func(ctx context.Context) error {
			done, err := b.client.PutObjectPart(ctx, b.name, b.prefix+u.key, id, number, bytes.NewReader(part), int64(len(part)),
				minio.PutObjectPartOptions{Md5Base64: digest.md5, Sha256Hex: digest.sha256, DisableContentSha256: true})
			if err == nil {
				parts = append(parts, minio.CompletePart{PartNumber: number, ETag: done.ETag})
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		n, err := io.ReadFull(u.src, part[:partSize])
		if u.src.err != nil {
			return nil, u.src.err
		}
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, err
		}
		part = part[:n]
	}
	return parts, nil
}

// complete makes an object of the parts, and looks whether it is the one that was read.
func (u *upload) complete(ctx context.Context, id string, parts []minio.CompletePart) error {
	b := u.bucket
	var o minio.PutObjectOptions
	if u.onlyIf != nil {
		u.onlyIf(&o)
	}
	err := b.again(ctx, func(ctx context.Context) error {
		_, err := b.client.CompleteMultipartUpload(ctx, b.name, b.prefix+u.key, id, parts, o)
		return err
	})
	lost := minio.ToErrorResponse(err).Code == "NoSuchUpload" // completed by a call whose answer was lost
	if err != nil && !lost {
		return err
	}
	i, serr := b.stat(ctx, u.key)
	switch {
	case lost && (serr != nil || generation(i) != u.generation):
		return err
	case serr != nil && !absent(serr):
		return serr
	case serr == nil && generation(i) == u.generation && i.Size != u.src.size:
		_ = b.client.RemoveObject(ctx, b.name, b.prefix+u.key, minio.RemoveObjectOptions{})
		return nes.Errorf(nes.CodeUnavailable, "store %s: it was damaged on the way to the store and taken back: %d bytes of %d", u.key, i.Size, u.src.size)
	}
	return nil // also when somebody has replaced it already
}

// abort takes back what was sent. Where it cannot, the bucket's rule for uploads that were left does it.
func (u *upload) abort(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(ctx, cleaning)
	defer cancel()
	_ = u.bucket.again(ctx, func(ctx context.Context) error {
		return u.bucket.client.AbortMultipartUpload(ctx, u.bucket.name, u.bucket.prefix+u.key, id)
	})
}

// clearLost takes back uploads of this key that were begun by calls whose answer was lost.
func (u *upload) clearLost(ctx context.Context, own string) {
	ctx, cancel := context.WithTimeout(ctx, cleaning)
	defer cancel()
	b := u.bucket
	found, err := b.client.ListMultipartUploads(ctx, b.name, b.prefix+u.key, "", "", "", 1000)
	if err != nil {
		return
	}
	for _, left := range found.Uploads {
		if left.Key == b.prefix+u.key && left.UploadID != own {
			u.abort(ctx, left.UploadID)
		}
	}
}

// digest of what one call sends, by which the store knows it is whole.
type digest struct{ md5, sha256 string }

func digestOf(text []byte) digest {
	m, s := md5.Sum(text), sha256.Sum256(text)
	return digest{base64.StdEncoding.EncodeToString(m[:]), hex.EncodeToString(s[:])}
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
