package storagetest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
)

func createOnly(t *testing.T, b storage.Bucket) {
	create := storage.PutOptions{IfGeneration: storage.CreateOnly()}
	_, err := b.Put(t.Context(), "k", strings.NewReader("first"), create)
	require.NoError(t, err)
	_, err = b.Put(t.Context(), "k", strings.NewReader("second"), create)
	requireCode(t, nes.CodeConflict, err)
	require.Equal(t, "first", get(t, b, "k"))
	require.NoError(t, b.Delete(t.Context(), "k"))
	_, err = b.Put(t.Context(), "k", strings.NewReader("third"), create)
	require.NoError(t, err)
	require.Equal(t, "third", get(t, b, "k"))
}

func compareAndSwap(t *testing.T, b storage.Bucket) {
	wrong := int64(12345)
	_, err := b.Put(t.Context(), "dir/k", strings.NewReader("x"), storage.PutOptions{IfGeneration: &wrong})
	requireCode(t, nes.CodeConflict, err)
	requireEmpty(t, b)
	first := put(t, b, "dir/k", "1")
	second, err := b.Put(t.Context(), "dir/k", strings.NewReader("2"), storage.PutOptions{IfGeneration: &first.Generation})
	require.NoError(t, err)
	_, err = b.Put(t.Context(), "dir/k", strings.NewReader("3"), storage.PutOptions{IfGeneration: &first.Generation})
	requireCode(t, nes.CodeConflict, err)
	require.Equal(t, "2", get(t, b, "dir/k"))
	require.NoError(t, b.Delete(t.Context(), "dir/k"))
	_, err = b.Put(t.Context(), "dir/k", strings.NewReader("4"), storage.PutOptions{IfGeneration: &second.Generation})
	requireCode(t, nes.CodeConflict, err)
}

// together starts n functions at the same moment and waits for them.
func together(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	start := make(chan struct{})
	for i := range n {
		g.Go(func() error {
			<-start
			return f(ctx, i)
		})
	}
	close(start)
	return g.Wait()
}

func creators(t *testing.T, b storage.Bucket) {
	var mu sync.Mutex
	var winners []string
	err := together(t.Context(), 50, func(ctx context.Context, i int) error {
		me := strconv.Itoa(i)
		_, err := b.Put(ctx, "dir/one", strings.NewReader(me), storage.PutOptions{IfGeneration: storage.CreateOnly()})
		if nes.CodeOf(err) == nes.CodeConflict {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		winners = append(winners, me)
		return err
	})
	require.NoError(t, err)
	require.Len(t, winners, 1)
	require.Equal(t, winners[0], get(t, b, "dir/one"))
}

// increments: 10 writers add 1 ten times each by compare and swap.
func increments(t *testing.T, b storage.Bucket) {
	put(t, b, "counter", "0")
	err := together(t.Context(), 10, func(ctx context.Context, _ int) error {
		for done := 0; done < 10; {
			ok, err := increment(ctx, b)
			if err != nil {
				return err
			}
			if ok {
				done++
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, "100", get(t, b, "counter"))
}

func increment(ctx context.Context, b storage.Bucket) (bool, error) {
	o, r, err := b.Open(ctx, "counter", 0, -1)
	if err != nil {
		return false, err
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		return false, err
	}
	n, err := strconv.Atoi(string(text))
	if err != nil {
		return false, err
	}
	_, err = b.Put(ctx, "counter", strings.NewReader(strconv.Itoa(n+1)), storage.PutOptions{IfGeneration: &o.Generation})
	if nes.CodeOf(err) == nes.CodeConflict {
		return false, nil
	}
	return err == nil, err
}

func generations(t *testing.T, b storage.Bucket) {
	var mu sync.Mutex
	seen := map[int64]bool{}
	err := together(t.Context(), 20, func(ctx context.Context, _ int) error {
		for range 10 {
			o, err := b.Put(ctx, "k", strings.NewReader("same"), storage.PutOptions{})
			if err != nil {
				return err
			}
			mu.Lock()
			seen[o.Generation] = true
			mu.Unlock()
		}
		return nil
	})
	require.NoError(t, err)
	require.Len(t, seen, 200)
	stat, err := b.Stat(t.Context(), "k")
	require.NoError(t, err)
	require.True(t, seen[stat.Generation])
}

// atomic: readers see one writer's bytes alone, also while the key becomes the beginning of others.
func atomic(t *testing.T, b storage.Bucket) {
	const size = 1 << 18
	put(t, b, "dir/k", strings.Repeat("a", size))
	err := together(t.Context(), 12, func(ctx context.Context, i int) error {
		for round := range 15 {
			if i < 3 {
				text := strings.Repeat(string(rune('a'+(i+3*round)%26)), size)
				if _, err := b.Put(ctx, "dir/k", strings.NewReader(text), storage.PutOptions{}); err != nil {
					return err
				}
				continue
			}
			if i == 3 {
				below := fmt.Sprintf("dir/k/%d/below", round)
				if _, err := b.Put(ctx, below, strings.NewReader("x"), storage.PutOptions{}); err != nil {
					return err
				}
				if err := b.Delete(ctx, below); err != nil {
					return err
				}
				continue
			}
			if err := uniform(ctx, b, "dir/k", size); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
}

// uniform reads an object and wants it whole and of one letter.
func uniform(ctx context.Context, b storage.Bucket, key string, size int) error {
	o, r, err := b.Open(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if o.Size != int64(size) || len(text) != size || strings.Trim(string(text), string(text[:1])) != "" {
		return fmt.Errorf("torn: %d bytes that begin with %q and end with %q", len(text), text[:1], text[len(text)-1:])
	}
	return nil
}

// source gives size bytes that differ from block to block, and watches memory while it does.
type source struct {
	left, block int64
	sum         hash.Hash
	heap        uint64 // the largest seen
}

// Read fills p.
func (s *source) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), s.left))
	s.block++
	for i := range p[:n] {
		p[i] = byte(int64(i)*31 + s.block)
	}
	s.sum.Write(p[:n])
	s.left -= int64(n)
	if s.block%256 == 0 {
		s.heap = max(s.heap, heap())
	}
	return n, nil
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func large(t *testing.T, b storage.Bucket) {
	if testing.Short() {
		t.Skip("200 MB are not written in short mode")
	}
	const size, most = 200 << 20, 64 << 20
	before := heap()
	s := &source{left: size, sum: sha256.New()}
	o, err := b.Put(t.Context(), "large", s, storage.PutOptions{})
	require.NoError(t, err)
	require.EqualValues(t, size, o.Size)
	require.Less(t, s.heap, before+most, "writing holds the object in memory")

	_, r, err := b.Open(t.Context(), "large", 0, -1)
	require.NoError(t, err)
	sum := sha256.New()
	peak := uint64(0)
	for copied := int64(0); copied < size; {
		n, err := io.CopyN(sum, r, 8<<20)
		require.NoError(t, err)
		copied += n
		peak = max(peak, heap())
	}
	require.NoError(t, r.Close())
	require.Less(t, peak, before+most, "reading holds the object in memory")
	require.Equal(t, s.sum.Sum(nil), sum.Sum(nil))
}
