package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
)

// TestAnAttemptWhoseNotebookWasWrittenOverIsRecorded: the code that runs can write run/input.ipynb. Its journal is
// taken all the same, and its outputs go into the notebook as it was fetched.
func TestAnAttemptWhoseNotebookWasWrittenOverIsRecorded(t *testing.T) {
	t.Parallel()
	for _, garbage := range []string{"", "garbage", "[]", `{"nbformat":4}`, `{"nbformat":99,"cells":[]}`, "\xff\xfe", strings.Repeat("[", 1<<16)} {
		b := setup(t)
		whole := journalOf(1, 10)
		b.append(t, 0, whole[:50])
		b.put(t, "input.ipynb", []byte(garbage))
		require.EqualValues(t, len(whole), b.append(t, 50, whole[50:]), "%.20q", garbage)
		err := b.store.WriteNotebook(ctx, &b.run, 1, &bytes.Buffer{})
		require.Equal(t, nes.CodeNotFound, nes.CodeOf(err), "there is no notebook that could be shown")
		require.Nil(t, b.store.Progress(&b.run))
		page, err := b.store.Log(ctx, &b.run, 1, 0, 0)
		require.NoError(t, err)
		require.Contains(t, page.Text, "cell 0 xxxxxxxxxx")

		b.store = open(t, b.bucket) // nor does it keep a restarted server from anything
		require.EqualValues(t, len(whole), b.append(t, int64(len(whole)), nil))
		o := b.commit(t, done(len(whole)))
		require.Equal(t, nes.ReasonCompleted, o.Reason)
		require.Equal(t, 1, o.Progress.Done)
		require.Contains(t, b.object(t, o.Notebook), "cell 0 xxxxxxxxxx")
	}
}

// TestAForgedTimeDoesNotKeepARunFromItsEnd: the exit marker too lies where the notebook can write.
func TestAForgedTimeDoesNotKeepARunFromItsEnd(t *testing.T) {
	t.Parallel()
	ended := time.Date(2026, 11, 21, 11, 0, 0, 0, time.UTC)
	for _, at := range []float64{0, -1, math.SmallestNonzeroFloat64, maxTime, maxTime + 1, 1e18, math.MaxFloat64, math.Inf(1), math.Inf(-1), math.NaN()} {
		b := setup(t)
		b.at.EndedAt = &ended
		o := b.commit(t, journal.Exit{V: 1, At: at})
		require.Equal(t, nes.ReasonCompleted, o.Reason, at)
		var nb struct {
			Metadata struct {
				NES struct {
					EndedAt time.Time `json:"ended_at"`
				} `json:"nes"`
			}
		}
		require.NoError(t, json.Unmarshal([]byte(b.object(t, o.Notebook)), &nb))
		switch {
		case at > 0 && at <= maxTime:
			require.WithinDuration(t, time.UnixMicro(int64(at*1e6)), nb.Metadata.NES.EndedAt, time.Microsecond)
		default:
			require.Equal(t, ended, nb.Metadata.NES.EndedAt, "%v: what the ledger has is believed", at)
		}
	}
	b := setup(t)
	require.Equal(t, b.at.LaunchedAt, endOf(b.at, journal.Exit{}), "the earliest that is possible")
}

// TestWhatComesAfterTheDriversLastLineChangesNothing: a process that outlived its notebook wrote on, before the commit, between
// two tries of it, and in the same chunk as the end.
func TestWhatComesAfterTheDriversLastLineChangesNothing(t *testing.T) {
	t.Parallel()
	whole := journalOf(2, 10)
	zero := 0
	line := func(l journal.Line) []byte {
		l.V, l.Seq, l.T = 1, 99, 1.9e9
		raw, err := json.Marshal(l)
		require.NoError(t, err)
		return append(raw, '\n')
	}
	why := json.RawMessage(`"forged"`)
	late := bytes.Join([][]byte{
		line(journal.Line{K: journal.KindMsg, Cell: &zero, Type: "stream", Content: json.RawMessage(`{"name":"stdout","text":"forged"}`)}),
		line(journal.Line{K: journal.KindWord, Word: "skip", Value: why}),
		line(journal.Line{K: journal.KindWord, Word: "result", Value: why}),
		line(journal.Line{K: journal.KindExit, Reason: "CellError", Message: "forged"}),
		[]byte("half a li"),
	}, nil)
	for _, inferred := range []bool{false, true} {
		exit := done(len(whole))
		exit.Inferred = inferred
		clean := setup(t)
		clean.put(t, "input.ipynb", input(2))
		clean.append(t, 0, whole)
		want := clean.commit(t, exit)
		require.Equal(t, nes.ReasonCompleted, want.Reason)
		for name, send := range map[string]func(b *testBundle){
			"in one chunk":      func(b *testBundle) { b.append(t, 0, append(bytes.Clone(whole), late...)) },
			"before the commit": func(b *testBundle) { b.append(t, 0, whole); b.append(t, int64(len(whole)), late) },
			"between two tries": func(b *testBundle) {
				b.append(t, 0, whole)
				b.commit(t, exit)
				b.append(t, int64(len(whole)), late)
				b.run.Outcome = nil
			},
		} {
			b := setup(t)
			b.put(t, "input.ipynb", input(2))
			send(b)
			got := b.commit(t, exit)
			require.Equal(t, want, got, name)
			require.Equal(t, clean.object(t, want.Log), b.object(t, got.Log), name)
			require.NotContains(t, b.object(t, got.Notebook), `"text": "forged`, name)
			require.Equal(t, cellsOf(t, clean.object(t, want.Notebook)), cellsOf(t, b.object(t, got.Notebook)), name)
		}
	}
}

func cellsOf(t *testing.T, text string) string {
	t.Helper()
	var nb struct{ Cells json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(text), &nb))
	return string(nb.Cells)
}

// TestAMarkerThatPromisesMoreThanCame: the notebook ended well, and the end of what it printed is lost. That is said, and is no success.
func TestAMarkerThatPromisesMoreThanCame(t *testing.T) {
	t.Parallel()
	whole := journalOf(2, 10)
	for name, tt := range map[string]struct {
		exit journal.Exit
		want nes.Reason
		says string
	}{
		"all of it":               {journal.Exit{Journal: int64(len(whole))}, nes.ReasonCompleted, ""},
		"one byte":                {journal.Exit{Journal: int64(len(whole)) + 1}, nes.ReasonAgentLost, "the last 1 bytes"},
		"a forged size":           {journal.Exit{Journal: math.MaxInt64}, nes.ReasonAgentLost, "bytes of its journal were lost"},
		"fewer than came":         {journal.Exit{Journal: 1}, nes.ReasonCompleted, ""},
		"a negative size":         {journal.Exit{Journal: math.MinInt64}, nes.ReasonCompleted, ""},
		"it failed anyway":        {journal.Exit{Journal: math.MaxInt64, Reason: "CellError", Message: "m"}, nes.ReasonCellError, "m"},
		"the end was concluded":   {journal.Exit{Journal: math.MaxInt64, Inferred: true}, nes.ReasonAgentLost, "were lost"},
		"a reason nobody knows":   {journal.Exit{Reason: "Bogus", Message: "m"}, "Bogus", "m"},
		"an end with no message":  {journal.Exit{Reason: "Evicted"}, nes.ReasonEvicted, ""},
		"a message of a good end": {journal.Exit{Message: "fine"}, nes.ReasonCompleted, "fine"},
	} {
		b := setup(t)
		b.put(t, "input.ipynb", input(2))
		b.append(t, 0, whole)
		tt.exit.V, tt.exit.At = 1, 1.8e9
		o := b.commit(t, tt.exit)
		require.Equal(t, tt.want, o.Reason, name)
		require.Contains(t, o.Message, tt.says, name)
		require.Contains(t, b.object(t, o.Notebook), "cell 1 xxxxxxxxxx", "what came is kept: "+name)
	}
}

// TestGarbageForAJournal is stored as it came, and never keeps the attempt from its end.
func TestGarbageForAJournal(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	whole := journalOf(3, 50)
	for round := range 10 {
		b := setup(t)
		b.put(t, "input.ipynb", input(3))
		garbled := bytes.Clone(whole)
		for range 1 + rng.IntN(40) {
			garbled[rng.IntN(len(garbled))] = byte(rng.IntN(256))
		}
		var sent []byte
		for at := 0; at < len(garbled); {
			end := min(len(garbled), at+1+rng.IntN(400))
			at = int(b.append(t, int64(at), garbled[at:end]))
		}
		var nb bytes.Buffer
		require.NoError(t, b.store.WriteNotebook(ctx, &b.run, 1, &nb), round)
		require.True(t, json.Valid(nb.Bytes()), round)
		fresh, err := open(t, b.bucket).Log(ctx, &b.run, 1, 0, 0)
		require.NoError(t, err)
		page, err := b.store.Log(ctx, &b.run, 1, 0, 0)
		require.NoError(t, err)
		require.Equal(t, fresh, page, "however it was cut: %d", round)
		o := b.commit(t, done(len(garbled)))
		require.True(t, json.Valid([]byte(b.object(t, o.Notebook))), round)
		chunks, err := newLive(b.store, &b.run, 1).list(ctx)
		require.NoError(t, err)
		for _, c := range chunks {
			sent = append(sent, b.object(t, c.key)...)
		}
		require.Equal(t, garbled, sent, "no byte of it is lost: %d", round)
	}
}

// TestStrayObjectsBesideTheJournal are not taken for chunks of it, nor is what lies behind a gap.
func TestStrayObjectsBesideTheJournal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	whole := journalOf(2, 10)
	b.put(t, "input.ipynb", input(2))
	b.append(t, 0, whole[:60])
	prefix := newLive(b.store, &b.run, 1).prefix + "journal/"
	for _, name := range []string{"notes.txt", "x.jsonl", "-5.jsonl", fmt.Sprintf("%016d.jsonl", 61), fmt.Sprintf("%016d.jsonl", 1<<40), "0000000000000000.jsonl.bak"} {
		_, err := b.bucket.Put(ctx, prefix+name, strings.NewReader("stray\n"), emptyOptions)
		require.NoError(t, err)
	}
	b.store = open(t, b.bucket)
	require.EqualValues(t, 60, b.append(t, 60, nil))
	require.EqualValues(t, len(whole), b.append(t, 60, whole[60:]), "the gap is filled, and what lay behind it stays aside")
	o := b.commit(t, done(len(whole)))
	require.Equal(t, 2, o.Progress.Done)
	require.NotContains(t, b.object(t, o.Log), "stray")
}

// TestTheWholeJournalHasALimit, by its last byte, and what was stored before stays good.
func TestTheWholeJournalHasALimit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.append(t, 0, []byte("one\n"))
	l := b.store.peek(b.run.ID, 1)
	l.chunks = append(l.chunks, chunk{"elsewhere", 4, journal.MaxJournal - 4 - 10}) // as if it had come so far
	_, err := b.store.AppendJournal(ctx, &b.run, 1, journal.MaxJournal-10, strings.NewReader("0123456789+"))
	require.Equal(t, nes.CodeTooLarge, nes.CodeOf(err))
	require.Equal(t, nes.ReasonOutputTooLarge, nes.ReasonOf(err))
	require.EqualValues(t, journal.MaxJournal, b.append(t, journal.MaxJournal-10, []byte("0123456789")))
	_, err = b.store.AppendJournal(ctx, &b.run, 1, journal.MaxJournal, strings.NewReader("x"))
	require.Equal(t, nes.CodeTooLarge, nes.CodeOf(err))
	require.EqualValues(t, journal.MaxJournal, b.append(t, journal.MaxJournal, nil), "its agent still gives signs of life")
	require.EqualValues(t, journal.MaxJournal, b.append(t, math.MaxInt64-10, []byte("0123456789+")), "an offset beyond all is a gap")
}

// TestManyCallersOfFewRecords: agents, readers and commits of more attempts than are kept ready, all at once.
func TestManyCallersOfFewRecords(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store.o.MaxLive = 2
	whole := journalOf(3, 40)
	var wg sync.WaitGroup
	for i := range 8 {
		run := b.run
		run.ID = nes.RunID(fmt.Sprintf("run-%d", i))
		each := testBundle{bucket: b.bucket, store: b.store, run: run, at: b.at}
		stop := make(chan struct{})
		wg.Go(func() {
			defer close(stop)
			each.put(t, "input.ipynb", input(3))
			for at := 0; at < len(whole); {
				at = int(each.append(t, int64(at), whole[at:min(len(whole), at+100)]))
			}
			o := each.commit(t, done(len(whole)))
			require.Equal(t, 3, o.Progress.Done)
			require.Contains(t, each.object(t, o.Notebook), "cell 2 ")
		})
		wg.Go(func() {
			reader := run
			for {
				select {
				case <-stop:
					return
				default:
				}
				changed := b.store.Changed(reader.ID)
				page, err := b.store.Log(ctx, &reader, 1, 0, 0)
				require.NoError(t, err)
				require.False(t, page.Ended)
				if p := b.store.Progress(&reader); p != nil {
					require.Equal(t, 3, p.Total)
				}
				if _, err := b.store.Files(ctx, &reader, 1); err != nil {
					require.NoError(t, err)
				}
				select {
				case <-changed:
				case <-stop:
					return
				}
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, len(b.store.live), 8)
}
