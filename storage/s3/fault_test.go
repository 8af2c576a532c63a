package s3

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
	"testing/iotest"
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
	needServers(t)
	target, err := url.Parse(gateway.URL)
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

func writes(r *http.Request) bool { return r.Method == http.MethodPut }

func begins(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploads") }

func parts(r *http.Request) bool { return writes(r) && r.URL.Query().Has("uploadId") }

func completes(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
}

func reads(r *http.Request) bool {
	return r.Method == http.MethodGet && !r.URL.Query().Has("list-type")
}

func TestWritesSurviveFaults(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("a precious line of the journal\n", 200)
	tests := map[string]struct {
		match  func(*http.Request) bool
		text   string
		faults []fault
	}{
		"unavailable":                  {writes, text, []fault{answer(503), answer(503)}},
		"too many":                     {writes, text, []fault{answer(429)}},
		"gateways":                     {writes, text, []fault{answer(500), answer(502), answer(504)}},
		"resets":                       {writes, text, []fault{reset, reset}},
		"the answer is lost":           {writes, text, []fault{lose}},
		"part unavailable":             {parts, large, []fault{answer(503), answer(429)}},
		"part reset, answer lost":      {parts, large, []fault{reset, lose}},
		"upload cannot be begun":       {begins, large, []fault{answer(503), reset}},
		"answer of the beginning lost": {begins, large, []fault{lose, lose}},
		"completion unavailable":       {completes, large, []fault{answer(503), reset}},
		"answer of the end lost":       {completes, large, []fault{lose}},
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
			requireNoLitter(t, b)
		})
	}
}

// TestWhatFailsLeavesNothing: a source that breaks, and a store that stops taking parts.
func TestWhatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	broken := errors.New("the line went dead")
	b := open(t, Options{})
	_, err := b.Put(t.Context(), "k", io.MultiReader(strings.NewReader(large), iotest.ErrReader(broken)), storage.PutOptions{})
	require.ErrorIs(t, err, broken)
	requireNoLitter(t, b)
	lastPart := func(r *http.Request) bool { return parts(r) && r.URL.Query().Get("partNumber") == "3" }
	b = open(t, Options{Endpoint: newProxy(t, lastPart, answer(400)).url})
	_, err = b.Put(t.Context(), "k", strings.NewReader(large), storage.PutOptions{})
	require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err))
	requireNoLitter(t, b)
	_, err = b.Stat(t.Context(), "k")
	require.Equal(t, nes.CodeNotFound, nes.CodeOf(err))
}

func TestReadsSurviveFaults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text   string
		faults []fault
	}{
		"unavailable":         {strings.Repeat("precious ", 100_000), []fault{answer(503), answer(429), answer(500)}},
		"resets":              {strings.Repeat("precious ", 100_000), []fault{reset, reset}},
		"truncated":           {strings.Repeat("precious ", 100_000), []fault{truncate, truncate, reset}},
		"truncated, in parts": {large, []fault{truncate, truncate}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			needServers(t)
			bucket := newBucket(t, gateway)
			_, err := open(t, Options{Bucket: bucket}).Put(t.Context(), "k", strings.NewReader(test.text), storage.PutOptions{})
			require.NoError(t, err)
			p := newProxy(t, reads, test.faults...)
			_, r, err := open(t, Options{Bucket: bucket, Endpoint: p.url}).Open(t.Context(), "k", 0, -1)
			require.NoError(t, err)
			read, err := io.ReadAll(r)
			require.NoError(t, err)
			require.NoError(t, r.Close())
			require.True(t, test.text == string(read))
			require.EqualValues(t, len(test.faults)+1, p.seen.Load())
		})
	}
}

// TestReplacedWhileRead: a reader whose connection broke never goes on in another object.
func TestReplacedWhileRead(t *testing.T) {
	t.Parallel()
	needServers(t)
	bucket := newBucket(t, gateway)
	direct := open(t, Options{Bucket: bucket})
	_, err := direct.Put(t.Context(), "k", strings.NewReader(strings.Repeat("old", 1<<20)), storage.PutOptions{})
	require.NoError(t, err)
	_, r, err := open(t, Options{Bucket: bucket, Endpoint: newProxy(t, reads, truncate).url}).Open(t.Context(), "k", 0, -1)
	require.NoError(t, err)
	_, err = direct.Put(t.Context(), "k", strings.NewReader(strings.Repeat("new", 1<<20)), storage.PutOptions{})
	require.NoError(t, err)
	read, err := io.ReadAll(r)
	require.ErrorContains(t, err, "replaced while it was being read")
	require.NotContains(t, string(read), "new")
	require.NoError(t, r.Close())
}

func TestDamageIsNeverStoredNorRead(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", partSize) + "precious" // in the last part
	for _, text := range []string{"precious", long} {
		b := open(t, Options{Endpoint: newProxy(t, writes, damage, damage, damage, damage).url, Patience: time.Second})
		_, err := b.Put(t.Context(), "k", strings.NewReader(text), storage.PutOptions{})
		require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err), "%v", err)
		_, err = b.Stat(t.Context(), "k")
		require.Equal(t, nes.CodeNotFound, nes.CodeOf(err))
	}
	bucket := newBucket(t, gateway)
	for _, text := range []string{"precious", long} {
		_, err := open(t, Options{Bucket: bucket}).Put(t.Context(), "k", strings.NewReader(text), storage.PutOptions{})
		require.NoError(t, err)
		_, r, err := open(t, Options{Bucket: bucket, Endpoint: newProxy(t, reads, spoil).url}).Open(t.Context(), "k", 0, -1)
		require.NoError(t, err)
		_, err = io.ReadAll(r)
		require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err), "%v", err)
		require.ErrorContains(t, err, "checksum is wrong")
		require.NoError(t, r.Close())
	}
}

// always is a server that gives one answer, as S3 words it.
func always(t *testing.T, status int, code string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>`+code+`</Code><Message>no</Message></Error>`)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status     int
		code, says string
		check      nes.Code
	}{
		{http.StatusForbidden, "AccessDenied", "allow s3:ListBucket on it", nes.CodeInvalid},
		{http.StatusForbidden, "InvalidAccessKeyId", "check AWS_ACCESS_KEY_ID", nes.CodeInvalid},
		{http.StatusMovedPermanently, "PermanentRedirect", "set AWS_REGION", nes.CodeInvalid},
		{http.StatusNotFound, "NoSuchBucket", "does not exist: make it", nes.CodeInvalid},
		{http.StatusServiceUnavailable, "SlowDown", "answers 503", nes.CodeUnavailable},
		{http.StatusTooManyRequests, "TooManyRequests", "answers 429", nes.CodeUnavailable},
	}
	for _, test := range tests {
		b := open(t, Options{Bucket: "bucket", Endpoint: always(t, test.status, test.code), Patience: 50 * time.Millisecond})
		err := b.Check(t.Context())
		require.ErrorContains(t, err, test.says)
		require.ErrorContains(t, err, "s3://bucket")
		require.Equal(t, test.check, nes.CodeOf(err))
		_, put := b.Put(t.Context(), "k", strings.NewReader("x"), storage.PutOptions{})
		_, _, opened := b.Open(t.Context(), "k", 0, -1)
		_, list := b.List(t.Context(), storage.ListOptions{})
		for _, err := range []error{put, opened, list, b.Delete(t.Context(), "k")} {
			require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, test.says)
			require.NotNil(t, errors.Unwrap(err), "the cause is kept for the log")
		}
	}
}

func TestAServerThatIsNotThere(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	b := open(t, Options{Bucket: "bucket", Endpoint: s.URL, Patience: 50 * time.Millisecond})
	_, err := b.Put(t.Context(), "k", strings.NewReader("x"), storage.PutOptions{})
	require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err))
	require.ErrorContains(t, err, "s3://bucket cannot be reached")
}
