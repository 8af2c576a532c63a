package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
	"github.com/nes-run/nes/storage"
)

var emptyOptions storage.PutOptions

// chunked stores text as a journal in chunks of random sizes, and opens it.
func chunked(t *testing.T, rng *rand.Rand, text []byte) (*testBundle, *reader, *hooked) {
	t.Helper()
	b := setup(t)
	for at := 0; at < len(text); {
		at = int(b.append(t, int64(at), text[at:min(len(text), at+1+rng.IntN(200))]))
	}
	b.store = open(t, b.bucket)
	h := b.hook()
	b.append(t, int64(len(text)), nil)
	return b, b.store.peek(b.run.ID, 1).reader(ctx), h
}

// TestTheJournalReadsAsOneFile wherever and however much is read of it: a property against the bytes themselves.
func TestTheJournalReadsAsOneFile(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 7))
	text := make([]byte, 3000)
	for i := range text {
		text[i] = byte(rng.IntN(256))
	}
	_, r, _ := chunked(t, rng, text)
	want := bytes.NewReader(text)
	for range 500 {
		at, n := rng.Int64N(3100), rng.IntN(600)
		got, expected := make([]byte, n), make([]byte, n)
		gotN, gotErr := r.ReadAt(got, at)
		wantN, wantErr := want.ReadAt(expected, at)
		require.Equal(t, wantN, gotN)
		require.Equal(t, expected, got)
		if n > 0 {
			require.Equal(t, wantErr, gotErr)
		}
	}
	_, err := r.ReadAt(make([]byte, 1), -1)
	require.Error(t, err)
}

// TestAReadThatFailedIsNotRemembered: what was read ahead before is not mixed with what came in its place.
func TestAReadThatFailedIsNotRemembered(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(8, 8))
	text := []byte(strings.Repeat("0123456789", 100))
	_, r, h := chunked(t, rng, text)
	first, last := r.chunks[0], r.chunks[len(r.chunks)-1]
	read := func(c chunk) error {
		got := make([]byte, c.size)
		_, err := r.ReadAt(got, c.offset)
		if err == nil {
			require.Equal(t, string(text[c.offset:c.end()]), string(got))
		}
		return err
	}
	require.NoError(t, read(first))
	h.body = breakingBody(3)
	require.ErrorIs(t, read(last), errDown)
	h.body = nil
	require.NoError(t, read(first))
	h.open = once(errDown)
	require.ErrorIs(t, read(last), errDown)
	require.NoError(t, read(last))
	h.body = shortBody(0)
	require.ErrorIs(t, read(first), io.ErrUnexpectedEOF, "an object that lost its bytes is no end of the journal")
	h.body = shortBody(2)
	require.NoError(t, read(first), "short reads are read on from")
}

// TestReadingInOrderCostsOneCallAChunk, and the notebook of an attempt is made without reading everything again and again.
func TestReadingInOrderCostsOneCallAChunk(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(9, 9))
	text := bytes.Repeat([]byte("x"), 5000)
	_, r, h := chunked(t, rng, text)
	h.opens = nil
	n, err := io.Copy(io.Discard, io.NewSectionReader(r, 0, int64(len(text))))
	require.NoError(t, err)
	require.EqualValues(t, len(text), n)
	require.Len(t, h.opens, len(r.chunks))
}

// TestANotebookWhoseBlobIsThere has it; and what cannot be read is an error, not a gap in the record.
func TestBlobsOfTheRecord(t *testing.T) {
	t.Parallel()
	b := setup(t)
	body := []byte(`"` + strings.Repeat("A", 100) + `"`)
	zero := 0
	whole := []byte(fmt.Sprintf(`{"v":1,"seq":1,"t":1,"k":"cell_start","cell":0}`+"\n"+
		`{"v":1,"seq":2,"t":2,"k":"msg","cell":%d,"type":"display_data","content":{"data":{},"metadata":{}},"blobs":{"image/png":"%s"}}`+"\n", zero, digest(body)))
	b.put(t, "input.ipynb", input(1))
	b.append(t, 0, whole)
	show := func() (string, error) {
		var nb bytes.Buffer
		err := b.store.WriteNotebook(ctx, &b.run, 1, &nb)
		return nb.String(), err
	}
	nb, err := show()
	require.NoError(t, err)
	require.Contains(t, nb, "image/png is not here")
	b.put(t, "blobs/"+digest(body), body)
	nb, err = show()
	require.NoError(t, err)
	require.Contains(t, nb, `"image/png": "AAAA`)
	h := b.hook()
	h.open = func(key string) error {
		if strings.Contains(key, "/blobs/") {
			return errDown
		}
		return nil
	}
	_, err = show()
	require.ErrorIs(t, err, errDown)
	b.run.Stage = nes.StageSaving
	_, err = b.store.Commit(ctx, &b.run, b.at, journal.Exit{V: 1, At: 1.8e9})
	require.ErrorIs(t, err, errDown, "a commit waits for the storage")
	h.open = nil
	o := b.commit(t, journal.Exit{V: 1, At: 1.8e9})
	require.Contains(t, b.object(t, o.Notebook), `"image/png": "AAAA`)
}

// TestAttemptsThatThereAreNot, and those that have nothing yet, are not found, before a byte is written.
func TestAttemptsThatThereAreNot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, attempt := range []int{-1, 0, 2, 1 << 40} {
		var out bytes.Buffer
		require.Equal(t, nes.CodeNotFound, nes.CodeOf(b.store.WriteNotebook(ctx, &b.run, attempt, &out)), attempt)
		require.Zero(t, out.Len())
		page, err := b.store.Log(ctx, &b.run, attempt, 3, 0)
		require.NoError(t, err)
		require.Equal(t, nes.LogPage{Attempt: attempt, Next: 3}, page, "the run goes on: it may come")
		_, err = b.store.OpenIndex(ctx, &b.run, attempt)
		require.Equal(t, nes.CodeNotFound, nes.CodeOf(err))
	}
	b.run.Stage = nes.StageEnded // without a record: it never came so far
	require.Equal(t, nes.CodeNotFound, nes.CodeOf(b.store.WriteNotebook(ctx, &b.run, 1, io.Discard)))
	page, err := b.store.Log(ctx, &b.run, 1, 0, 0)
	require.NoError(t, err)
	require.Equal(t, nes.LogPage{Attempt: 1, Ended: true}, page)
	require.Nil(t, b.store.Progress(&b.run))
}

// TestUnder: the record of an attempt is live exactly while its run is between the order to launch it and its end.
func TestUnder(t *testing.T) {
	t.Parallel()
	live := map[nes.Stage]bool{nes.StageScheduling: true, nes.StageStarting: true, nes.StageExecuting: true, nes.StageSaving: true}
	for _, stage := range []nes.Stage{nes.StageQueued, nes.StageFetching, nes.StageWaiting, nes.StageScheduling, nes.StageStarting, nes.StageExecuting, nes.StageSaving, nes.StageEnded} {
		run := nes.Run{Stage: stage, Attempt: 2}
		require.Equal(t, live[stage], under(&run, 2), stage)
		require.False(t, under(&run, 1), stage)
	}
}

// errWriter takes n bytes.
type errWriter struct{ n int }

var errGone = errors.New("the reader went away")

func (w *errWriter) Write(p []byte) (int, error) {
	if w.n -= len(p); w.n < 0 {
		return 0, errGone
	}
	return len(p), nil
}

// TestAReaderThatGoesAway is no fault of the record, and the next one gets everything.
func TestAReaderThatGoesAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	whole := journalOf(2, 5000)
	b.put(t, "input.ipynb", input(2))
	b.append(t, 0, whole)
	for _, ended := range []bool{false, true} {
		if ended {
			b.commit(t, done(len(whole)))
		}
		require.ErrorIs(t, b.store.WriteNotebook(ctx, &b.run, 1, &errWriter{100}), errGone)
		var nb bytes.Buffer
		require.NoError(t, b.store.WriteNotebook(ctx, &b.run, 1, &nb))
		require.Contains(t, nb.String(), "cell 1 xxxx")
	}
}

// TestTheIndexIsMadeOfWhatWasStored, and a commit whose index fails is no commit.
func TestTheIndexIsMadeOfWhatWasStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	fails := true
	b.store.o.Index = func(ctx context.Context, notebook, index string) error {
		_, r, err := b.bucket.Open(ctx, notebook, 0, -1)
		if err != nil {
			return err
		}
		defer r.Close()
		if fails {
			return errDown
		}
		_, err = b.bucket.Put(ctx, index, io.MultiReader(strings.NewReader("index of "), r), emptyOptions)
		return err
	}
	b.run.Stage = nes.StageSaving
	_, err := b.store.Commit(ctx, &b.run, b.at, journal.Exit{V: 1, At: 1.8e9})
	require.ErrorIs(t, err, errDown)
	fails = false
	o := b.commit(t, journal.Exit{V: 1, At: 1.8e9})
	r, err := b.store.OpenIndex(ctx, &b.run, 1)
	require.NoError(t, err)
	defer r.Close()
	raw, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "index of "+b.object(t, o.Notebook), string(raw))
	require.Equal(t, storage.AttemptPrefix(&b.run, 1)+"index.json", o.Index)
}

// TestWhatARunIsRecordedWithoutASource is a fault that is named, and a source that is away is waited for.
func TestASourceThatIsAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run.Stage = nes.StageSaving
	b.store.o.Source = func(context.Context, nes.Source) ([]byte, error) { return nil, errDown }
	_, err := b.store.Commit(ctx, &b.run, b.at, journal.Exit{V: 1})
	require.ErrorIs(t, err, errDown)
	b.store.o.Source = func(context.Context, nes.Source) ([]byte, error) { return []byte("no notebook"), nil }
	_, err = b.store.Commit(ctx, &b.run, b.at, journal.Exit{V: 1})
	require.Equal(t, nes.ReasonNotANotebook, nes.ReasonOf(err))
	b.run.Source = nil
	_, err = b.store.Commit(ctx, &b.run, b.at, journal.Exit{V: 1})
	require.Equal(t, nes.CodeInternal, nes.CodeOf(err))
	require.ErrorContains(t, err, "no source")
}

// TestALogWhoseSpoolFailed is made again at the end: what was printed is not lost to a full disk that has room again.
func TestALogWhoseSpoolFailed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store.o.TempDir = filepath.Join(t.TempDir(), "not there yet")
	whole := journalOf(3, 100)
	b.put(t, "input.ipynb", input(3))
	half := len(whole) / 2
	b.append(t, 0, whole[:half])
	_, err := b.store.Log(ctx, &b.run, 1, 0, 0)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Equal(t, nes.CodeUnavailable, nes.CodeOf(b.store.WriteNotebook(ctx, &b.run, 1, io.Discard)))
	b.run.Stage = nes.StageSaving
	_, err = b.store.Commit(ctx, &b.run, b.at, done(len(whole)))
	require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err), "a record without its log is none")

	require.NoError(t, os.Mkdir(b.store.o.TempDir, 0o700))
	b.run.Stage = nes.StageExecuting
	b.append(t, int64(half), whole[half:])
	o := b.commit(t, done(len(whole)))
	for i := range 3 {
		require.Equal(t, 1, strings.Count(b.object(t, o.Log), fmt.Sprintf("cell %d xxxx", i)))
	}
	left, err := os.ReadDir(b.store.o.TempDir)
	require.NoError(t, err)
	require.Empty(t, left, "spools have no name that could stay behind")
}

// TestTheDriversOwnWordsEndTheLog, and a log that cannot be read whole is not stored as if it were.
func TestTheDriversOwnWordsEndTheLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	whole := journalOf(1, 10)
	b.put(t, "input.ipynb", input(1))
	b.append(t, 0, whole)
	b.put(t, "log.txt", nil)
	o := b.commit(t, done(len(whole)))
	require.NotContains(t, b.object(t, o.Log), "---", "where it said nothing, nothing is announced")
	b.run.Stage, b.run.Outcome = nes.StageSaving, nil
	b.put(t, "log.txt", []byte("a warning"))
	h := b.hook()
	h.body = func(key string, r io.ReadCloser) io.ReadCloser {
		if strings.HasSuffix(key, "driver.txt") {
			return breakingBody(2)(key, r)
		}
		return r
	}
	_, err := b.store.Commit(ctx, &b.run, b.at, done(len(whole)))
	require.ErrorIs(t, err, errDown)
	h.body = nil
	o = b.commit(t, done(len(whole)))
	require.True(t, strings.HasSuffix(b.object(t, o.Log), "--- what the driver wrote ---\na warning"))
}

// TestTheLogsLimit is one of bytes, that no character is cut by, and said once.
func TestTheLogsLimit(t *testing.T) {
	t.Parallel()
	for limit := int64(1); limit < 40; limit++ {
		s := newSpool(t.TempDir(), limit)
		text := strings.Repeat("가b", 20)
		for at := 0; at < len(text); at += 4 {
			s.append([]byte(text[at:min(len(text), at+4)]))
		}
		raw, err := io.ReadAll(s.reader())
		require.NoError(t, err)
		kept, said := strings.CutSuffix(string(raw), spoolFull)
		require.True(t, said)
		require.True(t, strings.HasPrefix(text, kept))
		require.LessOrEqual(t, int64(len(kept)), limit)
		if limit >= 3 {
			require.Greater(t, int64(len(kept)), limit-3)
			require.True(t, utf8.ValidString(kept), limit)
		}
		require.Equal(t, 1, strings.Count(string(raw), spoolFull))
		page, err := s.page(int64(len(raw)), 16)
		require.NoError(t, err)
		require.Empty(t, page)
		s.close()
	}
	s := newSpool(t.TempDir(), 5)
	s.append([]byte("12345"))
	raw, err := io.ReadAll(s.reader())
	require.NoError(t, err)
	require.Equal(t, "12345", string(raw), "what just fits is whole")
}

// FuzzWholeRunes: it takes away at most one character that was begun, and only where more text follows.
func FuzzWholeRunes(f *testing.F) {
	for _, s := range []string{"", "a", "가", "가나", "\xea\xb0", "a\xea", "\xff\xff\xff\xff", "a\x80\x80\x80\x80", "é", "😀"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := wholeRunes(bytes.Clone(b))
		require.True(t, bytes.HasPrefix(b, got))
		require.Less(t, len(b)-len(got), utf8.UTFMax)
		if len(b) > 0 {
			require.NotEmpty(t, got, "a page always goes on")
		}
		if utf8.Valid(b) {
			require.Equal(t, b, got)
			_, first := utf8.DecodeRune(b)
			for cut := first; cut < len(b); cut++ {
				require.True(t, utf8.Valid(wholeRunes(bytes.Clone(b[:cut]))), "%q cut at %d", b, cut)
			}
		}
	})
}

// TestNothingThatIsOpenedStaysOpen, whether all goes well or the storage breaks off.
func TestNothingThatIsOpenedStaysOpen(t *testing.T) {
	t.Parallel()
	for _, breaks := range []bool{false, true} {
		b := setup(t)
		whole := journalOf(2, 100)
		b.put(t, "input.ipynb", input(2))
		b.append(t, 0, whole)
		b.put(t, "log.txt", []byte("words"))
		b.put(t, "outputs/a", []byte("file"))
		b.store = open(t, b.bucket)
		h := b.hook()
		if breaks {
			h.body = breakingBody(2)
		}
		b.run.Stage = nes.StageSaving
		for range 2 {
			_, err := b.store.Commit(ctx, &b.run, b.at, done(len(whole)))
			require.Equal(t, breaks, err != nil)
			_, err = open(t, h).Files(ctx, &b.run, 1)
			require.Equal(t, breaks, err != nil)
			if !breaks {
				b.run.Stage = nes.StageEnded
			}
			_, err = b.store.Log(ctx, &b.run, 1, 0, 0)
			require.Equal(t, breaks, err != nil)
			require.Equal(t, breaks, b.store.WriteNotebook(ctx, &b.run, 1, io.Discard) != nil)
			b.run.Stage = nes.StageSaving
		}
		require.NotEmpty(t, h.opens)
		require.Zero(t, h.left)
	}
}

// TestTheNotebookSaysWhereItComesFrom: everything that is known of the run, and nothing that is not.
func TestTheNotebookSaysWhereItComesFrom(t *testing.T) {
	t.Parallel()
	metadata := func(b *testBundle, o nes.Outcome) string {
		var nb struct{ Metadata struct{ NES json.RawMessage } }
		require.NoError(t, json.Unmarshal([]byte(b.object(t, o.Notebook)), &nb))
		return string(nb.Metadata.NES)
	}
	b := setup(t)
	started := b.at.LaunchedAt.Add(time.Second)
	b.at.StartedAt = &started
	b.run.Source.Ref, b.run.Source.WebURL, b.run.Source.Dirty = "main", "https://git.example.com/x", true
	b.run.Spec = nes.Spec{InputURL: "https://git.example.com/acme/reports/blob/main/daily/report.ipynb", Runtime: "py", Profile: "small", Group: "g", Labels: map[string]string{"team": "x"}}
	b.run.Parent = "0192-parent"
	b.run.Conversions = []nes.Conversion{{}}
	o := b.commit(t, journal.Exit{V: 1, Reason: "CellError", Message: "m", At: 1.8e9})
	conversions, err := json.Marshal(b.run.Conversions)
	require.NoError(t, err)
	versions, err := json.Marshal(o.Versions)
	require.NoError(t, err)
	require.JSONEq(t, `{"run_id":"0193-run","attempt":1,"owner":"kim","team":"data","input_url":"https://git.example.com/acme/reports/blob/main/daily/report.ipynb",
		"submitted_at":"2026-11-21T10:00:00Z","launched_at":"2026-11-21T10:00:00Z","started_at":"2026-11-21T10:00:01Z","ended_at":"2027-01-15T08:00:00Z","status":"Failed","reason":"CellError","message":"m",
		"runtime":"py","profile":"small","group":"g","parent":"0192-parent","labels":{"team":"x"},"conversions":`+string(conversions)+`,"versions":`+string(versions)+`,
		"repository":"git.example.com/acme/reports","path":"daily/report.ipynb","ref":"main","commit":"`+strings.Repeat("a", 40)+`","web_url":"https://git.example.com/x","dirty":true}`, metadata(b, o))

	bare := setup(t)
	bare.run.Source.Commit = ""
	o = bare.commit(t, journal.Exit{V: 1, At: 1.8e9})
	for _, absent := range []string{"runtime", "profile", "group", "parent", "labels", "conversions", "ref", "commit", "web_url", "dirty", "started_at", "reason", "message"} {
		require.NotContains(t, metadata(bare, o), `"`+absent+`"`)
	}
}

// TestAVerdictIsStoredOverTheOneBefore: it is published again until that is known to have worked.
func TestAVerdictIsStoredOverTheOneBefore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	o := b.commit(t, journal.Exit{V: 1, At: 1.8e9})
	h := b.hook()
	h.put = once(errDown)
	require.ErrorIs(t, b.store.Publish(ctx, &b.run), errDown)
	require.NoError(t, b.store.Publish(ctx, &b.run))
	b.run.Outcome.Message = "changed"
	require.NoError(t, b.store.Publish(ctx, &b.run))
	var verdict struct{ Run nes.Run }
	require.NoError(t, json.Unmarshal([]byte(b.object(t, storage.AttemptPrefix(&b.run, 1)+"verdict.json")), &verdict))
	require.Equal(t, "changed", verdict.Run.Outcome.Message)
	require.Equal(t, o.Notebook, verdict.Run.Outcome.Notebook)
}
