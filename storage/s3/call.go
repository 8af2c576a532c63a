package s3

import (
	"context"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/nes-run/nes"
)

// Pauses between repeated calls: random, up to these.
const (
	firstPause = 250 * time.Millisecond
	lastPause  = 8 * time.Second
)

// again makes a call until it succeeds, fails for good, or the bucket's patience ends.
func (b *Bucket) again(ctx context.Context, call func(ctx context.Context) error) error {
	end := time.Now().Add(b.patience)
	for pause := min(firstPause, b.patience/8); ; pause = min(2*pause, lastPause) {
		err := call(ctx)
		if err == nil || !transient(err) || ctx.Err() != nil || !time.Now().Before(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(rand.N(pause) + time.Millisecond):
		}
	}
}

// transient reports whether a call that failed may succeed when it is made again. Every call of ours may be made twice.
func transient(err error) bool {
	if _, ok := errors.AsType[*nes.Error](err); ok {
		return false
	}
	s := status(err)
	switch code := minio.ToErrorResponse(err).Code; {
	case code == "ConditionalRequestConflict" || code == "OperationAborted" || code == "RequestTimeout" || code == "SlowDown":
		return true
	case s == http.StatusTooManyRequests || s == http.StatusRequestTimeout || s >= 500 && s != http.StatusNotImplemented:
		return true
	case s != 0 || code != "": // refused, by the store or by the client itself
		return false
	}
	_, untrusted := errors.AsType[x509.UnknownAuthorityError](err)
	return !untrusted // the connection broke
}

// status is the HTTP status that the store answered with, 0 where it did not.
func status(err error) int { return minio.ToErrorResponse(err).StatusCode }

// absent reports whether there is no such object, in a bucket that there is.
func absent(err error) bool {
	return status(err) == http.StatusNotFound && minio.ToErrorResponse(err).Code != "NoSuchBucket"
}

// refused reports whether a precondition failed; one on an object that is gone is told as its absence.
func refused(err error) bool {
	return status(err) == http.StatusPreconditionFailed || absent(err) && minio.ToErrorResponse(err).Code != "NoSuchUpload"
}
