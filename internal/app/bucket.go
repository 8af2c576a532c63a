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
	if path, local := strings.CutPrefix(a.o.Config.Bucket, "file://"); local {
		return file.Open(path)
	}
	b, err := a.remote(ctx, a.o.Config.Bucket)
	if err != nil {
		return nil, err
	}
	return b, a.check(ctx, b)
}

// inputs opens the buckets that notebooks may be read from. One that cannot be used costs the runs that
// name it, each with its reason, and not the start.
func (a *App) inputs(ctx context.Context) (map[string]storage.Bucket, error) {
	objects := map[string]storage.Bucket{}
	for _, address := range a.o.Config.Site.Inputs {
		b, err := a.remote(ctx, address)
		if err != nil {
			return nil, err
		}
		objects[address] = b
	}
	return objects, nil
}

// remote opens a bucket that lies elsewhere, until the end of the App.
func (a *App) remote(ctx context.Context, address string) (b remote, err error) {
	scheme, rest, _ := strings.Cut(address, "://")
	name, prefix, _ := strings.Cut(rest, "/")
	if scheme == "gs" {
		b, err = gcs.Open(ctx, gcs.Options{Bucket: name, Prefix: prefix})
	} else {
		b, err = s3.Open(s3.Options{Bucket: name, Prefix: prefix})
	}
	if err != nil {
		return nil, err
	}
	a.later("bucket "+name, func(context.Context) error { return b.Close() })
	return b, nil
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
