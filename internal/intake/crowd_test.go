package intake

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestACrowdOfFlights: while all stay, one piece of work runs under one key; where callers come and go at random, who
// stays gets its own key's value. Nothing runs once everybody has gone.
func TestACrowdOfFlights(t *testing.T) {
	t.Parallel()
	for _, hurried := range []bool{false, true} {
		t.Run(fmt.Sprint(hurried), func(t *testing.T) {
			t.Parallel()
			crowd(t, hurried)
		})
	}
}

func crowd(t *testing.T, hurried bool) {
	t.Helper()
	f := newFlights()
	const keys = 4
	var running [keys]atomic.Int64
	var all sync.WaitGroup
	failed := make(chan string, 1000)
	for i := range 400 {
		g := rand.New(rand.NewPCG(uint64(i), 3))
		key := g.IntN(keys)
		impatient := hurried && g.IntN(3) == 0
		all.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if impatient {
				go cancel()
			}
			value, err := f.do(ctx, fmt.Sprint(key), func(ctx context.Context) (string, error) {
				// A flight that everybody left may still be ending while the next one takes off.
				if running[key].Add(1) > 1 && !hurried {
					failed <- fmt.Sprintf("two at once for %d", key)
				}
				defer running[key].Add(-1)
				return fmt.Sprint("value of ", key), ctx.Err()
			})
			switch {
			case err == nil && value != fmt.Sprint("value of ", key):
				failed <- fmt.Sprintf("%d was given %q", key, value)
			case err != nil && !impatient:
				failed <- fmt.Sprintf("who stays is told %v", err)
			}
		})
	}
	all.Wait()
	select {
	case what := <-failed:
		require.Fail(t, what)
	default:
	}
	for i := range running {
		require.Zero(t, running[i].Load())
	}
	require.Empty(t, f.m, "no flight is kept")
}

// TestTheNextFlightAfterAnEndedOne begins anew, with a value of its own.
func TestTheNextFlightAfterAnEndedOne(t *testing.T) {
	t.Parallel()
	f := newFlights()
	for n := range 5 {
		value, err := f.do(t.Context(), "k", func(context.Context) (string, error) { return fmt.Sprint(n), nil })
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(n), value)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	began := make(chan struct{})
	_, err := f.do(gone, "k", func(ctx context.Context) (string, error) {
		close(began)
		<-ctx.Done()
		return "", ctx.Err()
	})
	require.ErrorIs(t, err, context.Canceled)
	<-began
	require.Empty(t, f.m)
}

// TestCacheIsSafeForMany: whatever is put and taken at the same time, its size is that of what it holds, and what comes out is what went in.
func TestCacheIsSafeForMany(t *testing.T) {
	t.Parallel()
	c := newCache(64 * overhead)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			g := rand.New(rand.NewPCG(uint64(i), 5))
			for range 500 {
				n := g.IntN(100)
				key := fmt.Sprint(n)
				if got, ok := c.get(key); ok && got.sha256 != key {
					t.Errorf("%s holds %s", key, got.sha256)
				}
				c.put(key, looked{sha256: key, notebook: make([]byte, n*64)})
			}
		})
	}
	all.Wait()
	require.Len(t, c.byKey, c.order.Len())
	total := int64(0)
	for e := c.order.Front(); e != nil; e = e.Next() {
		total += cost(e.Value.(*cached).value)
		require.Same(t, e, c.byKey[e.Value.(*cached).key])
	}
	require.Equal(t, total, c.size)
	require.LessOrEqual(t, c.size, c.most)
}
