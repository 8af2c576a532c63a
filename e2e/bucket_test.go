package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage/s3/s3test"
)

// outage stands before a bucket's server: while it is down every call is answered with 503. It notes when each object was written.
type outage struct {
	url    string
	down   atomic.Bool
	missed atomic.Int64
	mu     sync.Mutex
	writes map[string][]time.Time
}

func newOutage(t *testing.T, server string) *outage {
	t.Helper()
	target, err := url.Parse(server)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host }}
	o := &outage{writes: map[string][]time.Time{}}
	proxy.ModifyResponse = func(res *http.Response) error {
		if r := res.Request; r.Method == http.MethodPut && r.URL.RawQuery == "" && res.StatusCode == http.StatusOK {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.writes[r.URL.Path] = append(o.writes[r.URL.Path], time.Now())
		}
		return nil
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o.down.Load() {
			o.missed.Add(1)
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	o.url = s.URL
	return o
}

// TestBucketAway: the bucket is away from the middle of a run until after its notebook has ended, so that journal writes
// and the final write both meet it. The run waits, and ends with all its output; no object is written twice within a second.
func TestBucketAway(t *testing.T) {
	t.Parallel()
	store, err := s3test.Start(s3test.Gateway)
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("no S3 server to test against:", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Stop()) })
	bucket, err := store.NewBucket(t.Context())
	require.NoError(t, err)
	way := newOutage(t, store.URL)
	s := serve(t, append(store.Env(), "AWS_ENDPOINT_URL_S3="+way.url, "NES_BUCKET=s3://"+bucket+"/nes")...)
	repo := newRepository(t)
	repo.Write("n.ipynb", notebook("import time\nfor i in range(40):\n    print('line', i, flush=True)\n    time.sleep(0.1)", "print('after')"))
	repo.Commit("change", nil)
	run := s.submit(nes.Spec{InputURL: repo.url + "/blob/main/n.ipynb"})
	s.awaitLog(run.ID, "line 3\n")
	way.down.Store(true)
	time.Sleep(8 * time.Second) // the outage itself: longer than the notebook runs
	seen, err := s.client.Run(s.ctx(), run.ID, 0, 0)
	require.NoError(t, err)
	require.False(t, seen.Ended(), "nothing is committed that is not stored")
	require.Positive(t, way.missed.Load())
	way.down.Store(false)
	end := s.wait(run.ID)
	require.Equal(t, nes.StatusSucceeded, end.Status, end.Message)
	require.Equal(t, 1, end.Attempt)
	var want strings.Builder
	for i := range 40 {
		fmt.Fprintf(&want, "line %d\n", i)
	}
	require.Equal(t, want.String(), s.notebook(end.ID).Code()[0].Printed())
	way.mu.Lock()
	defer way.mu.Unlock()
	require.NotEmpty(t, way.writes)
	for key, at := range way.writes {
		for i := 1; i < len(at); i++ {
			require.GreaterOrEqual(t, at[i].Sub(at[i-1]), time.Second, key)
		}
	}
}
