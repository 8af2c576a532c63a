package notebook

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"image"
	_ "image/gif"  // sizes of images are read from their headers
	_ "image/jpeg" // likewise
	_ "image/png"  // likewise
	"io"
	"math"
	"strconv"
	"strings"
)

// maxPixels is the width or height of an image that is believed.
const maxPixels = 20_000

// sizeOf reads width and height in pixels from the first bytes of an image as a notebook holds it; 0 is unknown.
func sizeOf(mime string, text []byte) (width, height int) {
	if mime == "image/svg+xml" {
		return svgSize(text)
	}
	clean := bytes.Join(bytes.Fields(text), nil)
	clean = clean[:len(clean)/4*4]
	head, _ := io.ReadAll(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(clean)))
	switch {
	case mime == "image/webp":
		width, height = webpSize(head)
	case mime == "image/bmp" && len(head) >= 26 && string(head[:2]) == "BM":
		// A negative height means that the rows are stored from the top.
		width, height = int(int32(binary.LittleEndian.Uint32(head[18:]))), int(math.Abs(float64(int32(binary.LittleEndian.Uint32(head[22:])))))
	default:
		c, _, err := image.DecodeConfig(bytes.NewReader(head))
		if err != nil {
			return 0, 0
		}
		width, height = c.Width, c.Height
	}
	return believed(width, height)
}

func believed(width, height int) (int, int) {
	if width < 1 || height < 1 || width > maxPixels || height > maxPixels {
		return 0, 0
	}
	return width, height
}

// webpSize reads the header of the three kinds of WebP.
func webpSize(b []byte) (width, height int) {
	if len(b) < 30 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WEBP" {
		return 0, 0
	}
	switch string(b[12:16]) {
	case "VP8X":
		return 1 + int(b[24]) + int(b[25])<<8 + int(b[26])<<16, 1 + int(b[27]) + int(b[28])<<8 + int(b[29])<<16
	case "VP8L":
		bits := binary.LittleEndian.Uint32(b[21:])
		return 1 + int(bits&0x3fff), 1 + int(bits>>14&0x3fff)
	case "VP8 ":
		return int(binary.LittleEndian.Uint16(b[26:]) & 0x3fff), int(binary.LittleEndian.Uint16(b[28:]) & 0x3fff)
	}
	return 0, 0
}

// svgSize reads the width and height of a drawing, or else takes those of its view box.
func svgSize(text []byte) (width, height int) {
	dec := xml.NewDecoder(bytes.NewReader(text))
	dec.Strict = false
	dec.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	for range 64 { // comments, a document type, and blanks come before the drawing
		tok, err := dec.RawToken()
		if err != nil {
			return 0, 0
		}
		if e, ok := tok.(xml.StartElement); ok {
			if e.Name.Local != "svg" {
				return 0, 0
			}
			return drawingSize(e.Attr)
		}
	}
	return 0, 0
}

func drawingSize(attrs []xml.Attr) (int, int) {
	var width, height float64
	var box []float64
	for _, a := range attrs {
		switch a.Name.Local {
		case "width":
			width = length(a.Value)
		case "height":
			height = length(a.Value)
		case "viewBox":
			for word := range strings.FieldsFuncSeq(a.Value, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' || r == '\t' }) {
				n, _ := strconv.ParseFloat(word, 64)
				box = append(box, n)
			}
		}
	}
	if len(box) == 4 && box[2] > 0 && box[3] > 0 {
		switch {
		case width > 0 && height == 0:
			height = width * box[3] / box[2]
		case height > 0 && width == 0:
			width = height * box[2] / box[3]
		case width == 0 && height == 0:
			width, height = box[2], box[3]
		}
	}
	return believed(int(math.Round(math.Min(width, maxPixels+1))), int(math.Round(math.Min(height, maxPixels+1))))
}

// units of lengths, in pixels.
var units = map[string]float64{"": 1, "px": 1, "pt": 96.0 / 72, "pc": 16, "in": 96, "cm": 96 / 2.54, "mm": 9.6 / 2.54}

// length reads a length in pixels; 0 where it depends on something else, such as a percentage.
func length(s string) float64 {
	s = strings.TrimSpace(s)
	number := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ%")
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n < 0 || math.IsInf(n, 0) || math.IsNaN(n) {
		return 0
	}
	return n * units[strings.ToLower(s[len(number):])]
}
