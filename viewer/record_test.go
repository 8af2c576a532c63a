package viewer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
	"github.com/nes-run/nes/runner/record"
	"github.com/nes-run/nes/storage"
	"github.com/nes-run/nes/storage/file"
	"github.com/nes-run/nes/viewer"
	"github.com/nes-run/nes/viewer/notebook"
)

var _ viewer.Committed = (*record.Store)(nil)

// office is a viewer on a real ledger, a real bucket and the real record of attempts.
type office struct {
	*house
	bucket storage.Bucket
	store  *record.Store
}

func newOffice(t *testing.T) *office {
	t.Helper()
	bucket, err := file.Open(t.TempDir())
	require.NoError(t, err)
	o := &office{bucket: bucket}
	o.store = openRecords(t, bucket)
	o.house = newHouse(t, o.serve)
	return o
}

func (o *office) serve(options *viewer.Options) {
	options.Records, options.Committed = o.store, o.store
}

// restart puts another server, which knows nothing, in the place of the one that is.
func (o *office) restart() {
	o.t.Helper()
	o.store = openRecords(o.t, o.bucket)
	runs := o.ledger
	o.house = newHouse(o.t, o.serve, func(options *viewer.Options) { options.Runs = runs })
	o.ledger = runs
}

func openRecords(t *testing.T, bucket storage.Bucket) *record.Store {
	return record.New(record.Options{Bucket: bucket, TempDir: t.TempDir(), Version: "test", Index: func(ctx context.Context, from, to string) error {
		return index(ctx, bucket, from, to)
	}})
}

// index writes a notebook's index as the program does.
func index(ctx context.Context, bucket storage.Bucket, from, to string) error {
	_, r, err := bucket.Open(ctx, from, 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	x, err := notebook.Parse(r)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := x.Write(&b); err != nil {
		return err
	}
	_, err = bucket.Put(ctx, to, &b, storage.PutOptions{ContentType: "application/json"})
	return err
}

// recorded is what a real driver left behind.
func recorded(t *testing.T, name string) (input, lines []byte) {
	t.Helper()
	dir := filepath.Join("../runner/reduce/testdata/golden", name)
	input, err := os.ReadFile(filepath.Join(dir, "input.ipynb"))
	require.NoError(t, err)
	lines, err = os.ReadFile(filepath.Join(dir, "journal.jsonl"))
	require.NoError(t, err)
	return input, lines
}

func (o *office) put(run *nes.Run, input []byte) {
	o.t.Helper()
	sum := sha256.Sum256(input)
	require.NoError(o.t, o.store.PutFile(o.t.Context(), run, 1, "input.ipynb", hex.EncodeToString(sum[:]), bytes.NewReader(input)))
}

func (o *office) append(run *nes.Run, offset int64, chunk []byte) {
	o.t.Helper()
	accepted, err := o.store.AppendJournal(o.t.Context(), run, 1, offset, bytes.NewReader(chunk))
	require.NoError(o.t, err)
	require.Equal(o.t, offset+int64(len(chunk)), accepted)
}

// commit ends the run as the controller does.
func (o *office) commit(run nes.Run, size int) nes.Run {
	o.t.Helper()
	at := time.Now().UTC()
	run = o.apply(nes.Saving(&run, nil, "", at))
	attempts, err := o.ledger.Attempts(o.t.Context(), run.ID)
	require.NoError(o.t, err)
	out, err := o.store.Commit(o.t.Context(), &run, attempts[0], journal.Exit{V: 1, At: float64(at.Unix()), Journal: int64(size), Inferred: true})
	require.NoError(o.t, err)
	run = o.apply(nes.End(&run, out.Reason, out.Message, &out, at))
	o.store.Forget(run.ID, 1)
	return run
}

// browser holds a page as the script keeps it: parts and cells by id, replaced by what the fragments bring.
type browser struct {
	*watcher
	elements map[string]string
}

var element = regexp.MustCompile(`(?s)<(article|section) [^>]*?id="(cell-\d+|part-[a-z]+)".*?</(?:article|section)>`)

func browse(h *house, id nes.RunID) *browser {
	b := &browser{watcher: watch(h, id), elements: map[string]string{}}
	b.take(h.ok("/runs/" + string(id)))
	return b
}

func (b *browser) take(page string) {
	b.learn(page)
	for _, m := range element.FindAllStringSubmatch(page, -1) {
		b.elements[m[2]] = m[0]
	}
}

// follow takes what changed; it reports false when there was nothing.
func (b *browser) follow() bool {
	_, body := b.next()
	if body != "" {
		b.take(body)
	}
	return body != ""
}

// settle follows until nothing changes any more, and compares what came together with the page as it is now.
func (b *browser) settle() {
	b.h.t.Helper()
	for b.follow() {
	}
	fresh := browse(b.h, b.id)
	require.Equal(b.h.t, fresh.elements, b.elements, "the fragments together are the page")
}

// TestALiveRunIsThePageOfItsJournal follows real journals chunk by chunk, through a restart of the server, to the end.
func TestALiveRunIsThePageOfItsJournal(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"papermill/simple_execute":   {"Succeeded"},
		"papermill/broken1":          {"Failed", "CellError", "Jump to the failed cell"},
		"own/tqdm_text":              {"Succeeded"},
		"own/pandas_table":           {"Succeeded", `class="dataframe"`},
		"nbclient/Clear_Output":      {"Succeeded"},
		"nbclient/update-display-id": {"Succeeded"},
		"own/update_before_display":  {},
		"own/raises_exception":       {"Succeeded"},
		"own/matplotlib_plot":        {"Succeeded", `<img class="picture"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			input, lines := recorded(t, name)
			o := newOffice(t)
			run := o.start(spec(), source)
			b := browse(o.house, run.ID)
			require.NotContains(t, strings.Join(keys(b.elements), " "), "cell-")
			o.put(&run, input)
			require.True(t, b.follow(), "the notebook is there before its first line")
			const chunks = 12
			for i := range chunks {
				from, to := len(lines)*i/chunks, len(lines)*(i+1)/chunks
				o.append(&run, int64(from), lines[from:to])
				if i == chunks/2 {
					o.restart()
					b.h = o.house
				}
				if i%4 == 3 {
					b.sync()
				}
			}
			run = o.commit(run, len(lines))
			b.settle()
			page := o.ok("/runs/" + string(run.ID))
			require.Contains(t, page, `data-ended="true"`)
			for _, text := range want {
				require.Contains(t, page, text)
			}
			o.restart()
			require.Equal(t, withoutNumbers(page), withoutNumbers(o.ok("/runs/"+string(run.ID))), "the index gives the page again")
		})
	}
}

// sync follows until the page is what a reload would show.
func (b *browser) sync() {
	b.h.t.Helper()
	require.Eventually(b.h.t, func() bool {
		fresh := browse(b.h, b.id)
		if same(fresh.elements, b.elements) {
			return true
		}
		b.follow()
		return false
	}, 20*time.Second, time.Millisecond)
}

func same(a, b map[string]string) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

func keys(m map[string]string) (all []string) {
	for k := range m {
		all = append(all, k)
	}
	return all
}

// withoutNumbers takes out what counts a server's readings.
func withoutNumbers(page string) string { return genOf.ReplaceAllString(page, "") }

// counting counts what is read of notebooks in the bucket.
type counting struct {
	storage.Bucket
	read *atomic.Int64
}

func (c counting) Open(ctx context.Context, key string, offset, length int64) (storage.Object, io.ReadCloser, error) {
	o, r, err := c.Bucket.Open(ctx, key, offset, length)
	if err != nil || !strings.HasSuffix(key, ".ipynb") {
		return o, r, err
	}
	return o, struct {
		io.Reader
		io.Closer
	}{io.TeeReader(r, c), r}, nil
}

func (c counting) Write(p []byte) (int, error) {
	c.read.Add(int64(len(p)))
	return len(p), nil
}

const pictures = 50

// large writes an executed notebook with 50 different pictures of 2 MB each, which differ in their ends.
func large(w io.Writer) {
	body := strings.Repeat("iVBORw0KGgoA", 2<<20/12)
	_, _ = io.WriteString(w, `{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [`)
	for i := range pictures {
		_, _ = fmt.Fprintf(w, `{"cell_type": "code", "id": "c%d", "metadata": {}, "source": "plot(%d)", "outputs": [{"output_type": "display_data", "metadata": {}, "data": {"image/png": "%s%04d"}}]},`, i, i, body, i)
	}
	_, _ = io.WriteString(w, `{"cell_type": "markdown", "id": "end", "metadata": {}, "source": "The end"}]}`)
}

// TestALargeNotebookOpensFromItsIndex is not parallel: it measures time and memory.
func TestALargeNotebookOpensFromItsIndex(t *testing.T) { //nolint:paralleltest
	o := newOffice(t)
	var read atomic.Int64
	o.bucket = counting{o.bucket, &read}
	o.restart()
	run := o.end(o.start(spec(), source), "", "", nes.Outcome{})
	r, w := io.Pipe()
	go func() { large(w); _ = w.Close() }()
	key := storage.NotebookKey(&run, 1)
	_, err := o.bucket.Put(t.Context(), key, r, storage.PutOptions{})
	require.NoError(t, err)
	require.NoError(t, index(t.Context(), o.bucket, key, storage.AttemptPrefix(&run, 1)+"index.json"))
	read.Store(0)

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	page := o.ok("/runs/" + string(run.ID))
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	require.Contains(t, page, "The end")
	require.Zero(t, read.Load(), "the page needs nothing of the notebook itself")
	require.Less(t, took, time.Second)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(24<<20))
	t.Logf("opened in %v with %d kB", took, (after.TotalAlloc-before.TotalAlloc)>>10)

	bodies := regexp.MustCompile(`src="(/runs/[^"]+/body/1/[0-9a-f]{64})"`).FindAllStringSubmatch(page, -1)
	require.Len(t, bodies, pictures)
	status, header, _ := o.get(bodies[pictures-1][1])
	require.Equal(t, 200, status)
	require.Equal(t, "image/png", header.Get("Content-Type"))
	require.Less(t, read.Load(), int64(3<<20), "of the notebook, the picture alone is read")
}

// TestAnIndexThatCannotBeUsed costs a reading of the notebook, and nothing else.
func TestAnIndexThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for name, index := range map[string]string{"none": "", "damaged": `{"version": 1, "cel`, "of another version": `{"version": 999, "cells": []}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			input, lines := recorded(t, "own/pandas_table")
			run := o.start(spec(), source)
			o.put(&run, input)
			o.append(&run, 0, lines)
			run = o.commit(run, len(lines))
			want := o.ok("/runs/" + string(run.ID))
			key := storage.AttemptPrefix(&run, 1) + "index.json"
			require.Equal(t, key, run.Outcome.Index)
			if index == "" {
				require.NoError(t, o.bucket.Delete(t.Context(), key))
			} else {
				_, err := o.bucket.Put(t.Context(), key, strings.NewReader(index), storage.PutOptions{})
				require.NoError(t, err)
			}
			o.restart()
			require.Equal(t, withoutNumbers(want), withoutNumbers(o.ok("/runs/"+string(run.ID))))
		})
	}
}
