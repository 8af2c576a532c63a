package agent

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/agentapi"
	"github.com/nes-run/nes/runner/journal"
)

// TestAJournalThatIsTakenAwayWhileItIsSent, or cut off, costs no more than itself: the agent keeps its pace, and the
// attempt ends with its marker.
func TestAJournalThatIsTakenAwayWhileItIsSent(t *testing.T) {
	t.Parallel()
	for name, tamper := range map[string]func(path string) error{
		"removed":     os.Remove,
		"emptied":     func(p string) error { return os.Truncate(p, 0) },
		"cut off":     func(p string) error { return os.Truncate(p, journal.MaxChunk/2) },
		"a directory": func(p string) error { _ = os.Remove(p); return os.Mkdir(p, 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var path atomic.Pointer[string]
			o := &office{}
			o.answer = func(o *office, p *agentapi.Pace) error {
				p.EveryMS = 200
				if at := path.Load(); at != nil && len(o.journal) == journal.MaxChunk {
					path.Store(nil)
					return tamper(*at)
				}
				return nil
			}
			w := watch(t, o)
			at := filepath.Join(w.dir, journal.JournalFile)
			path.Store(&at)
			w.write(journal.JournalFile, strings.Repeat("x", 3*journal.MaxChunk))
			o.until(t, func() bool { return path.Load() == nil && len(o.journal) >= journal.MaxChunk })
			o.mu.Lock()
			posts := o.posts
			o.mu.Unlock()
			time.Sleep(500 * time.Millisecond) // a span in which it may call a few times, and not as often as it can
			o.mu.Lock()
			require.Less(t, o.posts-posts, 10)
			o.mu.Unlock()
			require.NoError(t, w.end(marker))
			require.Len(t, o.exits, 1)
		})
	}
}

// TestAFileThatShrinksWhileItIsSent is left out, and what comes after it is not.
func TestAFileThatShrinksWhileItIsSent(t *testing.T) {
	t.Parallel()
	var tries atomic.Int32
	o := &office{}
	w := watch(t, o)
	first := filepath.Join(w.dir, journal.OutputDir, "a")
	o.putFile = func(name string) error {
		if name == "outputs/a" && tries.Add(1) == 1 { // which makes the agent send it again
			return joinErr(os.Truncate(first, 3), nes.Errorf(nes.CodeUnavailable, "later"))
		}
		return nil
	}
	w.write(journal.OutputDir+"/a", strings.Repeat("a", 1000))
	w.write(journal.OutputDir+"/b", "b")
	w.write(journal.LogFile, "words")
	w.write(journal.JournalFile, "line\n")
	require.NoError(t, w.end(marker))
	require.Equal(t, map[string]string{"outputs/b": "b", "log.txt": "words"}, o.files)
	require.Len(t, o.exits, 1)
}

func joinErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestAFileThatGrowsWhileItIsSent is sent as it was when its digest was taken.
func TestAFileThatGrowsWhileItIsSent(t *testing.T) {
	t.Parallel()
	var tries atomic.Int32
	o := &office{}
	w := watch(t, o)
	name := filepath.Join(w.dir, journal.OutputDir, "a")
	o.putFile = func(string) error {
		if tries.Add(1) > 1 {
			return nil
		}
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
		if err == nil {
			_, err = f.WriteString("more")
			err = joinErr(err, f.Close())
		}
		return joinErr(err, nes.Errorf(nes.CodeUnavailable, "later"))
	}
	w.write(journal.OutputDir+"/a", "0123456789")
	require.NoError(t, w.end(marker))
	require.Equal(t, map[string]string{"outputs/a": "0123456789"}, o.files)
	v, err := OpenVolume(w.dir)
	require.NoError(t, err)
	defer v.Close()
	require.EqualValues(t, 14, v.size(journal.OutputDir+"/a"))
	_, err = v.digest("run/none")
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestAMarkersWordsAreKeptShort, in whole characters, whatever a notebook writes there.
func TestAMarkersWordsAreKeptShort(t *testing.T) {
	t.Parallel()
	for size := range 20 {
		v, dir := volume(t)
		long := strings.Repeat("x", size) + strings.Repeat("한", 3000)
		raw, err := json.Marshal(journal.Exit{V: 1, Reason: long, Signal: long, Message: long, LogTail: long, Journal: math.MaxInt64})
		require.NoError(t, err)
		require.Less(t, len(raw), journal.MaxExit)
		require.NoError(t, os.WriteFile(filepath.Join(dir, journal.ExitFile), raw, 0o644))
		e, ok := v.Exit()
		require.True(t, ok)
		for text, limit := range map[string]int{e.Message: maxText, e.LogTail: maxText, e.Reason: maxWord, e.Signal: maxWord} {
			require.LessOrEqual(t, len(text), limit)
			require.Greater(t, len(text), limit-utf8.UTFMax)
			require.True(t, utf8.ValidString(text))
			require.True(t, strings.HasPrefix(long, text))
		}
	}
	require.Equal(t, "CellError", clip("CellError", 9))
}

// TestThePaceIsTheServersWithinBounds: none is no leave to call as often as one can, and a long one is no leave to be taken for dead.
func TestThePaceIsTheServersWithinBounds(t *testing.T) {
	t.Parallel()
	for said, want := range map[int]time.Duration{-5: 10 * time.Millisecond, 0: 10 * time.Millisecond, 10: 10 * time.Millisecond, 250: 250 * time.Millisecond, 10_000: 10 * time.Second, 10_001: 10 * time.Second, math.MaxInt: 10 * time.Second} {
		o := &office{grew: make(chan struct{}, 1), answer: func(_ *office, p *agentapi.Pace) error { p.EveryMS = said; return nil }}
		c, dir := fetching(t, &depot{}, nil)
		v, err := OpenVolume(dir)
		require.NoError(t, err)
		w := &watcher{c: c, v: v, sent: map[string]bool{}}
		w.c.Client = clientOf(t, o)
		require.NoError(t, w.post(t.Context(), nil))
		require.Equal(t, want, w.pace, said)
		require.NoError(t, v.Close())
	}
}

// TestTheTailOfALog is its end, where it is longer than may be sent, and nothing where there is none.
func TestTheTailOfALog(t *testing.T) {
	t.Parallel()
	v, dir := volume(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, journal.LogFile), []byte("0123456789"), 0o644))
	for limit, want := range map[int64]string{0: "", 1: "9", 9: "123456789", 10: "0123456789", 11: "0123456789"} {
		require.Equal(t, want, string(v.tail(journal.LogFile, limit)), limit)
	}
	require.Nil(t, v.tail("run/none", 5))
	require.Zero(t, v.size("run/none"))
	require.False(t, v.exists("run/none"))
	_, err := v.read(journal.LogFile, 9)
	require.ErrorContains(t, err, "larger than 9 bytes")
	raw, err := v.read(journal.LogFile, 10)
	require.NoError(t, err)
	require.Len(t, raw, 10)
}

// TestBlobsAreWhatTheirNamesSay, or are not sent; those that are complete are sent once.
func TestBlobsAreWhatTheirNamesSay(t *testing.T) {
	t.Parallel()
	const body = `"blob"`
	v, dir := volume(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "run", "b"), []byte(body), 0o644))
	sum, err := v.digest("run/b")
	require.NoError(t, err)
	sent := map[string]int{}
	o := &office{}
	o.putFile = func(name string) error { sent[name]++; return nil }
	w := watch(t, o)
	w.write(journal.BlobDir+"/"+sum, body[:3])
	w.write(journal.BlobDir+"/"+strings.Repeat("0", 64), body)
	w.write(journal.BlobDir+"/short", body)
	w.write(journal.JournalFile, "one\n")
	o.until(t, func() bool { return string(o.journal) == "one\n" })
	require.Empty(t, o.files, "it is not complete")
	w.write(journal.BlobDir+"/"+sum, body[3:])
	w.write(journal.JournalFile, "two\n")
	o.until(t, func() bool { return strings.HasSuffix(string(o.journal), "two\n") && o.files["blobs/"+sum] == body })
	w.write(journal.JournalFile, "three\n")
	require.NoError(t, w.end(marker))
	require.Equal(t, map[string]int{"blobs/" + sum: 1}, sent)
}

// TestAnEndWithoutAMarkerIsSaidToBeConcluded, with what was seen: how much was journalled, and the last words.
func TestAnEndWithoutAMarkerIsSaidToBeConcluded(t *testing.T) {
	t.Parallel()
	w := watch(t, &office{})
	w.write(journal.JournalFile, "0123456\n")
	w.write(journal.LogFile, "Killed")
	began := time.Now()
	require.NoError(t, w.end(""))
	require.Len(t, w.office.exits, 1)
	e := w.office.exits[0]
	require.True(t, e.Inferred)
	require.False(t, e.Unstarted, "exec had begun")
	require.Equal(t, -1, e.Code)
	require.Empty(t, e.Reason, "who concludes it knows more")
	require.EqualValues(t, 8, e.Journal)
	require.Equal(t, "Killed", e.LogTail)
	require.InDelta(t, float64(began.Unix()), e.At, 60)
}
