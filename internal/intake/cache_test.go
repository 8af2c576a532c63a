package intake

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

func notebookOf(size int) looked { return looked{notebook: make([]byte, size-overhead)} }

func TestCacheDropsWhatWasUsedLongestAgo(t *testing.T) {
	t.Parallel()
	const entry = 4 << 10
	c := newCache(3 * entry)
	for _, key := range []string{"a", "b", "c"} {
		c.put(key, notebookOf(entry))
	}
	_, ok := c.get("a") // now b is the oldest
	require.True(t, ok)
	c.put("d", notebookOf(entry))
	for key, there := range map[string]bool{"a": true, "b": false, "c": true, "d": true} {
		_, ok := c.get(key)
		require.Equal(t, there, ok, key)
	}
	require.EqualValues(t, 3*entry, c.size)
}

func TestCacheMakesRoomForALargeOne(t *testing.T) {
	t.Parallel()
	c := newCache(16 << 10)
	for i := range 8 {
		c.put(fmt.Sprint(i), notebookOf(2<<10))
	}
	c.put("large", notebookOf(8<<10))
	require.Len(t, c.byKey, 5, "four small ones made room")
	_, ok := c.get("3")
	require.False(t, ok)
	_, ok = c.get("4")
	require.True(t, ok)
	require.EqualValues(t, 16<<10, c.size)
}

func TestCacheKeepsNoGiantAndNothingTwice(t *testing.T) {
	t.Parallel()
	c := newCache(16 << 10)
	c.put("small", looked{sha256: "first"})
	c.put("giant", notebookOf(8<<10+1))
	_, ok := c.get("giant")
	require.False(t, ok, "one notebook must not drive out all others")
	c.put("small", looked{sha256: "second"})
	got, _ := c.get("small")
	require.Equal(t, "first", got.sha256, "a bundle never changes")
	require.EqualValues(t, overhead, c.size)
	require.Equal(t, 1, c.order.Len())
}

// TestCacheStaysWithinItsSize when many use it at once.
func TestCacheStaysWithinItsSize(t *testing.T) {
	t.Parallel()
	const most = 20 << 10
	c := newCache(most)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 500 {
				key := fmt.Sprint((worker*7 + i) % 50)
				if v, ok := c.get(key); ok && v.sha256 != key {
					panic("another's notebook")
				}
				v := notebookOf(overhead + i%(4<<10))
				v.sha256 = key
				c.put(key, v)
			}
		})
	}
	wg.Wait()
	size := int64(0)
	for e := c.order.Front(); e != nil; e = e.Next() {
		one := e.Value.(*cached)
		require.Same(t, e, c.byKey[one.key])
		size += cost(one.value)
	}
	require.Equal(t, size, c.size)
	require.LessOrEqual(t, c.size, int64(most))
	require.Len(t, c.byKey, c.order.Len())
}

func newFlights() *flights { return &flights{m: map[string]*flight{}} }

// TestAFlightGoesOnWithoutWhoBeganIt: the work ends with the last caller, not with the first.
func TestAFlightGoesOnWithoutWhoBeganIt(t *testing.T) {
	t.Parallel()
	f := newFlights()
	ctx, leave := context.WithCancel(t.Context())
	began, finish := make(chan struct{}), make(chan struct{})
	work := func(ctx context.Context) (string, error) {
		close(began)
		select {
		case <-finish:
			return "done", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	first := make(chan error, 1)
	go func() { _, err := f.do(ctx, "k", work); first <- err }()
	<-began
	second := f.join(t.Context(), "k", func(context.Context) (string, error) { panic("it runs already") })
	leave()
	require.ErrorIs(t, <-first, context.Canceled)
	close(finish)
	<-second.done
	require.NoError(t, second.err)
	require.Equal(t, "done", second.value)
	require.Empty(t, f.m)
}

func TestTheLastToLeaveEndsTheFlight(t *testing.T) {
	t.Parallel()
	f := newFlights()
	ctx, leave := context.WithCancel(t.Context())
	var ended atomic.Bool
	began := make(chan struct{})
	work := func(ctx context.Context) (string, error) {
		close(began)
		<-ctx.Done()
		ended.Store(true)
		return "", ctx.Err()
	}
	go func() { <-began; leave() }()
	_, err := f.do(ctx, "k", work)
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, ended.Load(), "nothing goes on behind a caller's back")
	require.Empty(t, f.m)
	value, err := f.do(t.Context(), "k", func(context.Context) (string, error) { return "anew", nil })
	require.NoError(t, err)
	require.Equal(t, "anew", value)
}

// TestAFailureIsSharedAndNotKept: all who waited are told, and the next one tries again.
func TestAFailureIsSharedAndNotKept(t *testing.T) {
	t.Parallel()
	f := newFlights()
	down := errors.New("down")
	go1 := make(chan struct{})
	var runs atomic.Int64
	work := func(context.Context) (string, error) { runs.Add(1); <-go1; return "", down }
	waiting := []*flight{f.join(t.Context(), "k", work), f.join(t.Context(), "k", work), f.join(t.Context(), "k", work)}
	other := f.join(t.Context(), "other", func(context.Context) (string, error) { return "x", nil })
	<-other.done
	require.NoError(t, other.err, "another key waits for nobody")
	close(go1)
	for _, one := range waiting {
		<-one.done
		require.ErrorIs(t, one.err, down)
	}
	require.EqualValues(t, 1, runs.Load())
	_, err := f.do(t.Context(), "k", func(context.Context) (string, error) { return "", nil })
	require.NoError(t, err)
}

// TestTheWorkDoesNotInheritADeadline: it belongs to all who will join.
func TestTheWorkDoesNotInheritADeadline(t *testing.T) {
	t.Parallel()
	f := newFlights()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	one := f.join(gone, "k", func(ctx context.Context) (string, error) { return "x", ctx.Err() })
	<-one.done
	require.NoError(t, one.err)
}

func TestErrorsOfStorageHaveTheirReason(t *testing.T) {
	t.Parallel()
	require.NoError(t, ignoreConflict(nil))
	require.NoError(t, ignoreConflict(nes.Errorf(nes.CodeConflict, "it is there")), "somebody stored the same archive first")
	require.Equal(t, nes.ReasonStorageUnavailable, nes.ReasonOf(ignoreConflict(nes.Errorf(nes.CodeUnavailable, "down"))))
	require.Equal(t, nes.ReasonInternal, nes.ReasonOf(unreadable(errors.New("x"))))
}
