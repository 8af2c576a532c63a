package intake

import (
	"context"
	"sync"
)

// flights lets callers who want the same thing at the same time share one piece of work.
// The work is called off when the last of them has gone, not when the first has.
type flights struct {
	mu sync.Mutex
	m  map[string]*flight
}

type flight struct {
	waiting int
	cancel  context.CancelFunc
	done    chan struct{}
	value   string
	err     error
}

// do runs work, or joins the one under the same key that runs already.
func (f *flights) do(ctx context.Context, key string, work func(context.Context) (string, error)) (string, error) {
	one := f.join(ctx, key, work)
	select {
	case <-one.done:
		return one.value, one.err
	case <-ctx.Done():
		f.leave(key, one)
		return "", withReason(ctx.Err(), "")
	}
}

func (f *flights) join(ctx context.Context, key string, work func(context.Context) (string, error)) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one := f.m[key]; one != nil {
		one.waiting++
		return one
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	one := &flight{waiting: 1, cancel: cancel, done: make(chan struct{})}
	f.m[key] = one
	go func() {
		defer cancel()
		one.value, one.err = work(ctx)
		f.mu.Lock()
		if f.m[key] == one {
			delete(f.m, key)
		}
		f.mu.Unlock()
		close(one.done)
	}()
	return one
}

// leave waits, when the last caller goes, until the work has ended: nothing goes on behind a caller's back.
func (f *flights) leave(key string, one *flight) {
	f.mu.Lock()
	one.waiting--
	last := one.waiting == 0
	if last && f.m[key] == one {
		delete(f.m, key)
	}
	f.mu.Unlock()
	if last {
		one.cancel()
		<-one.done
	}
}
