// Package gcs keeps objects in a bucket of Google Cloud Storage.
//
// A generation is the store's own. Every write names the generation it replaces where the caller
// does, and can be sent again without harm: each carries a mark of its own, by which a
// write whose answer was lost is told from somebody else's. So all calls are repeated
// on 429, 5xx and broken connections, with growing pauses, until the bucket's patience ends.
//
// What is stored is checked end to end by CRC32C: the sum is made while the caller's bytes are read and
// compared with the store's; whole objects are checked again when they are read.
//
// The store takes one write a second of one name. Keys of NES are written once or rarely, so nothing here waits for that:
// a write that comes too soon is answered by 429 and repeated.
package gcs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	gcs "cloud.google.com/go/storage"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"

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
	// Endpoint is the address of another server than Google's, such as
	// http://127.0.0.1:4443; it is called without credentials. Otherwise Application Default Credentials are used.
	Endpoint string
	// Patience is how long a call is repeated; 0 is a minute.
	Patience time.Duration
}

// Bucket is a bucket, or what is below a prefix of it.
type Bucket struct {
	client   *gcs.Client
	bucket   *gcs.BucketHandle
	name     string
	prefix   string // ends with a slash, or is empty
	patience time.Duration
}

// Open makes the client. It calls nobody: a bucket that is missing or forbidden shows at the first call.
func Open(ctx context.Context, o Options) (*Bucket, error) {
	var with []option.ClientOption
	if o.Endpoint != "" {
		with = append(with, option.WithEndpoint(strings.TrimSuffix(o.Endpoint, "/")+"/storage/v1/"), option.WithoutAuthentication())
	}
	client, err := gcs.NewClient(ctx, with...)
	if err != nil {
		return nil, &nes.Error{Code: nes.CodeInvalid, Message: "open bucket gs://" + o.Bucket + ": there are no Application Default Credentials: " +
			"run as a service account of Google Cloud, set GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login", Err: err}
	}
	b := &Bucket{client: client, bucket: client.Bucket(o.Bucket), name: o.Bucket, patience: cmp.Or(o.Patience, time.Minute)}
	if prefix := strings.Trim(o.Prefix, "/"); prefix != "" {
		b.prefix = prefix + "/"
	}
	return b, nil
}

// Check finds out whether the bucket can be used: "invalid" where it is missing or forbidden, "unavailable" where it cannot be told now.
func (b *Bucket) Check(ctx context.Context) error {
	query := &gcs.Query{Prefix: b.prefix, Projection: gcs.ProjectionNoACL}
	_, err := b.bucket.Retryer(b.retry()...).Objects(ctx, query).Next()
	if err == nil || errors.Is(err, iterator.Done) {
		return nil
	}
	code := nes.CodeUnavailable
	switch status(err) {
	case http.StatusNotFound, http.StatusForbidden, http.StatusUnauthorized:
		code = nes.CodeInvalid
	}
	return &nes.Error{Code: code, Message: "open the bucket gs://" + b.name + ": " + b.diagnose(err), Err: err}
}

// Close ends the client. Objects that are open cannot be read on.
func (b *Bucket) Close() error {
	if err := b.client.Close(); err != nil {
		return fmt.Errorf("close bucket: %w", err)
	}
	return nil
}

// maxName is what the store allows a name, in bytes.
const maxName = 1024

// check refuses what is no key, also together with the prefix, and calls that have ended.
func (b *Bucket) check(ctx context.Context, what, key string) error {
	if err := storage.ValidateKey(key); err != nil {
		return err
	}
	if len(b.prefix)+len(key) > maxName {
		return nes.Errorf(nes.CodeInvalid, "%.80q is too long a key below %s", key, b.prefix)
	}
	if err := ctx.Err(); err != nil {
		return b.fault(ctx, what, key, err)
	}
	return nil
}

// object is the handle of a key for one call, which is repeated while there is patience.
func (b *Bucket) object(key string) *gcs.ObjectHandle {
	return b.bucket.Object(b.prefix + key).Retryer(b.retry()...)
}

// Pauses between repeated calls: random, up to these.
const (
	firstPause = 250 * time.Millisecond
	lastPause  = 8 * time.Second
)

func (b *Bucket) retry() []gcs.RetryOption {
	end := time.Now().Add(b.patience)
	return []gcs.RetryOption{
		gcs.WithPolicy(gcs.RetryAlways), // every call of ours may be sent twice
		gcs.WithBackoff(gax.Backoff{Initial: min(firstPause, b.patience/8), Max: lastPause, Multiplier: 2}),
		gcs.WithErrorFunc(func(err error) bool { return time.Now().Before(end) && gcs.ShouldRetry(err) }),
	}
}

// described is what callers are told of an object. The store tells times of reads in whole seconds, so all are.
func (b *Bucket) described(a *gcs.ObjectAttrs) storage.Object {
	return storage.Object{
		Key: strings.TrimPrefix(a.Name, b.prefix), Size: a.Size, Generation: a.Generation,
		ContentType: a.ContentType, Modified: a.Updated.UTC().Truncate(time.Second),
	}
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
	if errors.Is(err, gcs.ErrObjectNotExist) {
		return nes.Errorf(nes.CodeNotFound, "there is no object %s", key)
	}
	return &nes.Error{Code: nes.CodeUnavailable, Message: fmt.Sprintf("%s %s: %s", what, key, b.diagnose(err)), Err: err}
}

// diagnose says what is wrong and how to mend it. What only an administrator can mend is
// still "unavailable" to callers: no run is lost by it, and it works again when it is mended.
func (b *Bucket) diagnose(err error) string {
	switch {
	case errors.Is(err, gcs.ErrBucketNotExist):
		return "the bucket gs://" + b.name + " does not exist: make it, or set NES_BUCKET to one that does"
	case status(err) == http.StatusForbidden:
		return "the service account may not use gs://" + b.name + ": grant it the role roles/storage.objectUser on the bucket"
	case status(err) == http.StatusUnauthorized:
		return "the credentials are not accepted: check GOOGLE_APPLICATION_CREDENTIALS or the workload identity"
	case status(err) != 0:
		return fmt.Sprintf("the store answers %d", status(err))
	}
	return "the store cannot be reached"
}

// status is the HTTP status that the store answered with, 0 where it did not.
func status(err error) int {
	if e, ok := errors.AsType[*googleapi.Error](err); ok {
		return e.Code
	}
	return 0
}
