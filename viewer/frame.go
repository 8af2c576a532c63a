package viewer

import (
	"errors"
	"net/http"

	"github.com/klauspost/compress/gzip"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/viewer/render"
)

// frame serves an output as a document of its own, in a sandbox.
func (v *viewer) frame(w http.ResponseWriter, r *http.Request) error {
	doc, b, err := v.find(r, func(mime string) bool { return render.FrameOf(mime) != render.FrameNone })
	if err != nil {
		return err
	}
	defer doc.release()
	h := w.Header()
	render.FrameHeaders(h, render.FrameOf(b.MIME), openedDirectly(r))
	h.Del("X-Frame-Options")
	h.Set("Vary", "Sec-Fetch-Dest")
	forEver(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	if err := render.WriteFrame(w, &b, doc.content, v.Prefix+"/static/"+v.stamp+"/"); err != nil {
		return nil //nolint:nilerr // the reader went away, or sees what there is
	}
	return nil
}

// openedDirectly reports whether a browser says that it opens the address as a page. One that says nothing is
// given the frame: it is in a sandbox either way.
func openedDirectly(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "", "iframe", "frame":
		return false
	}
	return true
}

// table serves all rows of a data frame as JSON.
func (v *viewer) table(w http.ResponseWriter, r *http.Request) error {
	doc, b, err := v.find(r, func(mime string) bool { return mime == "text/html" || mime == render.DataResource })
	if err != nil {
		return err
	}
	defer doc.release()
	out := &lateHeader{w: w, r: r}
	ok, err := render.WriteRows(out, &b, doc.content)
	if !ok && err == nil {
		return nes.Errorf(nes.CodeNotFound, "the output is not a table")
	}
	return errors.Join(err, out.close())
}

// lateHeader sends its headers with the first byte, so that an answer can still become an error before, and compresses
// where the reader takes that.
type lateHeader struct {
	w http.ResponseWriter
	r *http.Request
	z *gzip.Writer
	// sent says that the headers are on their way.
	sent bool
}

func (l *lateHeader) Write(p []byte) (int, error) {
	if !l.sent {
		l.sent = true
		h := l.w.Header()
		render.SandboxHeaders(h)
		forEver(h)
		h.Set("Content-Type", "application/json; charset=utf-8")
		h.Add("Vary", "Accept-Encoding")
		if takesGzip(l.r.Header.Values("Accept-Encoding")) {
			h.Set("Content-Encoding", "gzip")
			l.z, _ = gzip.NewWriterLevel(l.w, gzip.BestSpeed)
		}
	}
	if l.z != nil {
		return l.z.Write(p)
	}
	return l.w.Write(p)
}

func (l *lateHeader) close() error {
	if l.z != nil {
		return l.z.Close()
	}
	return nil
}
