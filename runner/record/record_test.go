package record

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
	"github.com/nes-run/nes/runner/reduce"
	"github.com/nes-run/nes/storage"
	"github.com/nes-run/nes/storage/file"
)

var ctx = context.Background()

type testBundle struct {
	bucket storage.Bucket
	store  *Store
	run    nes.Run
	at     nes.Attempt
}

const source = `{"cells":[{"cell_type":"code","id":"a","metadata":{},"outputs":[],"execution_count":null,"source":"1"}],"metadata":{},"nbformat":4,"nbformat_minor":5}`

func setup(t testing.TB) *testBundle {
	t.Helper()
	bucket, err := file.Open(t.TempDir())
	require.NoError(t, err)
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	return &testBundle{
		bucket: bucket, store: open(t, bucket),
		run: nes.Run{
			ID: "0193-run", Stage: nes.StageExecuting, Status: nes.StatusRunning, Attempt: 1, CreatedAt: at, Owner: "kim", Team: "data",
			Source: &nes.Source{Repository: "git.example.com/acme/reports", Path: "daily/report.ipynb", Commit: strings.Repeat("a", 40)},
		},
		at: nes.Attempt{Number: 1, LaunchedAt: at},
	}
}

// open opens another store over the same bucket: a restarted server, or a second one.
func open(t testing.TB, bucket storage.Bucket) *Store {
	return New(Options{
		Bucket: bucket, TempDir: t.TempDir(), Version: "test",
		Source: func(context.Context, nes.Source) ([]byte, error) { return []byte(source), nil },
	})
}

// input is a parameterised notebook of n code cells.
func input(n int) []byte {
	var cells []string
	for i := range n {
		cells = append(cells, fmt.Sprintf(`{"cell_type":"code","id":"c%d","metadata":{},"outputs":[],"execution_count":null,"source":"x"}`, i))
	}
	return []byte(`{"cells":[` + strings.Join(cells, ",") + `],"metadata":{},"nbformat":4,"nbformat_minor":5}`)
}

// journalOf n cells that print size bytes each.
func journalOf(n, size int) []byte {
	var b bytes.Buffer
	enc, seq := json.NewEncoder(&b), int64(0)
	line := func(l journal.Line) {
		seq++
		l.V, l.Seq, l.T = 1, seq, 1.8e9+float64(seq)
		_ = enc.Encode(l)
	}
	line(journal.Line{K: journal.KindStart, Notebook: &journal.NotebookRef{Cells: n, Code: n}, Kernel: &journal.Kernel{Name: "python3", Language: "python"}})
	for i := range n {
		line(journal.Line{K: journal.KindCellStart, Cell: &i})
		text, _ := json.Marshal(map[string]string{"name": "stdout", "text": fmt.Sprintf("cell %d %s\n", i, strings.Repeat("x", size))})
		line(journal.Line{K: journal.KindMsg, Cell: &i, Type: "stream", Content: text})
		line(journal.Line{K: journal.KindCellEnd, Cell: &i, Status: journal.CellOK, N: &i})
	}
	line(journal.Line{K: journal.KindExit})
	return b.Bytes()
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (b *testBundle) put(t testing.TB, name string, body []byte) {
	t.Helper()
	require.NoError(t, b.store.PutFile(ctx, &b.run, 1, name, digest(body), bytes.NewReader(body)))
}

func (b *testBundle) append(t testing.TB, offset int64, body []byte) int64 {
	t.Helper()
	accepted, err := b.store.AppendJournal(ctx, &b.run, 1, offset, bytes.NewReader(body))
	require.NoError(t, err)
	return accepted
}

func (b *testBundle) commit(t testing.TB, e journal.Exit) nes.Outcome {
	t.Helper()
	b.run.Stage = nes.StageSaving
	o, err := b.store.Commit(ctx, &b.run, b.at, e)
	require.NoError(t, err)
	b.run.Stage, b.run.Outcome = nes.StageEnded, &o
	b.store.Forget(b.run.ID, 1)
	return o
}

func (b *testBundle) object(t testing.TB, key string) string {
	t.Helper()
	_, r, err := b.bucket.Open(ctx, key, 0, -1)
	require.NoError(t, err)
	defer r.Close()
	raw, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(raw)
}

func done(size int) journal.Exit { return journal.Exit{V: 1, At: 1.8e9, Journal: int64(size)} }

func TestAcceptedOffsets(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.EqualValues(t, 0, b.append(t, 0, nil), "a heartbeat")
	require.EqualValues(t, 0, b.append(t, 5, []byte("gap\n")), "what follows a gap is not taken")
	require.EqualValues(t, 4, b.append(t, 0, []byte("one\n")))
	require.EqualValues(t, 4, b.append(t, 0, []byte("one\n")), "sent again")
	require.EqualValues(t, 8, b.append(t, 2, []byte("e\ntwo\n")), "partly known")
	require.EqualValues(t, 8, b.append(t, 8, nil))
	require.Equal(t, "one\n", b.object(t, storage.JournalKey(&b.run, 1, 0)))
	require.Equal(t, "two\n", b.object(t, storage.JournalKey(&b.run, 1, 4)))
	_, err := b.store.AppendJournal(ctx, &b.run, 1, 8, bytes.NewReader(make([]byte, journal.MaxChunk+1)))
	require.Equal(t, nes.CodeTooLarge, nes.CodeOf(err))
}

// TestTwoServersStoreEveryByteOnce sends one journal through stores that race, restart, and repeat.
func TestTwoServersStoreEveryByteOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	whole := journalOf(20, 500)
	b.put(t, "input.ipynb", input(20))
	var wg sync.WaitGroup
	for seed := range uint64(4) {
		wg.Go(func() {
			rng, at := rand.New(rand.NewPCG(seed, 1)), int64(0)
			store := open(t, b.bucket)
			for at < int64(len(whole)) {
				if rng.IntN(8) == 0 {
					store = open(t, b.bucket) // it was restarted
				}
				from := max(0, at-rng.Int64N(50))
				end := min(int64(len(whole)), from+1+rng.Int64N(900))
				run := b.run
				accepted, err := store.AppendJournal(ctx, &run, 1, from, bytes.NewReader(whole[from:end]))
				if err != nil {
					t.Error(err)
					return
				}
				at = accepted
			}
		})
	}
	wg.Wait()
	b.store = open(t, b.bucket)
	o := b.commit(t, done(len(whole)))
	require.Equal(t, nes.ReasonCompleted, o.Reason, o.Message)
	require.Equal(t, 20, o.Progress.Done)

	clean := setup(t)
	clean.put(t, "input.ipynb", input(20))
	require.EqualValues(t, len(whole), clean.append(t, 0, whole))
	want := clean.commit(t, done(len(whole)))
	require.Equal(t, clean.object(t, want.Notebook), b.object(t, o.Notebook), "the same journal gives the same notebook")
	require.Equal(t, clean.object(t, want.Log), b.object(t, o.Log))
}

func TestRestartInTheMiddleShowsTheSame(t *testing.T) {
	t.Parallel()
	b := setup(t)
	whole := journalOf(6, 10)
	half := bytes.Index(whole, []byte(`"cell":3`)) + 4 // in the middle of a line
	b.append(t, 0, whole[:half])                       // before its notebook
	b.put(t, "input.ipynb", input(6))
	show := func(s *Store) (string, string, nes.Progress) {
		var nb bytes.Buffer
		require.NoError(t, s.WriteNotebook(ctx, &b.run, 1, &nb))
		page, err := s.Log(ctx, &b.run, 1, 0, 0)
		require.NoError(t, err)
		require.False(t, page.Ended)
		return nb.String(), page.Text, *s.Progress(&b.run)
	}
	nb, log, progress := show(b.store)
	require.Contains(t, nb, "cell 2")
	require.Equal(t, 3, progress.Done)
	nb2, log2, progress2 := show(open(t, b.bucket))
	require.Equal(t, nb, nb2)
	require.Equal(t, log, log2)
	require.Equal(t, progress, progress2)

	b.store = open(t, b.bucket)
	require.EqualValues(t, len(whole), b.append(t, int64(half), whole[half:]))
	o := b.commit(t, done(len(whole)))
	require.True(t, strings.HasPrefix(b.object(t, o.Log), log), "the cursor of a follower stays good")
}

func TestChangedWakesWhoFollows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, grow := range []func(){
		func() { b.append(t, 0, []byte("{}\n")) },
		func() { b.put(t, "input.ipynb", input(1)) },
		func() { b.store.Forget(b.run.ID, 1) },
	} {
		changed := b.store.Changed(b.run.ID)
		grow()
		select {
		case <-changed:
		default:
			require.Fail(t, "nobody was woken")
		}
	}
	changed := b.store.Changed(b.run.ID)
	b.append(t, 0, nil)
	select {
	case <-changed:
		require.Fail(t, "woken by a heartbeat")
	default:
	}
}

func TestCommitMayBeRepeated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	whole := journalOf(3, 10)
	b.put(t, "input.ipynb", input(3))
	b.append(t, 0, whole)
	b.put(t, "outputs/a/table.csv", []byte("x,y\n"))
	b.put(t, "log.txt", []byte("the driver grumbled\n"))
	first := b.commit(t, done(len(whole)))
	nb, log := b.object(t, first.Notebook), b.object(t, first.Log)
	require.Contains(t, log, "the driver grumbled")
	require.Equal(t, []nes.File{{Name: "a/table.csv", Size: 4, SHA256: digest([]byte("x,y\n")), Type: first.Files[0].Type}}, first.Files)

	b.store = open(t, b.bucket) // the server crashed before the ledger was told
	second := b.commit(t, done(len(whole)))
	require.Equal(t, first, second)
	require.Equal(t, nb, b.object(t, second.Notebook))
	require.Equal(t, log, b.object(t, second.Log))

	require.Contains(t, nb, `"repository"`)
	require.Contains(t, nb, strings.Repeat("a", 40))
	require.NoError(t, b.store.Publish(ctx, &b.run))
	require.NoError(t, b.store.Publish(ctx, &b.run))
	var verdict struct {
		V   int
		Run nes.Run
	}
	require.NoError(t, json.Unmarshal([]byte(b.object(t, storage.AttemptPrefix(&b.run, 1)+"verdict.json")), &verdict))
	require.Equal(t, b.run.ID, verdict.Run.ID)
	require.Equal(t, first.Notebook, verdict.Run.Outcome.Notebook)
}

func TestNeverStartedHasANotebookToo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	err := b.store.WriteNotebook(ctx, &b.run, 1, io.Discard)
	require.Equal(t, nes.CodeNotFound, nes.CodeOf(err))
	o := b.commit(t, journal.Exit{V: 1, Reason: "Evicted", Message: "taken away", Inferred: true, Unstarted: true})
	require.Equal(t, nes.ReasonEvicted, o.Reason)
	var nb bytes.Buffer
	require.NoError(t, b.store.WriteNotebook(ctx, &b.run, 1, &nb))
	require.Contains(t, nb.String(), `"pending"`)
}

func TestFilesAreCheckedAndLimited(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store.o.MaxFiles = 10
	body := []byte("0123456789")
	for name, tt := range map[string]struct{ file, sum string }{
		"not its digest":   {"outputs/x", digest([]byte("other"))},
		"not its name":     {"blobs/" + digest([]byte("other")), digest(body)},
		"no digest":        {"outputs/x", "zz"},
		"upward":           {"outputs/../input.ipynb", digest(body)},
		"absolute":         {"/etc/passwd", digest(body)},
		"the verdict":      {"verdict.json", digest(body)},
		"the journal":      {"journal/0000000000000000.jsonl", digest(body)},
		"a folder":         {"outputs/", digest(body)},
		"control":          {"outputs/a\nb", digest(body)},
		"too long":         {"outputs/" + strings.Repeat("x", 600), digest(body)},
		"upper-case digit": {"outputs/x", strings.ToUpper(digest(body))},
	} {
		err := b.store.PutFile(ctx, &b.run, 1, tt.file, tt.sum, bytes.NewReader(body))
		require.Equal(t, nes.CodeInvalid, nes.CodeOf(err), name)
	}
	b.put(t, "outputs/first", body)
	b.put(t, "outputs/first", body) // again
	err := b.store.PutFile(ctx, &b.run, 1, "outputs/second", digest(body), bytes.NewReader(body))
	require.Equal(t, nes.ReasonOutputTooLarge, nes.ReasonOf(err))
	files, err := open(t, b.bucket).Files(ctx, &b.run, 1) // a store that did not see it come
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.Equal(t, digest(body), files[0].SHA256)
	f, r, err := b.store.OpenFile(ctx, &b.run, 1, "first")
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.EqualValues(t, 10, f.Size)
	_, _, err = b.store.OpenFile(ctx, &b.run, 1, "../input.ipynb")
	require.Equal(t, nes.CodeNotFound, nes.CodeOf(err))
}

func TestLogPages(t *testing.T) {
	t.Parallel()
	s := newSpool(t.TempDir(), 1<<20)
	text := strings.Repeat("가나다 abc\n", 100)
	s.append([]byte(text))
	var got strings.Builder
	for at := int64(0); at < int64(len(text)); {
		page, err := s.page(at, 16)
		require.NoError(t, err)
		require.NotEmpty(t, page)
		require.NotContains(t, page, "\uFFFD")
		got.WriteString(page)
		at += int64(len(page))
	}
	require.Equal(t, text, got.String())
	small := newSpool(t.TempDir(), 10)
	for range 5 {
		small.append([]byte("0123456"))
	}
	raw, err := io.ReadAll(small.reader())
	require.NoError(t, err)
	require.Equal(t, "0123456012"+spoolFull, string(raw))
}

type said struct {
	exit    *journal.Line
	words   reduce.Words
	started bool
}

func (s said) Exit() *journal.Line { return s.exit }
func (s said) Words() reduce.Words { return s.words }
func (s said) Started() bool       { return s.started }

func TestVerdict(t *testing.T) {
	t.Parallel()
	why := "no data yet"
	for name, tt := range map[string]struct {
		exit journal.Exit
		said said
		want nes.Reason
	}{
		"success":                       {journal.Exit{}, said{started: true}, nes.ReasonCompleted},
		"the marker says":               {journal.Exit{Reason: "CellError"}, said{words: reduce.Words{Skip: &why}}, nes.ReasonCellError},
		"skip":                          {journal.Exit{}, said{words: reduce.Words{Skip: &why}}, nes.ReasonSkipped},
		"not ready":                     {journal.Exit{}, said{words: reduce.Words{NotReady: &why}}, nes.ReasonNotReady},
		"bytes are missing":             {journal.Exit{Journal: 101}, said{started: true}, nes.ReasonAgentLost},
		"inferred":                      {journal.Exit{Reason: "Evicted", Inferred: true}, said{exit: &journal.Line{}}, nes.ReasonEvicted},
		"unknown, the driver was done":  {journal.Exit{Inferred: true}, said{exit: &journal.Line{}, started: true}, nes.ReasonCompleted},
		"unknown, the driver says why":  {journal.Exit{Inferred: true}, said{exit: &journal.Line{Reason: "RunTimeout"}}, nes.ReasonRunTimeout},
		"unknown, in a cell":            {journal.Exit{Inferred: true}, said{started: true}, nes.ReasonKernelDied},
		"unknown, before the first one": {journal.Exit{Inferred: true}, said{}, nes.ReasonAgentLost},
	} {
		got, _ := Verdict(tt.exit, tt.said, 100)
		require.Equal(t, tt.want, got, name)
	}
}

func TestFewLiveRecordsAreKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store.o.MaxLive = 3
	for i := range 10 {
		run := b.run
		run.ID = nes.RunID(fmt.Sprintf("run-%d", i%5))
		_, err := b.store.AppendJournal(ctx, &run, 1, int64(i/5)*3, strings.NewReader("{}\n"))
		require.NoError(t, err)
		require.LessOrEqual(t, len(b.store.live), 3)
	}
	for i := range 5 {
		run := b.run
		run.ID = nes.RunID(fmt.Sprintf("run-%d", i))
		accepted, err := b.store.AppendJournal(ctx, &run, 1, 6, strings.NewReader(""))
		require.NoError(t, err)
		require.EqualValues(t, 6, accepted)
	}
}

// BenchmarkRecord is the server's whole cost of 50 cells of 200 kB: relay, reduce, store.
func BenchmarkRecord(b *testing.B) {
	whole, in := journalOf(50, 200_000), input(50)
	b.SetBytes(int64(len(whole)))
	for b.Loop() {
		x := setup(b)
		x.put(b, "input.ipynb", in)
		for at := 0; at < len(whole); {
			end := min(len(whole), at+1<<20)
			at = int(x.append(b, int64(at), whole[at:end]))
		}
		began := time.Now()
		x.commit(b, done(len(whole)))
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms-commit")
	}
}
