package agent

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/runner/journal"
)

// FuzzWhatTheNotebookWrites: whatever lies where marker, order and control file are
// expected is either refused, or read as something that can be sent on whole.
func FuzzWhatTheNotebookWrites(f *testing.F) {
	for _, seed := range []string{
		``, `{`, `null`, `[]`, `{"v":1}`, `{"v":"1"}`, `{"v":1,"inferred":true,"unstarted":true,"reason":"Evicted"}`,
		`{"v":1,"code":9223372036854775808}`, `{"v":1,"at":1e400}`, `{"v":1,"journal":-1,"log_tail":"\ud800"}`,
		`{"v":1,"parameters":{"a":1e999,"b":[null,{"c":"\u0000"}]},"limits":{"files":-5}}`,
		`{"v":1,"message":"` + strings.Repeat("한", maxText) + `"}`, "{\"v\":1,\"message\":\"\xff\"}", `{"v":1}{"v":1}`,
	} {
		f.Add([]byte(seed))
	}
	dir := f.TempDir()
	require.NoError(f, os.Mkdir(filepath.Join(dir, journal.RunDir), 0o755))
	v, err := OpenVolume(dir)
	require.NoError(f, err)
	f.Cleanup(func() { v.Close() })
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, name := range []string{journal.ExitFile, journal.LaunchFile} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), raw, 0o644))
		}
		if e, ok := v.Exit(); ok {
			require.True(t, json.Valid(raw))
			require.Equal(t, journal.Version, e.V)
			require.False(t, e.Inferred || e.Unstarted)
			require.LessOrEqual(t, max(len(e.Message), len(e.LogTail)), maxText)
			require.True(t, utf8.ValidString(e.Message) && utf8.ValidString(e.LogTail))
			sent, err := json.Marshal(e)
			require.NoError(t, err)
			var came journal.Exit
			require.NoError(t, json.Unmarshal(sent, &came))
			require.Equal(t, e, came)
		}
		if l, err := v.Launch(); err == nil {
			_, err := json.Marshal(l)
			require.NoError(t, err)
			w := watcher{v: v}
			require.Positive(t, w.filesLimit())
		}
	})
}
