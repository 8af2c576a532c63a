package intake_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/gitsource"
	"github.com/nes-run/nes/gitsource/gitsourcetest"
	"github.com/nes-run/nes/internal/intake"
	"github.com/nes-run/nes/storage/file"
)

// BenchmarkFetch measures what fetching adds to a run of a notebook in a small
// repository on this machine: "new" starts the process that fetches, "known" looks up the branch, "permalink" asks nobody.
func BenchmarkFetch(b *testing.B) {
	s := gitsourcetest.NewServer(b)
	repo := s.NewRepository("a/b")
	files := map[string]string{"a.ipynb": gitsourcetest.Notebook("alpha = 1", "1")}
	for i := range 20 {
		files[fmt.Sprintf("lib/m%d.py", i)] = fmt.Sprint("x = ", i)
	}
	commit := repo.Commit("x", files)
	open := func() *intake.Intake {
		client, err := gitsource.New(gitsource.Options{Reach: gitsource.Reach{AllowLoopback: true}, TempDir: b.TempDir()})
		require.NoError(b, err)
		bucket, err := file.Open(b.TempDir())
		require.NoError(b, err)
		return intake.New(intake.Options{Bucket: bucket, Git: client})
	}
	fetch := func(b *testing.B, in *intake.Intake, ref string) {
		_, err := in.Fetch(b.Context(), runOf(s.URL+"/a/b/blob/"+ref+"/a.ipynb", nil))
		require.NoError(b, err)
	}
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			fetch(b, open(), "main")
		}
	})
	in := open()
	fetch(b, in, "main")
	b.Run("known", func(b *testing.B) {
		for b.Loop() {
			fetch(b, in, "main")
		}
	})
	b.Run("permalink", func(b *testing.B) {
		for b.Loop() {
			fetch(b, in, commit)
		}
	})
}
