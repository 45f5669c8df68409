package registry

import (
	"context"
	"errors"
	"sync"
)

// flight runs one call per key at a time; who comes meanwhile shares its
// result. A call that ended because its own caller gave up is not shared: one of
// those who wait starts over.
type flight[V any] struct {
	mu    sync.Mutex
	calls map[string]*flightCall[V]
}

type flightCall[V any] struct {
	done chan struct{}
	val  V
	err  error
	// gaveUp: the caller's context ended, which says nothing to the others.
	gaveUp bool
}

// do is fn's result; shared reports that another caller's fn gave it.
func (f *flight[V]) do(ctx context.Context, key string, fn func() (V, error)) (val V, shared bool, err error) {
	for {
		f.mu.Lock()
		call, running := f.calls[key]
		if !running {
			call = &flightCall[V]{done: make(chan struct{})}
			if f.calls == nil {
				f.calls = make(map[string]*flightCall[V])
			}
			f.calls[key] = call
		}
		f.mu.Unlock()
		if !running {
			f.run(ctx, key, call, fn)
			return call.val, false, call.err
		}
		select {
		case <-call.done:
		case <-ctx.Done():
			return val, true, ctx.Err()
		}
		if !call.gaveUp || ctx.Err() != nil {
			return call.val, true, call.err
		}
	}
}

func (f *flight[V]) run(ctx context.Context, key string, call *flightCall[V], fn func() (V, error)) {
	call.err = errors.New("the call did not return")
	defer func() {
		f.mu.Lock()
		delete(f.calls, key)
		f.mu.Unlock()
		close(call.done)
	}()
	call.val, call.err = fn()
	call.gaveUp = call.err != nil && ctx.Err() != nil
}
