package record

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
	"github.com/nes-run/nes/storage"
)

// shaky stores, and then loses the answer, or fails before it stores, n times.
type shaky struct {
	storage.Bucket
	fails atomic.Int32
	late  bool
}

func (s *shaky) Put(ctx context.Context, key string, r io.Reader, o storage.PutOptions) (storage.Object, error) {
	if s.fails.Add(-1) < 0 {
		return s.Bucket.Put(ctx, key, r, o)
	}
	if s.late {
		if _, err := s.Bucket.Put(ctx, key, r, o); err != nil {
			return storage.Object{}, err
		}
	}
	return storage.Object{}, nes.Errorf(nes.CodeUnavailable, "the answer was lost")
}

func failing(b storage.Bucket, fails int, late bool) storage.Bucket {
	s := &shaky{Bucket: b, late: late}
	s.fails.Store(int32(fails))
	return s
}

// TestAChunkWhoseAnswerWasLost: it is stored, the sender does not know, and sends it again with more.
func TestAChunkWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		b := setup(t)
		b.put(t, "input.ipynb", input(2))
		whole := journalOf(2, 10)
		half := bytes.IndexByte(whole, '\n') + 1
		b.store.o.Bucket = failing(b.bucket, 1, late)
		_, err := b.store.AppendJournal(ctx, &b.run, 1, 0, bytes.NewReader(whole[:half]))
		require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err))
		at := b.append(t, 0, whole)
		if late {
			require.EqualValues(t, half, at, "what was stored is not stored again")
			at = b.append(t, at, whole[at:])
		}
		require.EqualValues(t, len(whole), at)
		o := b.commit(t, done(len(whole)))
		require.Equal(t, nes.ReasonCompleted, o.Reason)
		require.Equal(t, 2, o.Progress.Done)
		require.Equal(t, 1, strings.Count(b.object(t, o.Log), "cell 0 xxx"))
	}
}

// TestACommitThatFailsHalfway is made again by the same server, whichever of its objects it was that failed.
func TestACommitThatFailsHalfway(t *testing.T) {
	t.Parallel()
	for fails := range 3 {
		for _, late := range []bool{false, true} {
			b := setup(t)
			whole := journalOf(2, 10)
			b.put(t, "input.ipynb", input(2))
			b.append(t, 0, whole)
			b.store.o.Bucket = failing(b.bucket, fails, late)
			b.run.Stage = nes.StageSaving
			tries := 1
			for ; tries < 5; tries++ {
				if _, err := b.store.Commit(ctx, &b.run, b.at, done(len(whole))); err == nil {
					break
				}
			}
			require.LessOrEqual(t, tries, fails+1)
			o := b.commit(t, done(len(whole)))
			require.Equal(t, 2, o.Progress.Done)
			require.Contains(t, b.object(t, o.Notebook), "cell 1 ")
			require.Contains(t, b.object(t, o.Log), "cell 1 ")
		}
	}
}

// TestTheRecordOfAnAttemptThatIsOver is read from what is stored, in pages and pieces, by a server that never saw it.
func TestTheRecordOfAnAttemptThatIsOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, attempt := range []int{0, 1, 2} {
		_, err := b.store.OpenNotebook(ctx, &b.run, attempt, 0, -1)
		require.Equal(t, nes.CodeNotFound, nes.CodeOf(err), attempt)
		_, err = b.store.OpenIndex(ctx, &b.run, attempt)
		require.Equal(t, nes.CodeNotFound, nes.CodeOf(err), attempt)
	}
	whole := journalOf(3, 20)
	b.put(t, "input.ipynb", input(3))
	b.append(t, 0, whole)
	b.put(t, "log.txt", []byte("그리고 the driver\n"))
	o := b.commit(t, done(len(whole)))
	b.store = open(t, b.bucket)

	var text strings.Builder
	for at := int64(0); ; {
		page, err := b.store.Log(ctx, &b.run, 1, at, 17)
		require.NoError(t, err)
		require.NotContains(t, page.Text, "\uFFFD")
		require.Equal(t, at+int64(len(page.Text)), page.Next)
		text.WriteString(page.Text)
		if at = page.Next; page.Ended {
			break
		}
	}
	require.Equal(t, b.object(t, o.Log), text.String())
	_, err := b.store.Log(ctx, &b.run, 1, -1, 0)
	require.Equal(t, nes.CodeInvalid, nes.CodeOf(err))
	page, err := b.store.Log(ctx, &b.run, 2, 7, 0)
	require.NoError(t, err)
	require.Equal(t, nes.LogPage{Attempt: 2, Next: 7, Ended: true}, page)

	r, err := b.store.OpenNotebook(ctx, &b.run, 1, 2, 5)
	require.NoError(t, err)
	defer r.Close()
	piece, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, b.object(t, o.Notebook)[2:7], string(piece))
	require.Equal(t, 3, b.store.Progress(&b.run).Done, "from the outcome")
	_, started := b.store.FirstCell(&b.run, 1)
	require.False(t, started, "of what is not at hand nothing is claimed")
}

// TestAJournalWithoutItsNotebook: the attempt's own was lost, and the fetched one takes its outputs.
func TestAJournalWithoutItsNotebook(t *testing.T) {
	t.Parallel()
	b := setup(t)
	whole := journalOf(1, 5)
	b.append(t, 0, whole[:40])
	b.append(t, 40, whole[40:])
	o := b.commit(t, done(len(whole)))
	require.Equal(t, 1, o.Progress.Done)
	require.Contains(t, b.object(t, o.Notebook), "cell 0 xxxxx")
}

// TestAResultThatIsTooLarge is dropped, and the run says so; the largest one is kept.
func TestAResultThatIsTooLarge(t *testing.T) {
	t.Parallel()
	for _, over := range []int{0, 1} {
		b := setup(t)
		b.put(t, "input.ipynb", input(1))
		result := `"` + strings.Repeat("x", maxResult-2+over) + `"`
		said := fmt.Sprintf(`{"v":1,"seq":1,"t":1,"k":"word","word":"result","value":%s}`+"\n", result)
		b.append(t, 0, []byte(said))
		o := b.commit(t, journal.Exit{V: 1, At: 1.8e9, Journal: int64(len(said))})
		require.Equal(t, nes.ReasonCompleted, o.Reason)
		require.Equal(t, over == 0, len(o.Result) == maxResult)
		require.Equal(t, over == 1, strings.Contains(o.Message, "it was dropped"), o.Message)
	}
}
