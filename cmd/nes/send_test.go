package main

import (
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/client"
)

// TestATreeThatChangesIsSentAgain: files vanish while the first of them, which is larger than what
// a connection holds, is on its way.
func TestATreeThatChangesIsSentAgain(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		vanish []string // at the first request, at the second, ...
		calls  int32
		want   string
	}{
		"not at all": {nil, 1, ""},
		"once":       {[]string{"b.py"}, 2, ""},
		"again":      {[]string{"b.py", "c.py"}, 2, "c.py changed while it was read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			large := make([]byte, 24<<20)
			_, _ = rand.Read(large)
			for file, body := range map[string][]byte{"a.bin": large, "b.py": nil, "c.py": nil, "n.ipynb": []byte("{}")} {
				require.NoError(t, os.WriteFile(filepath.Join(dir, file), body, 0o600))
			}
			var calls atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if n := int(calls.Add(1)); n <= len(tt.vanish) {
					_ = os.Remove(filepath.Join(dir, tt.vanish[n-1]))
				}
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					return
				}
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(`{"sha256":"abc"}`))
			}))
			defer server.Close()
			ses := &session{Client: client.New(server.URL, client.Options{Backoff: time.Millisecond}), remote: true}
			defer ses.close()
			notebook := filepath.Join(dir, "n.ipynb")
			tree, err := treeOf(t.Context(), notebook)
			require.NoError(t, err)
			address, err := send(t.Context(), streams{err: os.Stderr}, ses, notebook, tree)
			require.Equal(t, tt.calls, calls.Load())
			if tt.want != "" {
				require.Equal(t, nes.CodeConflict, nes.CodeOf(err))
				require.ErrorContains(t, err, tt.want)
				return
			}
			require.NoError(t, err)
			require.Contains(t, address, "bundle://abc/n.ipynb")
		})
	}
}
