package reduce_test

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/runner/reduce"
)

// journalOfALog has everything that a log shows.
var journalOfALog = lines(
	`{"k":"start","kernel":{"name":"python3","language":"python"}}`,
	started(1), printed(1, "stdout", "hello\nwor"), printed(1, "stdout", "ld"), ended(1, "ok"),
	started(2), printed(2, "stderr", "\r 0%|  "), printed(2, "stderr", "\r50%|# "), printed(2, "stderr", "\r100%|##\n"),
	printed(2, "stdout", "abc\b\bX\r\nsame\r\n\n"), display(2, "execute_result", "", `{"text/plain":"   a\n0  1","text/html":"<b>"}`),
	display(2, "display_data", "", `{"image/png":"iVBO"}`),
	`{"k":"msg","cell":2,"type":"stream","content":{"name":"stdout","text":"tail\n"},"cut":{"bytes":99,"file":"cell-2-output.txt"}}`,
	`{"k":"word","cell":2,"word":"progress","value":{"fraction":0.5}}`, `{"k":"word","cell":2,"word":"result","name":"rows","value":3}`,
	ended(2, "ok"), started(3), printed(3, "stdout", "\x1b[31mred\x1b[0m \x1b]0;title\x07end \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\"),
	`{"k":"log","text":"left out a message"}`, printed(1, "stdout", "late of cell 1"), printed(3, "stdout", "again"),
	`{"k":"msg","cell":3,"type":"error","content":{"ename":"ValueError","evalue":"bad","traceback":["\u001b[31m---\u001b[0m","ValueError: bad"]}}`,
	`{"k":"cell_end","cell":3,"status":"error","wall":1.25,"error":{"ename":"ValueError","evalue":"bad\nvalue"}}`,
	`{"k":"word","word":"skip","value":"because"}`, `{"k":"exit","code":1,"reason":"CellError","message":"cell 3: ValueError: bad"}`,
	printed(3, "stdout", "forged"),
)

func TestTheLogReads(t *testing.T) {
	t.Parallel()
	got := string(reduce.NewLog().Feed([]byte(journalOfALog)))
	const golden = "testdata/log.txt"
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
	require.NotContains(t, got, "\x1b")
}

func TestAnySplitOfTheJournalGivesTheSameLog(t *testing.T) {
	t.Parallel()
	want := string(reduce.NewLog().Feed([]byte(journalOfALog)))
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		l := reduce.NewLog()
		var got strings.Builder
		for rest := []byte(journalOfALog); len(rest) > 0; {
			n := 1 + r.IntN(min(len(rest), 400))
			piece := l.Feed(rest[:n])
			require.True(t, len(piece) == 0 || piece[len(piece)-1] == '\n', "%q", piece)
			got.Write(piece)
			rest = rest[n:]
		}
		require.Equal(t, want, got.String())
	}
}

func TestTheLogOfAnEndlessLineIsBounded(t *testing.T) {
	t.Parallel()
	l := reduce.NewLog()
	total := 0
	for range 100 {
		total += len(l.Feed([]byte(lines(printed(0, "stdout", strings.Repeat("x", 100_000))))))
	}
	require.InDelta(t, 10_000_000, total, 100_000)
}

func FuzzLog(f *testing.F) {
	for line := range strings.Lines(journalOfALog) { // small ones, because the fuzzer shortens what it finds byte by byte
		f.Add([]byte(line), 7)
	}
	f.Add([]byte(lines(`{"k":"msg","cell":0,"type":"stream","content":{"text":"\u001b[\b\r"}}`)), 1)
	f.Fuzz(func(t *testing.T, raw []byte, split int) {
		whole := string(reduce.NewLog().Feed(raw))
		l := reduce.NewLog()
		at := min(max(split, 0), len(raw))
		require.Equal(t, whole, string(l.Feed(raw[:at]))+string(l.Feed(raw[at:])))
		for _, r := range whole {
			require.False(t, r < ' ' && r != '\n' && r != '\t', "%q", whole)
		}
	})
}
