package reduce_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/runner/reduce"
)

// fileJournal is a journal on disk, as the server has it.
type fileJournal struct{ *os.File }

func (fileJournal) Blob(string) (io.ReadCloser, error) { return nil, os.ErrNotExist }

// writeJournal writes a journal of about size bytes: prints, plots of a megabyte, and updates.
func writeJournal(t testing.TB, size int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	f, err := os.Create(path)
	require.NoError(t, err)
	w := bufio.NewWriter(f)
	line := func(format string, args ...any) int {
		n, err := fmt.Fprintf(w, `{"v":1,"seq":1,"t":1700000000.5,`+format+"\n", args...)
		require.NoError(t, err)
		return n
	}
	plot := strings.Repeat("iVBORw0KGgo", 95_000)
	text := strings.Repeat("a line of output\\n", 60)
	for n, cell := 0, 0; n < size; cell++ {
		n += line(`"k":"cell_start","cell":%d}`, cell)
		for i := range 40_000 {
			n += line(`"k":"msg","cell":%d,"type":"stream","content":{"name":"stdout","text":"%d\n"}}`, cell, i)
		}
		for range 4_000 {
			n += line(`"k":"msg","cell":%d,"type":"stream","content":{"name":"stdout","text":"%s"}}`, cell, text)
		}
		for range 5 {
			n += line(`"k":"msg","cell":%d,"type":"display_data","content":{"data":{"image/png":"%s"},"metadata":{}},"transient":{"display_id":"d%d"}}`, cell, plot, cell)
		}
		n += line(`"k":"cell_end","cell":%d,"status":"ok","n":%d}`, cell, cell+1)
	}
	require.NoError(t, w.Flush())
	require.NoError(t, f.Close())
	return path
}

// heap is the memory that is in use and the memory that was taken for the heap at most.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestALargeJournalTakesLittleMemory runs alone, because it measures the heap.
func TestALargeJournalTakesLittleMemory(t *testing.T) {
	const size, allowed = 100 << 20, 24 << 20
	path := writeJournal(t, size)
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	before := heap()
	s, err := reduce.New(notebook(strings.Split(strings.Repeat("x,", 30), ",")[:30]...))
	require.NoError(t, err)
	log := reduce.NewLog()
	buf := make([]byte, 1<<20)
	peak := int64(0)
	for at := int64(0); ; {
		n, err := f.ReadAt(buf, at)
		require.NoError(t, s.Feed(at, buf[:n]))
		log.Feed(buf[:n])
		at += int64(n)
		if at>>20%16 == 0 {
			peak = max(peak, heap()-before)
		}
		if err == io.EOF {
			break
		}
	}
	require.Zero(t, s.Ignored())
	sum := sha256.New()
	counted := &counter{w: sum}
	require.NoError(t, s.Write(counted, fileJournal{f}, reduce.Stamp{}))
	peak = max(peak, counted.peak-before)
	t.Logf("a journal of %d MB: %d MB of heap, a notebook of %d MB", size>>20, peak>>20, counted.n>>20)
	require.Less(t, peak, int64(allowed))
	runtime.KeepAlive(s)
	runtime.KeepAlive(log)
}

// counter counts, and looks at the heap on the way.
type counter struct {
	w       io.Writer
	n, peak int64
}

func (c *counter) Write(p []byte) (int, error) {
	if c.n>>24 != (c.n+int64(len(p)))>>24 {
		c.peak = max(c.peak, heap())
	}
	c.n += int64(len(p))
	return c.w.Write(p)
}

func BenchmarkFeed(b *testing.B) {
	stream := func(n int) string {
		return lines(printed(0, "stdout", strings.Repeat("0123456789abcdef\n", n/17)))
	}
	plotly, _ := json.Marshal(map[string]any{"application/vnd.plotly.v1+json": map[string]any{"data": make([]float64, 40_000)}})
	for _, bench := range []struct{ name, lines string }{
		{"lines of 100 B", strings.Repeat(stream(34), 1000)},
		{"lines of 1 kB", strings.Repeat(stream(1000), 200)},
		{"lines of 64 kB", strings.Repeat(stream(64<<10), 16)},
		{"images of 1 MB", lines(display(0, "display_data", "", `{"image/png":"`+strings.Repeat("iVBORw0KGgo", 95_000)+`"}`))},
		{"figures of numbers", lines(display(0, "display_data", "", string(plotly)))},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := feed(b, notebook("a"), lines(started(0)))
			b.SetBytes(int64(len(bench.lines)))
			text := []byte(bench.lines)
			for b.Loop() {
				if err := s.Feed(s.Size(), text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, bench := range []struct{ name, lines string }{
		{"text in lines of 1 kB", strings.Repeat(lines(printed(0, "stdout", strings.Repeat("0123456789abcdef\n", 60))), 4000)},
		{"images of 1 MB", strings.Repeat(lines(display(0, "display_data", "", `{"image/png":"`+strings.Repeat("iVBORw0KGgo", 95_000)+`"}`)), 8)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			text := lines(started(0)) + bench.lines
			s := feed(b, notebook("a"), text)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if err := s.Write(io.Discard, onDisk(text), reduce.Stamp{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLog(b *testing.B) {
	ascii, korean := "0123456789abcdef\n", "셀의 출력입니다, 한글로.\n"
	for _, bench := range []struct{ name, lines string }{
		{"lines of 100 B", strings.Repeat(lines(printed(0, "stdout", strings.Repeat(ascii, 6))), 1000)},
		{"lines of 1 kB", strings.Repeat(lines(printed(0, "stdout", strings.Repeat(ascii, 60))), 1000)},
		{"lines of 200 kB", strings.Repeat(lines(printed(0, "stdout", strings.Repeat(ascii, 12_000))), 8)},
		{"Korean", strings.Repeat(lines(printed(0, "stdout", strings.Repeat(korean, 6_000))), 8)},
		{"progress bars", strings.Repeat(lines(printed(0, "stderr", strings.Repeat("\r 50%|#####     | 5/10", 5_000))), 8)},
		{"images of 1 MB", lines(display(0, "display_data", "", `{"image/png":"`+strings.Repeat("iVBORw0KGgo", 95_000)+`"}`))},
	} {
		b.Run(bench.name, func(b *testing.B) {
			text := []byte(bench.lines)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			l := reduce.NewLog()
			for b.Loop() {
				l.Feed(text)
			}
		})
	}
}
