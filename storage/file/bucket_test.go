package file

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/storage"
	"github.com/nes-run/nes/storage/storagetest"
)

func TestBucket(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) storage.Bucket { return open(t, t.TempDir()) })
}

func open(t *testing.T, dir string) *Bucket {
	t.Helper()
	b, err := Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}
