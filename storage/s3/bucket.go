// Package s3 keeps objects in a bucket of Amazon S3, or of a server that speaks its protocol and keeps preconditions.
//
// S3 has no number that changes with every write: an entity tag comes back with equal bytes. So each write carries a generation
// of its own in the object's metadata. A write that names the generation it replaces looks at the object, and is then made
// under the condition that its entity tag is still the same. Between the two, equal bytes alone can come back unseen.
//
// All calls are repeated on 429, 5xx and broken connections, with growing pauses, until the bucket's patience ends. The
// generation tells a write whose answer was lost from somebody else's.
package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
)

var _ storage.Bucket = (*Bucket)(nil)

// Options of a [Bucket].
type Options struct {
	// Bucket is the bucket's name. It exists.
	Bucket string
	// Prefix is put before every key, with a slash between; it may be empty.
	Prefix string
	// Endpoint is the address of another server than Amazon's, such as https://minio.example.com:9000; the bucket's name is
	// then part of the path. Empty is AWS_ENDPOINT_URL_S3, else AWS_ENDPOINT_URL, else Amazon's.
	Endpoint string
	// Region of the bucket; empty is AWS_REGION, else AWS_DEFAULT_REGION, else what the store says.
	Region string
	// Patience is how long a call is repeated; 0 is a minute.
	Patience time.Duration
}

// Bucket is a bucket, or what is below a prefix of it.
type Bucket struct {
	client   *minio.Core
	name     string
	prefix   string // ends with a slash, or is empty
	patience time.Duration
	last     atomic.Int64 // generation given out
}

// Open makes the client. It calls nobody. Credentials are looked for when they are needed: in AWS_ACCESS_KEY_ID and
// AWS_SECRET_ACCESS_KEY, in the shared credentials file, then from the machine, container or service account.
func Open(o Options) (*Bucket, error) {
	endpoint := cmp.Or(o.Endpoint, os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL"))
	options := &minio.Options{
		Creds: credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.FileAWSCredentials{},
			&credentials.IAM{Client: &http.Client{Transport: http.DefaultTransport, Timeout: 5 * time.Second}},
		}),
		Secure: true, Region: cmp.Or(o.Region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")),
		MaxRetries: 1, // the bucket repeats calls itself
	}
	host := "s3.amazonaws.com"
	if endpoint != "" {
		u, err := url.Parse(endpoint)
		if err != nil || u.Host == "" || strings.Trim(u.Path, "/") != "" || (u.Scheme != "http" && u.Scheme != "https") {
			return nil, nes.Errorf(nes.CodeInvalid, "open bucket s3://%s: the endpoint is no address: set AWS_ENDPOINT_URL_S3 to something like https://minio.example.com:9000", o.Bucket)
		}
		host, options.Secure, options.BucketLookup = u.Host, u.Scheme == "https", minio.BucketLookupPath
		options.Region = cmp.Or(options.Region, "us-east-1")
	}
	client, err := minio.NewCore(host, options)
	if err != nil {
		return nil, nes.Errorf(nes.CodeInvalid, "open bucket s3://%s: %w", o.Bucket, err)
	}
	b := &Bucket{client: client, name: o.Bucket, patience: cmp.Or(o.Patience, time.Minute)}
	if prefix := strings.Trim(o.Prefix, "/"); prefix != "" {
		b.prefix = prefix + "/"
	}
	return b, nil
}

// Check finds out whether the bucket can be used: "invalid" where it is missing or forbidden, "unavailable" where it cannot be told now.
func (b *Bucket) Check(ctx context.Context) error {
	_, err := b.page(ctx, b.prefix, "", "", "", 1)
	if err == nil {
		return nil
	}
	code := nes.CodeUnavailable
	if s := status(err); s >= 300 && s < 500 && !transient(err) {
		code = nes.CodeInvalid
	}
	return &nes.Error{Code: code, Message: "open the bucket s3://" + b.name + ": " + b.diagnose(err), Err: err}
}

// Close does nothing: the client keeps nothing but idle connections.
func (b *Bucket) Close() error { return nil }

// maxName is what the store allows a name, in bytes.
const maxName = 1024

// check refuses what is no key, also together with the prefix, and calls that have ended.
func (b *Bucket) check(ctx context.Context, what, key string) error {
	if err := storage.ValidateKey(key); err != nil {
		return err
	}
	if strings.TrimSpace(b.prefix+key) == "" {
		return nes.Errorf(nes.CodeInvalid, "%q is a key of nothing but spaces, which s3://%s does not take: give NES_BUCKET a prefix", key, b.name)
	}
	if len(b.prefix)+len(key) > maxName {
		return nes.Errorf(nes.CodeInvalid, "%.80q is too long a key below %s", key, b.prefix)
	}
	if err := ctx.Err(); err != nil {
		return b.fault(ctx, what, key, err)
	}
	return nil
}

// Metadata of what NES stored.
const (
	generationName = "Nes-Generation"
	sumName        = "Nes-Crc32c" // of an object that was stored by one call
	partsName      = "Nes-Part-Size"
)

// nextGeneration is the time in nanoseconds: two writers that meet in one would have to overwrite each other in it as well.
func (b *Bucket) nextGeneration() int64 {
	for {
		last := b.last.Load()
		next := max(time.Now().UnixNano(), last+1)
		if b.last.CompareAndSwap(last, next) {
			return next
		}
	}
}

// described is what callers are told of an object. Times are in whole seconds, as the store tells them.
func (b *Bucket) described(i minio.ObjectInfo) storage.Object {
	o := storage.Object{
		Key: strings.TrimPrefix(i.Key, b.prefix), Size: i.Size, Generation: generation(i),
		ContentType: i.ContentType, Modified: i.LastModified.UTC().Truncate(time.Second),
	}
	if i.UserMetadata[generationName] != "" {
		o.Modified = time.Unix(0, o.Generation).UTC().Truncate(time.Second)
	}
	return o
}

// generation of an object; of one that somebody else stored, out of all that the store tells.
func generation(i minio.ObjectInfo) int64 {
	if n, err := strconv.ParseInt(i.UserMetadata[generationName], 10, 64); err == nil && n > 0 {
		return n
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d", i.ETag, i.LastModified.UnixNano())
	return int64(h.Sum64()>>2) | 1
}

// fault turns an error of the client into one for callers: a word about what to do, and the cause for the log.
func (b *Bucket) fault(ctx context.Context, what, key string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*nes.Error](err); ok {
		return err
	}
	if ended := ctx.Err(); ended != nil {
		return &nes.Error{Code: nes.CodeUnavailable, Message: fmt.Sprintf("%s %s: %v", what, key, ended), Err: ended}
	}
	if absent(err) {
		return nes.Errorf(nes.CodeNotFound, "there is no object %s", key)
	}
	return &nes.Error{Code: nes.CodeUnavailable, Message: fmt.Sprintf("%s %s: %s", what, key, b.diagnose(err)), Err: err}
}

// diagnose says what is wrong and how to mend it. What only an administrator can mend is
// still "unavailable" to callers: no run is lost by it, and it works again when it is mended.
func (b *Bucket) diagnose(err error) string {
	code := minio.ToErrorResponse(err).Code
	switch s := status(err); {
	case code == "NoSuchBucket":
		return "the bucket s3://" + b.name + " does not exist: make it, or set NES_BUCKET to one that does"
	case code == "AuthorizationHeaderMalformed" || s == http.StatusMovedPermanently || s == http.StatusTemporaryRedirect:
		return "the bucket s3://" + b.name + " is in another region: set AWS_REGION to its own"
	case code == "InvalidAccessKeyId" || code == "SignatureDoesNotMatch" || code == "ExpiredToken" || s == http.StatusUnauthorized:
		return "the credentials are not accepted by s3://" + b.name + ": check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role of the machine or service account"
	case s == http.StatusForbidden:
		return "the credentials, or their lack, do not allow to use s3://" + b.name + ": allow s3:ListBucket on it and s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on what lies in it"
	case s != 0:
		return fmt.Sprintf("the store answers %d %s", s, code)
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return "the store of s3://" + b.name + " cannot be reached"
	}
	return "the store of s3://" + b.name + " does not answer as it should"
}
