package notebook

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"image"
	"image/color/palette"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestImagesTellTheirSizeByTheirFirstBytes(t *testing.T) {
	t.Parallel()
	encoded := func(encode func(*bytes.Buffer) error) string {
		var b bytes.Buffer
		require.NoError(t, encode(&b))
		return base64.StdEncoding.EncodeToString(b.Bytes())
	}
	picture := image.NewPaletted(image.Rect(0, 0, 321, 123), palette.Plan9)
	webp := func(kind string, rest ...byte) string {
		b := append([]byte("RIFF\x00\x00\x00\x00WEBP"+kind+"\x00\x00\x00\x00"), rest...)
		return base64.StdEncoding.EncodeToString(append(b, make([]byte, 32)...))
	}
	lossless := make([]byte, 5)
	lossless[0] = 0x2f
	binary.LittleEndian.PutUint32(lossless[1:], uint32(320)|uint32(122)<<14)
	bitmap := make([]byte, 30)
	copy(bitmap, "BM")
	binary.LittleEndian.PutUint32(bitmap[18:], 321)
	top := int32(-123)
	binary.LittleEndian.PutUint32(bitmap[22:], uint32(top))
	for name, tt := range map[string]struct{ mime, text string }{
		"PNG":           {"image/png", encoded(func(b *bytes.Buffer) error { return png.Encode(b, picture) })},
		"JPEG":          {"image/jpeg", encoded(func(b *bytes.Buffer) error { return jpeg.Encode(b, picture, nil) })},
		"GIF":           {"image/gif", encoded(func(b *bytes.Buffer) error { return gif.Encode(b, picture, nil) })},
		"WebP, plain":   {"image/webp", webp("VP8 ", 0, 0, 0, 0x9d, 0x01, 0x2a, 0x41, 0x01, 0x7b, 0x00)},
		"WebP, exact":   {"image/webp", webp("VP8L", lossless...)},
		"WebP, more":    {"image/webp", webp("VP8X", 0, 0, 0, 0, 0x40, 0x01, 0, 0x7a, 0, 0)},
		"bitmap":        {"image/bmp", base64.StdEncoding.EncodeToString(bitmap)},
		"SVG":           {"image/svg+xml", `<?xml version="1.0" encoding="latin1"?><!DOCTYPE svg><!-- x --><svg xmlns="x" width="321" height="123px">`},
		"SVG, points":   {"image/svg+xml", `<svg width="240.75pt" height="92.25pt" viewBox="0 0 1 1">`},
		"SVG, a box":    {"image/svg+xml", `<svg viewBox="0 0 321,123">`},
		"SVG, one side": {"image/svg+xml", `<svg width="321" height="100%" viewBox="0 0 642 246">`},
		"SVG, a prefix": {"image/svg+xml", `<svg:svg height="123" viewBox="0 0 642 246"/>`},
	} {
		width, height := sizeOf(tt.mime, []byte(tt.text))
		require.Equal(t, [2]int{321, 123}, [2]int{width, height}, name)
	}
	for name, tt := range map[string]struct{ mime, text string }{
		"nothing": {"image/png", ""}, "no base64": {"image/png", "!!!!"}, "cut": {"image/png", "iVBORw0KGgo="}, "another WebP": {"image/webp", webp("VP9 ")}, "a short WebP": {"image/webp", "UklGRg=="},
		"no SVG": {"image/svg+xml", "<html width=1 height=1>"}, "SVG without sides": {"image/svg+xml", "<svg>"}, "percentages": {"image/svg+xml", `<svg width="100%" height="50%">`},
		"too large": {"image/svg+xml", `<svg width="1e300" height="5">`}, "negative": {"image/svg+xml", `<svg width="-5" height="5">`}, "no number": {"image/svg+xml", `<svg width="NaN" height="Inf">`},
		"an empty box": {"image/svg+xml", `<svg viewBox="0 0 0 0">`}, "only comments": {"image/svg+xml", strings.Repeat("<!-- -->", 100) + `<svg width="1" height="1">`}, "a short bitmap": {"image/bmp", "Qk0="},
	} {
		width, height := sizeOf(tt.mime, []byte(tt.text))
		require.Equal(t, [2]int{0, 0}, [2]int{width, height}, name)
	}
}

func TestAskedSizesKeepTheProportion(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ asked, want [2]int }{
		{[2]int{0, 0}, [2]int{200, 100}}, {[2]int{50, 0}, [2]int{50, 25}}, {[2]int{0, 50}, [2]int{100, 50}}, {[2]int{30, 40}, [2]int{30, 40}}, {[2]int{1, 0}, [2]int{1, 1}},
	} {
		b := Body{Width: 200, Height: 100}
		b.resize(tt.asked[0], tt.asked[1])
		require.Equal(t, tt.want, [2]int{b.Width, b.Height})
	}
	unknown := Body{}
	unknown.resize(50, 0)
	require.Equal(t, Body{Width: 50}, unknown)
}

func FuzzSize(f *testing.F) {
	f.Add("image/svg+xml", `<svg width="1" viewBox="0 0 1 1">`)
	f.Add("image/webp", "UklGRgAAAABXRUJQVlA4WA==")
	f.Fuzz(func(t *testing.T, mime, text string) {
		width, height := sizeOf(mime, []byte(text))
		require.True(t, width >= 0 && height >= 0 && width <= maxPixels && height <= maxPixels)
	})
}

func TestParseReadsFormat2(t *testing.T) {
	t.Parallel()
	x, err := Parse(strings.NewReader(`{"metadata": {"name": "oldest"}, "nbformat": 2, "worksheets": [{"cells": [
	 {"cell_type": "markdown", "source": "text"},
	 {"cell_type": "code", "collapsed": false, "input": "1+1", "language": "python", "prompt_number": 2,
	  "outputs": [{"output_type": "pyout", "prompt_number": 2, "text": "2", "latex": "$2$"}, {"output_type": "stream", "text": "printed"}]}]}]}`))
	require.NoError(t, err)
	require.Empty(t, x.Problems)
	require.Equal(t, 2, x.Major)
	require.Len(t, x.Cells, 2)
	require.Equal(t, "1+1", x.Cells[1].Source)
	require.Equal(t, "execute_result", x.Cells[1].Outputs[0].Type)
	require.Equal(t, "$2$", x.Cells[1].Outputs[0].Bodies[1].Text)
	require.Equal(t, "stdout", x.Cells[1].Outputs[1].Name)
}
