package layer

import (
	"context"
	"errors"

	"github.com/multipack/multipack/internal/fault"
)

// ErrStale says that a cached digest was not what the layer turned out to have.
// The entry is gone and the layer is built by then: making the image again,
// with the same Maker, gives the right one.
var ErrStale = errors.New("the layer cache was wrong")

// failure is why a layer could not be built. To ask for its content again would
// end the same.
type failure struct{ error }

// Final tells whoever sends a layer somewhere that a further try is in vain.
func (failure) Final() bool { return true }

// Unwrap gives the reason.
func (f failure) Unwrap() error { return f.error }

// flight is one build, shared by everybody who asks for the same layer.
type flight struct {
	done   chan struct{}
	cancel context.CancelCauseFunc
	out    *built // set when done is closed
	err    error

	askers int           // guarded by Maker.mu
	stops  []func() bool // guarded by Maker.mu
}

func (f *flight) wait() (*built, error) {
	<-f.done
	return f.out, f.err
}

// join takes part in a build that is there already; nil when there is none.
func (m *Maker) join(ctx context.Context, id string) *flight {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.flights[id]
	if f != nil {
		m.ask(ctx, id, f)
	}
	return f
}

// ask counts one more asker: the build goes on until all their contexts ended.
// m.mu is held.
func (m *Maker) ask(ctx context.Context, id string, f *flight) {
	f.askers++
	f.stops = append(f.stops, context.AfterFunc(ctx, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if f.askers--; f.askers == 0 {
			f.cancel(context.Cause(ctx))
			m.forget(id, f)
		}
	}))
}

// forget makes the next asker start afresh. m.mu is held.
func (m *Maker) forget(id string, f *flight) {
	select {
	case <-f.done:
		if f.err == nil {
			return
		}
	default:
	}
	if m.flights[id] == f {
		delete(m.flights, id)
	}
}

// start is the running build of the spec, a new one unless somebody was quicker.
func (m *Maker) start(ctx context.Context, k key, s spec) (*flight, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, fault.New(fault.Failed, "building the layer of '%s': %w", s.name, errClosed)
	}
	if f := m.flights[k.id]; f != nil {
		m.ask(ctx, k.id, f)
		return f, nil
	}
	build, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	f := &flight{done: make(chan struct{}), cancel: cancel}
	m.flights[k.id] = f
	m.ask(ctx, k.id, f)
	m.running.Add(1)
	go m.run(build, k, s, f)
	return f, nil
}

// run builds, and tells everybody.
func (m *Maker) run(ctx context.Context, k key, s spec, f *flight) {
	defer m.running.Done()
	out, err := m.build(ctx, s)
	if err != nil {
		kind, ok := fault.KindOf(err)
		if !ok {
			kind = fault.Failed
		}
		if ctx.Err() != nil {
			kind, err = fault.Interrupted, context.Cause(ctx)
		}
		err = failure{fault.New(kind, "building the layer of '%s': %w", s.name, err)}
	} else if m.opts.Cache != nil && k.durable {
		m.opts.Cache.Put(k.id, out.Known)
	}
	m.mu.Lock()
	f.out, f.err = out, err
	close(f.done)
	stops := f.stops
	f.stops = nil
	if err != nil {
		m.forget(k.id, f)
	}
	m.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
	f.cancel(nil)
}
