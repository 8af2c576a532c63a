package viewer_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

// TestAHundredMegabytesOpenAtOnce is not parallel: it measures time and the heap. The bounds are those that readers are
// promised on a quiet machine, times five for one that does other things as well.
func TestAHundredMegabytesOpenAtOnce(t *testing.T) { //nolint:paralleltest
	pixels := image.NewNRGBA(image.Rect(0, 0, 800, 600))
	_, _ = rand.NewChaCha8([32]byte{}).Read(pixels.Pix)
	var encoded bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.NoCompression}).Encode(&encoded, pixels))
	var file strings.Builder
	file.WriteString(`{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [`)
	for i := range 50 {
		if i > 0 {
			file.WriteString(",")
		}
		picture := append(encoded.Bytes(), byte(i)) // what follows the image makes each another
		fmt.Fprintf(&file, `{"cell_type": "code", "metadata": {}, "source": "plot(%d)", "outputs": [{"output_type": "display_data", "metadata": {}, "data": {"image/png": %q}}]}`,
			i, base64.StdEncoding.EncodeToString(picture))
	}
	file.WriteString(`]}`)
	require.Greater(t, file.Len(), 100_000_000)

	h := newHouse(t)
	run := h.start(spec(), source)
	h.records.set(run.ID, file.String())
	run = h.end(run, "", "", nes.Outcome{})
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	start := time.Now()
	page := h.ok("/runs/" + string(run.ID))
	cold := time.Since(start)
	start = time.Now()
	require.Equal(t, page, h.ok("/runs/"+string(run.ID)))
	warm := time.Since(start)
	grown := heap() - before
	t.Logf("%d MB: cold %v, warm %v, the heap grew by %d kB, the page has %d kB", file.Len()>>20, cold, warm, grown>>10, len(page)>>10)
	require.Less(t, cold, 5*time.Second)
	require.Less(t, warm, 1500*time.Millisecond)
	require.Less(t, grown, int64(100<<20))
	require.Equal(t, 50, strings.Count(page, `width="800" height="600"`), "every image's place is kept free")
	require.Less(t, len(page), 500<<10)
}
