package viewer

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/nes-run/nes/viewer/web"
)

// Pages below minGzip bytes are not worth compressing.
const minGzip = 1 << 10

// send writes a page or an asset: compressed where the reader's browser takes that, and not at all where it has the same already.
func send(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	h := w.Header()
	h.Add("Vary", "Accept-Encoding")
	if status == http.StatusOK {
		sum := sha256.Sum256(body)
		tag := `W/"` + hex.EncodeToString(sum[:12]) + `"` // weak: it names the page, in whatever encoding
		h.Set("ETag", tag)
		if known(r.Header.Values("If-None-Match"), tag) {
			h.Del("Content-Type")
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if len(body) < minGzip || !takesGzip(r.Header.Values("Accept-Encoding")) {
		h.Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(status)
		_, _ = w.Write(body)
		return
	}
	h.Set("Content-Encoding", "gzip")
	w.WriteHeader(status)
	z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
	_, _ = z.Write(body)
	_ = z.Close()
}

// sendPacked sends an asset that is stored compressed, as it is where the reader's browser takes that.
func sendPacked(w http.ResponseWriter, r *http.Request, a web.Asset) {
	if !takesGzip(r.Header.Values("Accept-Encoding")) {
		send(w, r, http.StatusOK, a.Plain())
		return
	}
	h := w.Header()
	h.Add("Vary", "Accept-Encoding")
	h.Set("Content-Encoding", "gzip")
	h.Set("Content-Length", strconv.Itoa(len(a.Body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(a.Body)
	}
}

// known reports whether one of the tags that the browser has is this one.
func known(lines []string, tag string) bool {
	for _, have := range items(lines) {
		if strings.TrimPrefix(have, "W/") == strings.TrimPrefix(tag, "W/") || have == "*" {
			return true
		}
	}
	return false
}

// takesGzip reads Accept-Encoding; a weight of zero is a refusal.
func takesGzip(lines []string) bool {
	for _, item := range items(lines) {
		name, weight, _ := strings.Cut(item, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		_, q, given := strings.Cut(weight, "q=")
		if n, err := strconv.ParseFloat(strings.TrimSpace(q), 64); given && (err != nil || n == 0) {
			return false
		}
		return true
	}
	return false
}

func items(lines []string) (all []string) {
	for item := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		if item = strings.TrimSpace(item); item != "" {
			all = append(all, item)
		}
	}
	return all
}
