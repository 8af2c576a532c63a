package intake_test

import (
	"bytes"
	"context"
	"os"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/gitsource"
	"github.com/nes-run/nes/internal/bundle"
	"github.com/nes-run/nes/internal/intake"
	"github.com/nes-run/nes/storage"
	"github.com/nes-run/nes/storage/file"
)

// TestMain lets the test binary be the process that fetches, as cmd/nes is in production.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "fetch-child" {
		os.Exit(gitsource.ChildMain(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// counted is the real client, counting.
type counted struct {
	*gitsource.Client
	resolves, fetches atomic.Int64
	hold              chan struct{} // where not nil, a fetch waits for it to be closed
}

func (c *counted) Resolve(ctx context.Context, a gitsource.Address) (gitsource.Resolved, error) {
	c.resolves.Add(1)
	return c.Client.Resolve(ctx, a)
}

func (c *counted) Fetch(ctx context.Context, r gitsource.Resolved) (*gitsource.Tree, error) {
	c.fetches.Add(1)
	if c.hold != nil {
		select {
		case <-c.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return c.Client.Fetch(ctx, r)
}

// world is an intake on a bucket of its own.
type world struct {
	*intake.Intake
	git    *counted
	bucket storage.Bucket
}

func newWorld(t *testing.T, change ...func(*intake.Options)) world {
	t.Helper()
	client, err := gitsource.New(gitsource.Options{Reach: gitsource.Reach{AllowLoopback: true}, TempDir: t.TempDir()})
	require.NoError(t, err)
	bucket := newBucket(t)
	w := world{git: &counted{Client: client}, bucket: bucket}
	o := intake.Options{Bucket: bucket, Git: w.git, TempDir: t.TempDir()}
	for _, f := range change {
		f(&o)
	}
	w.Intake = intake.New(o)
	return w
}

func newBucket(t *testing.T) storage.Bucket {
	t.Helper()
	b, err := file.Open(t.TempDir())
	require.NoError(t, err)
	return b
}

// pack makes a bundle of files, and of links whose content begins with "-> ".
func pack(t *testing.T, entries ...bundle.Entry) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w, err := bundle.NewWriter(&b, testTime, nil)
	require.NoError(t, err)
	for _, e := range entries {
		require.NoError(t, w.Add(e, bytes.NewReader(make([]byte, e.Size))))
	}
	require.NoError(t, w.Close())
	return &b
}
