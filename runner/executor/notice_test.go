package executor

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/runner/journal"
)

// A container's last message is cut at 4096 bytes: the marker must be whole in it, whatever the notebook said.
func TestTheNoticeIsAlwaysAWholeMarker(t *testing.T) {
	t.Parallel()
	for name, message := range map[string]string{
		"short": "the kernel died", "long": strings.Repeat("x", 10_000), "in many bytes": strings.Repeat("한", 5_000), "escaped": strings.Repeat("\x00\"", 5_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "message")
			require.NoError(t, os.WriteFile(file, nil, 0o666))
			marker := journal.Exit{V: 1, Reason: "KernelDied", Message: message, Code: 1, LogTail: strings.Repeat("log", 2000)}
			require.NoError(t, writeNotice(file, marker))
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			require.LessOrEqual(t, len(raw), maxNotice)
			var got journal.Exit
			require.NoError(t, json.Unmarshal(raw, &got))
			require.Equal(t, "KernelDied", got.Reason)
			require.Equal(t, 1, got.Code)
			require.NotEmpty(t, got.Message)
			require.True(t, strings.HasPrefix(message, strings.TrimSuffix(got.Message, "\uFFFD")))
		})
	}
	require.Error(t, writeNotice(filepath.Join(t.TempDir(), "none", "message"), journal.Exit{}))
}
