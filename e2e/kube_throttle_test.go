package e2e

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/e2e/scenario"
)

// playThrottled plays a few scenarios through an API that is slow and refuses every second call.
func playThrottled(t *testing.T, rig *kubeRig) {
	api, refused := throttle(t)
	s := &kubeSite{rig.serve(t, "KUBECONFIG="+api), rig}
	for _, name := range []string{"success", "cell_error", "cancel_in_a_cell"} {
		all, err := scenario.Load("testdata/scenarios")
		require.NoError(t, err)
		for _, sc := range all {
			if sc.Name == name {
				t.Run(name, func(t *testing.T) { scenario.Play(t, s, sc) })
			}
		}
	}
	require.Positive(t, refused.Load(), "nothing was throttled")
	t.Logf("%d calls were answered by 429", refused.Load())
}

// throttle is a way to the cluster's API on which every answer takes a second longer, and every second call is refused
// with 429. It returns a kubeconfig.
func throttle(t *testing.T) (kubeconfig string, refused *atomic.Int64) {
	t.Helper()
	raw, err := os.ReadFile(os.Getenv("KUBECONFIG"))
	require.NoError(t, err)
	server := regexp.MustCompile(`https://127\.0\.0\.1:\d+`).FindString(string(raw))
	to, err := url.Parse(server)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	proxy.FlushInterval = -1 // watches
	var calls atomic.Int64
	refused = &atomic.Int64{}
	front := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("watch") == "" {
			time.Sleep(time.Second) // as a server does that has too much to do
			if calls.Add(1)%2 == 1 {
				refused.Add(1)
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(http.StatusTooManyRequests)
				fmt.Fprint(w, "too many requests")
				return
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	t.Cleanup(front.CloseClientConnections)
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, []byte(strings.ReplaceAll(string(raw), server, front.URL)), 0o600))
	return kubeconfig, refused
}
