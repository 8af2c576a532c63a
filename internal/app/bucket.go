package app

import (
	"context"
	"strings"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
	"github.com/nes-run/nes/storage/file"
	"github.com/nes-run/nes/storage/gcs"
	"github.com/nes-run/nes/storage/s3"
)

// remote is a bucket that lies elsewhere.
type remote interface {
	storage.Bucket
	// Check finds out whether the bucket can be used: invalid where only an administrator can mend it.
	Check(ctx context.Context) error
	Close() error
}

// bucket opens what NES_BUCKET names. A bucket elsewhere that will never do is refused now, with
// its cure; one that cannot be reached at the moment is not, because work goes on when it is back.
func (a *App) bucket(ctx context.Context) (storage.Bucket, error) {
	scheme, rest, _ := strings.Cut(a.o.Config.Bucket, "://")
	name, prefix, _ := strings.Cut(rest, "/")
	var b remote
	var err error
	switch scheme {
	case "gs":
		b, err = gcs.Open(ctx, gcs.Options{Bucket: name, Prefix: prefix})
	case "s3":
		b, err = s3.Open(s3.Options{Bucket: name, Prefix: prefix})
	default:
		return file.Open(rest)
	}
	if err != nil {
		return nil, err
	}
	a.later("bucket", func(context.Context) error { return b.Close() })
	return b, a.check(ctx, b)
}

// checkTime is how long a start waits for a bucket elsewhere.
const checkTime = 5 * time.Second

func (a *App) check(ctx context.Context, b remote) error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	err := b.Check(ctx)
	if nes.CodeOf(err) == nes.CodeUnavailable {
		a.log.Warn("the bucket cannot be used now; what needs it waits", "bucket", a.o.Config.Bucket, "err", err)
		return nil
	}
	return err
}
