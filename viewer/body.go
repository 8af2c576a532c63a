package viewer

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/viewer/notebook"
	"github.com/nes-run/nes/viewer/render"
)

var digest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// find returns the notebook that a request is about, and the body in it. The caller releases the document.
func (v *viewer) find(r *http.Request, wanted func(mime string) bool) (*found, notebook.Body, error) {
	none := func() error { return nes.Errorf(nes.CodeNotFound, "the notebook has no such output (any more)") }
	if r.PathValue("object") != "" {
		return v.findInObject(r, wanted, none)
	}
	run, err := v.allowed(r)
	if err != nil {
		return nil, notebook.Body{}, err
	}
	attempt, err := strconv.Atoi(r.PathValue("attempt"))
	if err != nil || attempt < 1 || attempt > run.Attempt || !digest.MatchString(r.PathValue("sha")) {
		return nil, notebook.Body{}, none()
	}
	doc, err := v.documents.get(r.Context(), &run, attempt)
	if err != nil {
		return nil, notebook.Body{}, err
	}
	b, ok := doc.index.Body(r.PathValue("sha"), wanted)
	if !ok {
		doc.release()
		return nil, b, none()
	}
	return &found{doc, v.documents.content(r.Context(), doc, &run, attempt)}, b, nil
}

// found is a document and its file.
type found struct {
	*document
	content io.ReaderAt
}

// maxImage is how much of a body is decoded in memory to be shown as an image.
const maxImage = 128 << 20

// body serves one output as an image or else as text, at an address that holds its digest.
func (v *viewer) body(w http.ResponseWriter, r *http.Request) error {
	doc, b, err := v.find(r, func(string) bool { return true })
	if err != nil {
		return err
	}
	defer doc.release()
	if img, ok := doc.index.Body(b.SHA256, render.IsImage); ok && img.Size <= maxImage {
		return serveImage(w, r, doc, img)
	}
	h := w.Header()
	render.SandboxHeaders(h)
	forEver(h)
	h.Set("Content-Type", "text/plain; charset=utf-8")
	return b.Copy(w, doc.content)
}

func serveImage(w http.ResponseWriter, r *http.Request, doc *found, b notebook.Body) error {
	var text bytes.Buffer
	if err := b.Copy(&text, doc.content); err != nil {
		return fmt.Errorf("read an image: %w", err)
	}
	raw, err := render.ImageBytes(b.MIME, text.Bytes())
	if err != nil {
		return nes.Errorf(nes.CodeNotFound, "the image cannot be shown: %v", err)
	}
	h := w.Header()
	render.SandboxHeaders(h)
	forEver(h)
	h.Set("Content-Type", b.MIME)
	h.Set("Content-Length", strconv.Itoa(len(raw)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(raw)
	}
	return nil
}

// forEver lets the reader's browser keep what can never change under its address.
func forEver(h http.Header) { h.Set("Cache-Control", "private, max-age=31536000, immutable") }
