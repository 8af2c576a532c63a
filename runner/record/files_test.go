package record

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
	"github.com/nes-run/nes/storage"
)

// putOutput sends a side file and says how it went.
func (b *testBundle) putOutput(name, body string) error {
	return b.store.PutFile(ctx, &b.run, 1, outputs+name, digest([]byte(body)), strings.NewReader(body))
}

func (b *testBundle) stored(t *testing.T) map[string]int64 {
	t.Helper()
	files, err := open(t, b.bucket).Files(ctx, &b.run, 1)
	require.NoError(t, err)
	sizes := map[string]int64{}
	for _, f := range files {
		sizes[f.Name] = f.Size
	}
	return sizes
}

func requireFull(t *testing.T, err error) {
	t.Helper()
	require.Equal(t, nes.CodeTooLarge, nes.CodeOf(err))
	require.Equal(t, nes.ReasonOutputTooLarge, nes.ReasonOf(err))
}

// TestTheRoomForSideFiles is counted by bytes: what is there, what arrives, and what a new file replaces.
func TestTheRoomForSideFiles(t *testing.T) {
	t.Parallel()
	type step struct {
		name string
		size int
		fits bool
	}
	for name, steps := range map[string][]step{
		"exactly full":              {{"a", 60, true}, {"b", 40, true}, {"c", 1, false}},
		"one byte too many":         {{"a", 60, true}, {"b", 41, false}, {"c", 40, true}},
		"alone too large":           {{"a", 101, false}, {"a", 100, true}},
		"an empty file always fits": {{"a", 100, true}, {"b", 0, true}},
		"the same again":            {{"a", 100, true}, {"a", 100, true}, {"a", 100, true}},
		"grown within the room":     {{"a", 10, true}, {"a", 100, true}, {"b", 1, false}},
		"grown beyond it":           {{"a", 10, true}, {"b", 80, true}, {"a", 21, false}, {"a", 20, true}},
		"shrunk gives room back":    {{"a", 100, true}, {"a", 10, true}, {"b", 90, true}},
	} {
		for _, restarts := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " restarts=", restarts), func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				b.store.o.MaxFiles = 100
				want := map[string]int64{}
				for _, s := range steps {
					if restarts {
						b.store = open(t, b.bucket)
						b.store.o.MaxFiles = 100
					}
					err := b.putOutput(s.name, strings.Repeat("x", s.size))
					if !s.fits {
						requireFull(t, err)
						continue
					}
					require.NoError(t, err)
					want[s.name] = int64(s.size)
				}
				require.Equal(t, want, b.stored(t), "what was refused changed nothing")
			})
		}
	}
}

// TestSideFilesThatArriveTogetherShareTheRoom: whichever of them come first, their sum keeps to the limit.
func TestSideFilesThatArriveTogetherShareTheRoom(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store.o.MaxFiles = 100
	var wg sync.WaitGroup
	var mu sync.Mutex
	refused := 0
	for i := range 20 {
		wg.Go(func() {
			err := b.putOutput(fmt.Sprintf("f%d", i), strings.Repeat("x", 30))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				refused++
				requireFull(t, err)
			}
		})
	}
	wg.Wait()
	stored := b.stored(t)
	require.Len(t, stored, 20-refused)
	require.LessOrEqual(t, len(stored), 3)
	for len(stored) < 3 { // those that were refused while others arrived find the room that these gave back
		require.NoError(t, b.putOutput(fmt.Sprintf("late%d", len(stored)), strings.Repeat("x", 30)))
		stored = b.stored(t)
	}
	requireFull(t, b.putOutput("more", strings.Repeat("x", 30)))
}

// TestAFileThatFailedGivesItsRoomBack, however it failed.
func TestAFileThatFailedGivesItsRoomBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store.o.MaxFiles = 100
	h := b.hook()
	body := strings.Repeat("x", 100)
	for range 3 {
		h.put = once(errDown)
		require.ErrorIs(t, b.putOutput("a", body), errDown)
		err := b.store.PutFile(ctx, &b.run, 1, "outputs/a", digest([]byte("another")), strings.NewReader(body))
		require.Equal(t, nes.CodeInvalid, nes.CodeOf(err))
	}
	h.list = once(errDown)
	fresh := open(t, h)
	fresh.o.MaxFiles = 100
	b.store = fresh
	require.ErrorIs(t, b.putOutput("a", body), errDown, "how much room there is is not known")
	require.NoError(t, b.putOutput("a", body))
}

// TestTheNumberOfSideFilesIsLimited too, and files that are known are no new ones.
func TestTheNumberOfSideFilesIsLimited(t *testing.T) {
	t.Parallel()
	s := &shelf{max: 1 << 20, files: map[string]nes.File{}}
	for i := range maxFiles - 1 {
		s.files[fmt.Sprint(i)] = nes.File{}
	}
	last, err := s.enter("last")
	require.NoError(t, err)
	_, err = s.enter("one more, while the last arrives")
	requireFull(t, err)
	known, err := s.enter("7")
	require.NoError(t, err)
	known.leave()
	last.leave() // it failed
	again, err := s.enter("last")
	require.NoError(t, err)
	again.stored = &nes.File{Name: "last", Size: 5}
	require.NoError(t, again.takes(5))
	again.leave()
	require.EqualValues(t, 5, s.bytes)
	require.Zero(t, s.arriving)
	require.Contains(t, s.known(), "last")
	_, err = s.enter("one more")
	requireFull(t, err)
	require.Nil(t, (*shelf)(nil).known())
}

// TestOtherFilesTakeNoRoom: the record's own parts are bounded one by one.
func TestOtherFilesTakeNoRoom(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store.o.MaxFiles = 1
	body := []byte(strings.Repeat("x", 1000))
	b.put(t, "log.txt", body)
	b.put(t, "blobs/"+digest(body), body)
	b.put(t, "input.ipynb", input(1))
	require.NoError(t, b.putOutput("a", "x"))
	require.Equal(t, string(body), b.object(t, storage.AttemptPrefix(&b.run, 1)+"driver.txt"), "log.txt is the log for people")
}

// zeros is an endless file.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestAFileLongerThanItMayBeIsCutOff while it comes: it is not read to its end first.
func TestAFileLongerThanItMayBeIsCutOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	err := b.store.PutFile(ctx, &b.run, 1, "log.txt", digest(nil), zeros{})
	require.Equal(t, nes.CodeTooLarge, nes.CodeOf(err))
	require.ErrorContains(t, err, fmt.Sprint(journal.MaxChunk))
	b.store.o.MaxFiles = 1 << 20
	requireFull(t, b.putEndless("outputs/endless"))
	require.Empty(t, b.stored(t))
	exact := bytes.Repeat([]byte("x"), journal.MaxChunk)
	b.put(t, "log.txt", exact)
}

func (b *testBundle) putEndless(name string) error {
	return b.store.PutFile(ctx, &b.run, 1, name, digest(nil), zeros{})
}

// TestADigestIsOfTheBytesThatAreStored: a file that was replaced has its new digest at once, also where sizes agree, and
// also for who did not see it come.
func TestADigestIsOfTheBytesThatAreStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, body := range []string{"first", "other", "longer than both"} {
		require.NoError(t, b.putOutput("a/b.csv", body))
		for _, s := range []*Store{b.store, open(t, b.bucket)} {
			files, err := s.Files(ctx, &b.run, 1)
			require.NoError(t, err)
			require.Len(t, files, 1)
			require.Equal(t, "a/b.csv", files[0].Name)
			require.Equal(t, digest([]byte(body)), files[0].SHA256)
			require.EqualValues(t, len(body), files[0].Size)
		}
	}
	b.store = open(t, b.bucket)
	require.NoError(t, b.putOutput("new", "x")) // now it counts the old one too, whose digest it never saw
	o := b.commit(t, journal.Exit{V: 1, At: 1.8e9})
	require.Len(t, o.Files, 2)
	require.Equal(t, digest([]byte("longer than both")), o.Files[0].SHA256)
	require.Equal(t, digest([]byte("x")), o.Files[1].SHA256)
}

// TestFilesOfEveryPageAreListed, in the order of their names.
func TestFilesOfEveryPageAreListed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := b.hook()
	h.page = 4
	const n = 11
	prefix := storage.AttemptPrefix(&b.run, 1) + outputs
	for i := range n {
		_, err := b.bucket.Put(ctx, fmt.Sprintf("%sf%d", prefix, i), strings.NewReader("x"), storage.PutOptions{})
		require.NoError(t, err)
	}
	files, err := b.store.Files(ctx, &b.run, 1)
	require.NoError(t, err)
	require.Len(t, files, n)
	require.True(t, slices.IsSortedFunc(files, func(a, b nes.File) int { return strings.Compare(a.Name, b.Name) }))
	require.Len(t, h.lists, 3)
	b.store.o.MaxFiles = n
	requireFull(t, b.putOutput("more", "x"))

	h.list = once(errDown)
	_, err = b.store.Files(ctx, &b.run, 1)
	require.ErrorIs(t, err, errDown)
	h.open = once(errDown)
	_, err = b.store.Files(ctx, &b.run, 1)
	require.ErrorIs(t, err, errDown, "a file whose digest cannot be found out is not left out")
}

// TestAFileIsOfItsAttempt: what a later attempt's outcome says of a file of the same name and size is not of this one.
func TestAFileIsOfItsAttempt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.putOutput("a.csv", "old"))
	b.commit(t, journal.Exit{V: 1, Reason: "CellError", At: 1.8e9})
	b.run.Attempt, b.run.Stage, b.at.Number = 2, nes.StageExecuting, 2
	require.NoError(t, b.store.PutFile(ctx, &b.run, 2, "outputs/a.csv", digest([]byte("new")), strings.NewReader("new")))
	b.commit(t, journal.Exit{V: 1, At: 1.8e9})
	for attempt, want := range map[int]string{1: "old", 2: "new"} {
		f, r, err := b.store.OpenFile(ctx, &b.run, attempt, "a.csv")
		require.NoError(t, err)
		body, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.Equal(t, want, string(body))
		require.Contains(t, []string{digest(body), ""}, f.SHA256, "a digest that is given is true")
		require.Equal(t, attempt == 2, f.SHA256 != "", "that of the outcome is known")
		files, err := b.store.Files(ctx, &b.run, attempt)
		require.NoError(t, err)
		require.Equal(t, digest(body), files[0].SHA256)
		require.Equal(t, typeOf("a.csv"), f.Type)
	}
}

// TestNamesOfFilesStayBelowTheirAttempt: no name reads or writes what is not a side file.
func TestNamesOfFilesStayBelowTheirAttempt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put(t, "input.ipynb", input(1))
	for _, name := range []string{"", ".", "..", "/", "../input.ipynb", "a/../../input.ipynb", "/etc/passwd", "a//b", "a/", "a\\b", "a\x00b", "\xff", ".nes-x", "./a", strings.Repeat("x", 300)} {
		_, r, err := b.store.OpenFile(ctx, &b.run, 1, name)
		require.Equal(t, nes.CodeNotFound, nes.CodeOf(err), "%q", name)
		require.Nil(t, r)
		require.Equal(t, nes.CodeInvalid, nes.CodeOf(b.putOutput(name, "x")), "%q", name)
	}
	for _, name := range []string{"a", "한글 표.csv", "a b/c d", "...", "a/.hidden", strings.Repeat("x", 255)} {
		require.NoError(t, b.putOutput(name, "x"), name)
		_, r, err := b.store.OpenFile(ctx, &b.run, 1, name)
		require.NoError(t, err, name)
		require.NoError(t, r.Close())
	}
	require.Len(t, b.stored(t), 6)
}
