package gcs

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
)

// fault answers one call in the server's place, or hands it on.
type fault func(w http.ResponseWriter, r *http.Request, server http.Handler)

func answer(status int) fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { http.Error(w, "injected", status) }
}

// reset breaks the connection before the server hears of the call.
func reset(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

// lose lets the server act and loses its answer.
func lose(_ http.ResponseWriter, r *http.Request, server http.Handler) {
	server.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// truncate breaks the connection in the middle of the answer.
func truncate(w http.ResponseWriter, r *http.Request, server http.Handler) {
	whole := httptest.NewRecorder()
	server.ServeHTTP(whole, r)
	for name, values := range whole.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(whole.Code)
	_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// damage changes a bit of what is sent to the server.
func damage(w http.ResponseWriter, r *http.Request, server http.Handler) {
	text, _ := io.ReadAll(r.Body)
	text = bytes.Replace(text, []byte("precious"), []byte("precioux"), 1)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	server.ServeHTTP(w, r)
}

// spoil changes a bit of what the server sends.
func spoil(w http.ResponseWriter, r *http.Request, server http.Handler) {
	whole := httptest.NewRecorder()
	server.ServeHTTP(whole, r)
	for name, values := range whole.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(whole.Code)
	_, _ = w.Write(bytes.Replace(whole.Body.Bytes(), []byte("precious"), []byte("precioux"), 1))
}

// proxy stands before the server; the calls that match meet one fault each, in order, then none.
type proxy struct {
	url  string
	seen atomic.Int64
}

func newProxy(t *testing.T, match func(*http.Request) bool, faults ...fault) *proxy {
	t.Helper()
	target, err := url.Parse(endpoint)
	require.NoError(t, err)
	server := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host }}
	p := &proxy{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if match(r) {
			if n := int(p.seen.Add(1)); n <= len(faults) {
				faults[n-1](w, r, server)
				return
			}
		}
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	p.url = s.URL
	return p
}

func writes(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/upload/") }

// chunks are the later calls of an upload in chunks.
func chunks(r *http.Request) bool { return r.URL.Query().Has("upload_id") }

func reads(r *http.Request) bool {
	return r.Method == http.MethodGet && !strings.HasPrefix(r.URL.Path, "/storage/")
}

func TestWritesSurviveFaults(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("a precious line of the journal\n", 200)
	long := strings.Repeat(text, 2*chunkSize/len(text)+1)
	tests := map[string]struct {
		match  func(*http.Request) bool
		text   string
		faults []fault
	}{
		"unavailable":            {writes, text, []fault{answer(503), answer(503)}},
		"too many":               {writes, text, []fault{answer(429)}},
		"gateways":               {writes, text, []fault{answer(500), answer(502), answer(504)}},
		"resets":                 {writes, text, []fault{reset, reset}},
		"the answer is lost":     {writes, text, []fault{lose}},
		"chunk unavailable":      {chunks, long, []fault{answer(503), answer(429)}},
		"chunk reset":            {chunks, long, []fault{reset}},
		"session cannot be made": {writes, long, []fault{answer(503), reset}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProxy(t, test.match, test.faults...)
			b := open(t, Options{Endpoint: p.url})
			o, err := b.Put(t.Context(), "k", strings.NewReader(test.text), storage.PutOptions{IfGeneration: storage.CreateOnly()})
			require.NoError(t, err)
			require.Greater(t, int(p.seen.Load()), len(test.faults), "the call was repeated")
			opened, r, err := b.Open(t.Context(), "k", 0, -1)
			require.NoError(t, err)
			stored, err := io.ReadAll(r)
			require.NoError(t, err)
			require.NoError(t, r.Close())
			require.Equal(t, o, opened)
			require.True(t, test.text == string(stored), "what is stored is what was put")
		})
	}
}

func TestReadsSurviveFaults(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("a precious line of the journal\n", 20_000)
	tests := map[string][]fault{
		"unavailable": {answer(503), answer(429), answer(500)},
		"resets":      {reset, reset},
		"truncated":   {truncate, truncate, reset},
	}
	for name, faults := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bucket := newBucket(t)
			_, err := open(t, Options{Bucket: bucket}).Put(t.Context(), "k", strings.NewReader(text), storage.PutOptions{})
			require.NoError(t, err)
			p := newProxy(t, reads, faults...)
			_, r, err := open(t, Options{Bucket: bucket, Endpoint: p.url}).Open(t.Context(), "k", 0, -1)
			require.NoError(t, err)
			read, err := io.ReadAll(r)
			require.NoError(t, err)
			require.NoError(t, r.Close())
			require.True(t, text == string(read))
			require.EqualValues(t, len(faults)+1, p.seen.Load())
		})
	}
}

func TestDamageIsNeverStoredNorRead(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", chunkSize) + "precious" // in the last chunk
	for _, text := range []string{"precious", long} {
		b := open(t, Options{Endpoint: newProxy(t, writes, damage, damage, damage, damage).url, Patience: time.Second})
		_, err := b.Put(t.Context(), "k", strings.NewReader(text), storage.PutOptions{})
		require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err), "%v", err)
		_, err = b.Stat(t.Context(), "k")
		require.Equal(t, nes.CodeNotFound, nes.CodeOf(err))
	}
	bucket := newBucket(t)
	_, err := open(t, Options{Bucket: bucket}).Put(t.Context(), "k", strings.NewReader("precious"), storage.PutOptions{})
	require.NoError(t, err)
	_, r, err := open(t, Options{Bucket: bucket, Endpoint: newProxy(t, reads, spoil).url}).Open(t.Context(), "k", 0, -1)
	require.NoError(t, err)
	_, err = io.ReadAll(r)
	require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err), "%v", err)
	_ = r.Close() // says the same again
}

// always is a server that gives one answer.
func always(t *testing.T, status int) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, "{}", status) }))
	t.Cleanup(s.Close)
	return s.URL
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status int
		says   string
		check  nes.Code
	}{
		{http.StatusForbidden, "roles/storage.objectUser", nes.CodeInvalid},
		{http.StatusUnauthorized, "GOOGLE_APPLICATION_CREDENTIALS", nes.CodeInvalid},
		{http.StatusServiceUnavailable, "answers 503", nes.CodeUnavailable},
		{http.StatusTooManyRequests, "answers 429", nes.CodeUnavailable},
	}
	for _, test := range tests {
		b := open(t, Options{Bucket: "b", Endpoint: always(t, test.status), Patience: 50 * time.Millisecond})
		_, put := b.Put(t.Context(), "k", strings.NewReader("x"), storage.PutOptions{})
		_, _, opened := b.Open(t.Context(), "k", 0, -1)
		_, stat := b.Stat(t.Context(), "k")
		_, list := b.List(t.Context(), storage.ListOptions{})
		require.ErrorContains(t, b.Check(t.Context()), test.says)
		require.Equal(t, test.check, nes.CodeOf(b.Check(t.Context())))
		for _, err := range []error{put, opened, stat, list, b.Delete(t.Context(), "k")} {
			require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err))
			require.ErrorContains(t, err, test.says)
			require.NotNil(t, errors.Unwrap(err), "the cause is kept for the log")
		}
	}
}

func TestAServerThatIsNotThere(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	b := open(t, Options{Bucket: "b", Endpoint: s.URL, Patience: 50 * time.Millisecond})
	_, err := b.Put(t.Context(), "k", strings.NewReader("x"), storage.PutOptions{})
	require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err))
	require.ErrorContains(t, err, "cannot be reached")
}

// TestCheck: a bucket that exists passes, empty or not; one that does not is named with what to do about it.
func TestCheck(t *testing.T) {
	t.Parallel()
	b := open(t, Options{Prefix: "p"})
	require.NoError(t, b.Check(t.Context()))
	_, err := b.Put(t.Context(), "k", strings.NewReader("x"), storage.PutOptions{})
	require.NoError(t, err)
	require.NoError(t, b.Check(t.Context()))
	err = open(t, Options{Bucket: "nobody-made-it"}).Check(t.Context())
	require.Equal(t, nes.CodeInvalid, nes.CodeOf(err))
	require.ErrorContains(t, err, "the bucket gs://nobody-made-it does not exist: make it")
}
