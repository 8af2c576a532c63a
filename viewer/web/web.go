// Package web holds what the viewer sends to browsers: templates, the style sheet and
// the one script, embedded in the program.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

//go:embed templates
var templates embed.FS

//go:embed static
var static embed.FS

// bundles are made of other projects' packages by bundles/build.sh; scripts and styles are stored compressed.
//
//go:embed bundles/dist
var bundles embed.FS

// Templates are the page templates.
func Templates() fs.FS { return below(templates, "templates") }

// Asset is a file that pages refer to.
type Asset struct {
	Type string
	Body []byte
	// Packed says that Body is compressed with gzip.
	Packed bool
}

// Plain returns the asset's bytes as they are before any compression.
func (a Asset) Plain() []byte {
	if !a.Packed {
		return a.Body
	}
	z, err := gzip.NewReader(bytes.NewReader(a.Body))
	if err != nil {
		panic(fmt.Sprintf("a bundle is compressed: %v", err))
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		panic(fmt.Sprintf("a bundle is whole: %v", err))
	}
	return plain
}

// Pack compresses a file as the packed ones are.
func Pack(plain []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(plain) // memory takes everything
	_ = z.Close()
	return b.Bytes()
}

// Assets are the static files by name, and Stamp changes when one of them does: it is part of their address, so that
// browsers may keep them for ever.
func Assets() (assets map[string]Asset, stamp string) {
	assets = map[string]Asset{}
	sum := sha256.New()
	for _, source := range []fs.FS{below(static, "static"), below(bundles, "bundles/dist")} {
		names, err := fs.Glob(source, "*")
		if err != nil {
			panic(fmt.Sprintf("the pattern of assets is right: %v", err))
		}
		for _, file := range names { // in the order of names
			a, name := read(source, file)
			assets[name] = a
			fmt.Fprintf(sum, "%s %d ", name, len(a.Body))
			sum.Write(a.Body)
		}
	}
	return assets, hex.EncodeToString(sum.Sum(nil)[:6])
}

// Read returns one asset that the program is known to have.
func Read(name string) Asset {
	for _, place := range []struct {
		fs   fs.FS
		file string
	}{{below(static, "static"), name}, {below(bundles, "bundles/dist"), name + ".gz"}, {below(bundles, "bundles/dist"), name}} {
		if _, err := fs.Stat(place.fs, place.file); err == nil {
			a, _ := read(place.fs, place.file)
			return a
		}
	}
	panic(name + " is no asset")
}

func read(source fs.FS, file string) (a Asset, name string) {
	body, err := fs.ReadFile(source, file)
	if err != nil {
		panic(fmt.Sprintf("%s is embedded: %v", file, err))
	}
	if file == "app.css" {
		body = append(body, palette()...)
	}
	name, packed := strings.CutSuffix(file, ".gz")
	return Asset{Type: contentType(name), Body: body, Packed: packed}, name
}

func contentType(name string) string {
	switch name[strings.LastIndexByte(name, '.'):] {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".woff2":
		return "font/woff2"
	case ".txt":
		return "text/plain; charset=utf-8"
	}
	return "image/svg+xml"
}

// palette writes the classes of the terminal's colours 16 to 255; the first 16 follow the theme in app.css.
func palette() string {
	var b strings.Builder
	for n := 16; n < 256; n++ {
		red, green, blue := colour(n)
		text := "000"
		if 299*red+587*green+114*blue < 128_000 { // how bright an eye finds it
			text = "fff"
		}
		fmt.Fprintf(&b, ".an-g%d{background:#%02x%02x%02x;color:#%s}\n", n, red, green, blue, text)
	}
	for n := 16; n < 256; n++ {
		red, green, blue := colour(n)
		// Made darker or brighter where it could not be read on the page.
		fmt.Fprintf(&b, ".an-f%[1]d{color:#%02[2]x%02[3]x%02[4]x;color:oklch(from #%02[2]x%02[3]x%02[4]x var(--an-l) c h)}\n", n, red, green, blue)
	}
	return b.String()
}

func colour(n int) (red, green, blue int) {
	if n >= 232 {
		grey := 8 + 10*(n-232)
		return grey, grey, grey
	}
	level := func(v int) int {
		if v == 0 {
			return 0
		}
		return 55 + 40*v
	}
	n -= 16
	return level(n / 36), level(n / 6 % 6), level(n % 6)
}

func below(f embed.FS, dir string) fs.FS {
	sub, err := fs.Sub(f, dir)
	if err != nil {
		panic(fmt.Sprintf("%s is embedded: %v", dir, err))
	}
	return sub
}
