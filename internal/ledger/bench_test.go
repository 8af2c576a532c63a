package ledger

import (
	"encoding/json"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

func BenchmarkOpenNew(b *testing.B) {
	dir := b.TempDir()
	for i := 0; b.Loop(); i++ {
		require.NoError(b, openAt(b, filepath.Join(dir, strconv.Itoa(i)+".db")).Close())
	}
}

func BenchmarkOpenExisting(b *testing.B) {
	path := filepath.Join(b.TempDir(), "ledger.db")
	require.NoError(b, openAt(b, path).Close())
	for b.Loop() {
		require.NoError(b, openAt(b, path).Close())
	}
}

func typical(i int64) Submission {
	return Submission{
		Spec: nes.Spec{
			InputURL: "https://github.com/acme/reports/blob/main/daily.ipynb", IdempotencyKey: strconv.FormatInt(i, 10),
			Parameters: map[string]json.RawMessage{"day": json.RawMessage(`"2026-01-02"`), "n": json.RawMessage("60")},
			Labels:     map[string]string{"dag": "daily", "task": "report"},
		},
		Owner: "alice", Team: "data", Fingerprint: "f", At: time.Now(),
	}
}

func benchLedger(b *testing.B) *Ledger {
	l := openAt(b, filepath.Join(b.TempDir(), "ledger.db"))
	b.Cleanup(func() { require.NoError(b, l.Close()) })
	return l
}

func BenchmarkCreate(b *testing.B) {
	l := benchLedger(b)
	for i := int64(0); b.Loop(); i++ {
		_, _, err := l.Create(b.Context(), typical(i))
		require.NoError(b, err)
	}
}

func BenchmarkCreateParallel(b *testing.B) {
	l := benchLedger(b)
	var n atomic.Int64
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, _, err := l.Create(b.Context(), typical(n.Add(1)))
			require.NoError(b, err)
		}
	})
}

func BenchmarkApply(b *testing.B) {
	l := benchLedger(b)
	run, _, err := l.Create(b.Context(), typical(0))
	require.NoError(b, err)
	at := time.Now()
	for i := 0; b.Loop(); i++ {
		c := nes.Fetch(&run, at)
		if i%2 == 1 {
			c = nes.Requeue(&run, "again", at)
		}
		run, err = l.Apply(b.Context(), c)
		require.NoError(b, err)
	}
}

func BenchmarkRun(b *testing.B) {
	l := benchLedger(b)
	run, _, err := l.Create(b.Context(), typical(0))
	require.NoError(b, err)
	for b.Loop() {
		_, err := l.Run(b.Context(), run.ID)
		require.NoError(b, err)
	}
}

func BenchmarkRunsPage(b *testing.B) {
	l := benchLedger(b)
	for i := range int64(2000) {
		_, _, err := l.Create(b.Context(), typical(i))
		require.NoError(b, err)
	}
	for b.Loop() {
		page, err := l.Runs(b.Context(), Filter{Teams: []string{"data"}, Labels: map[string]string{"dag": "daily"}})
		require.NoError(b, err)
		require.Len(b, page.Runs, 50)
	}
}
