package kube

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/runner"
)

// TestRecord is how the objects below testdata/status were made: with NES_RECORD set to a directory, it looks at everything
// that NES has in the namespace nes-e2e for NES_RECORD_FOR, and writes what it sees whenever that means something new.
func TestRecord(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("NES_RECORD")
	if dir == "" {
		t.Skip("nothing to record: NES_RECORD names no directory")
	}
	d, err := time.ParseDuration(os.Getenv("NES_RECORD_FOR"))
	require.NoError(t, err)
	c, _, err := connect("")
	require.NoError(t, err)
	v := newView(c, managedLabel+"=nes", slog.New(slog.DiscardHandler))
	defer v.close()
	for _, ns := range []string{"nes-e2e", "nes-e2e-quota"} {
		require.NoError(t, v.watch(ns))
	}
	said := map[runner.Ref]string{}
	numbers := map[runner.Ref]int{}
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		v.mu.Lock()
		refs := make([]runner.Ref, 0, len(v.seen))
		for ref := range v.seen {
			refs = append(refs, ref)
		}
		v.mu.Unlock()
		for _, ref := range refs {
			s, now := v.look(ref), time.Now().UTC()
			if s.stuck(now) {
				s.events = v.eventsOf(t.Context(), &s)
			}
			if text := shown(status(s, now)); text != said[ref] {
				said[ref] = text
				numbers[ref]++
				save(t, filepath.Join(dir, fmt.Sprintf("%s-%02d.json", ref.Name(), numbers[ref])), s, now)
			}
		}
	}
}

func save(t *testing.T, file string, s snapshot, now time.Time) {
	t.Helper()
	raw, err := json.MarshalIndent(recorded{Now: now, Job: s.job, Pod: s.pod, PodGone: s.podGone, Events: s.events}, "", " ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, append(raw, '\n'), 0o644))
	require.NoError(t, os.WriteFile(file+".txt", []byte(shown(status(s, now))), 0o644))
}
