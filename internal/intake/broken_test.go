package intake_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/bundle"
	"github.com/nes-run/nes/storage"
)

// TestAnUploadThatBreaksOffIsNotKept: cut anywhere, or with any byte turned, an archive is refused or is whole.
func TestAnUploadThatBreaksOffIsNotKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	whole := pack(t, bundle.Entry{Path: "a.ipynb", Kind: bundle.File, Size: 700}, bundle.Entry{Path: "d", Kind: bundle.Dir}, bundle.Entry{Path: "d/x", Kind: bundle.Link, Target: "../a.ipynb"}).Bytes()
	kept := func() int {
		page, err := w.bucket.List(t.Context(), storage.ListOptions{Limit: 1000})
		require.NoError(t, err)
		return len(page.Objects)
	}
	for cut := range len(whole) {
		_, err := w.Upload(t.Context(), bytes.NewReader(whole[:cut]))
		require.Equal(t, nes.CodeInvalid, nes.CodeOf(err), "after %d of %d bytes: %v", cut, len(whole), err)
		_, err = w.Upload(t.Context(), io.MultiReader(bytes.NewReader(whole[:cut]), iotest.ErrReader(io.ErrUnexpectedEOF)))
		require.ErrorContains(t, err, "the upload broke off")
	}
	require.Zero(t, kept())
	for at := range whole {
		turned := bytes.Clone(whole)
		turned[at] ^= 0x10
		sum, err := w.Upload(t.Context(), bytes.NewReader(turned))
		if err != nil {
			require.Contains(t, []nes.Code{nes.CodeInvalid, nes.CodeTooLarge}, nes.CodeOf(err), "%v", err)
			continue
		}
		digest := sha256.Sum256(turned)
		require.Equal(t, hex.EncodeToString(digest[:]), sum, "what is kept is kept under its own name")
	}
	before := kept()
	sum, err := w.Upload(t.Context(), iotest.OneByteReader(bytes.NewReader(whole)))
	require.NoError(t, err)
	digest := sha256.Sum256(whole)
	require.Equal(t, hex.EncodeToString(digest[:]), sum)
	require.Equal(t, before+1, kept())
}
