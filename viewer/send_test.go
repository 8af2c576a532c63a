package viewer_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

func (h *house) ask(path string, header http.Header) *http.Response {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, h.server.URL+h.prefix+path, nil)
	require.NoError(h.t, err)
	req.Header = header
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(h.t, err)
	h.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// TestAPageIsSentOnceAndSmall: with its tag it is not sent again, and a browser that takes gzip gets that.
func TestAPageIsSentOnceAndSmall(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	run := h.start(spec(), source)
	h.records.set(run.ID, cells("one", "two"))
	run = h.end(run, "", "", nes.Outcome{})
	for _, path := range []string{"/runs/" + string(run.ID), "/", "/static/x/app.css"} {
		plain := h.ask(path, http.Header{"Accept-Encoding": {"br, gzip;q=0"}})
		want, err := io.ReadAll(plain.Body)
		require.NoError(t, err)
		require.Empty(t, plain.Header.Get("Content-Encoding"))
		require.EqualValues(t, len(want), plain.ContentLength)

		small := h.ask(path, http.Header{"Accept-Encoding": {"br;q=1.0, GZIP;q=0.8"}})
		require.Equal(t, "gzip", small.Header.Get("Content-Encoding"))
		require.Contains(t, small.Header.Values("Vary"), "Accept-Encoding")
		z, err := gzip.NewReader(small.Body)
		require.NoError(t, err)
		got, err := io.ReadAll(z)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))

		tag := plain.Header.Get("ETag")
		require.Equal(t, tag, small.Header.Get("ETag"))
		for _, have := range []string{tag, `"other", ` + tag, tag[2:]} {
			again := h.ask(path, http.Header{"If-None-Match": {have}})
			require.Equal(t, http.StatusNotModified, again.StatusCode, have)
			require.NotEmpty(t, again.Header.Get("Content-Security-Policy"))
		}
		require.Equal(t, http.StatusOK, h.ask(path, http.Header{"If-None-Match": {`"other"`}}).StatusCode)
	}
	require.Empty(t, h.ask("/nowhere", http.Header{}).Header.Get("ETag"))
}
