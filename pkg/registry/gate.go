package registry

import (
	"context"
	"slices"
	"sync"
)

// gate limits the exchanges in flight. Places are given in the order of
// asking.
//
// An upload holds its place while its body is opened, and opening may itself
// need exchanges: a blob that is copied from one registry to another. With
// every place taken by such uploads nothing could move, so each upload that is
// opening its body brings a ticket, which lets one read in beyond the limit.
type gate struct {
	mu      sync.Mutex
	limit   int
	busy    int
	opening int
	tickets int
	queue   []*waiter
}

type waiter struct {
	read     bool
	ticket   bool
	admitted bool
	ready    chan struct{}
}

func newGate(limit int) *gate { return &gate{limit: limit} }

// enter waits for a place, or for the end of ctx. The function it returns gives
// the place back and must be called once.
func (g *gate) enter(ctx context.Context, read bool) (leave func(), err error) {
	w := &waiter{read: read, ready: make(chan struct{})}
	g.mu.Lock()
	g.queue = append(g.queue, w)
	g.admit()
	g.mu.Unlock()
	select {
	case <-w.ready:
		return func() { g.leave(w) }, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	admitted := w.admitted
	if !admitted {
		g.queue = slices.DeleteFunc(g.queue, func(q *waiter) bool { return q == w })
	}
	g.mu.Unlock()
	if admitted {
		g.leave(w)
	}
	return nil, ctx.Err()
}

// open brings a ticket for as long as an upload opens its body. The function it
// returns takes back what was not used; it may be called more than once.
func (g *gate) open() (opened func()) {
	g.mu.Lock()
	g.opening++
	g.tickets++
	g.admit()
	g.mu.Unlock()
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.opening--
		g.tickets = min(g.tickets, g.opening)
	})
}

func (g *gate) leave(w *waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if w.ticket {
		g.tickets = min(g.tickets+1, g.opening)
	} else {
		g.busy--
	}
	g.admit()
}

// admit lets in whoever may; the lock is held.
func (g *gate) admit() {
	g.queue = slices.DeleteFunc(g.queue, func(w *waiter) bool {
		switch {
		case g.busy < g.limit:
			g.busy++
		case w.read && g.tickets > 0:
			g.tickets--
			w.ticket = true
		default:
			return false
		}
		w.admitted = true
		close(w.ready)
		return true
	})
}
