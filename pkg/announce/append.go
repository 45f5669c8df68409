package announce

import (
	"context"
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
)

// Append announces what the request brings and withdraws what it removes, then
// reads, unites and writes until the tag holds every announcement. When it
// returns without an error, the tag was seen to hold the request's additions,
// or what another writer announced for the same platform later.
//
// Errors: fault.Usage and fault.NotFound before anything is written;
// fault.Denied (401, 403); fault.Conflict where a tag is immutable or belongs to something
// else, or when the limit of rounds is reached. After an error in the middle the
// announcements may be there; another append or Settle completes the work.
func Append(ctx context.Context, reg Registry, req Request) (Result, error) {
	p, err := Begin(ctx, reg, req)
	if err != nil {
		return Result{}, err
	}
	return p.Append(ctx)
}

// Begin is the first half of an Append, all that can be refused before anything
// is written. It only reads, and what the request adds need not be in the
// repository yet, where manifests and configs are given.
func Begin(ctx context.Context, reg Registry, req Request) (*Pending, error) {
	req = req.withDefaults()
	brings, err := prepare(ctx, reg, req)
	if err != nil {
		return nil, err
	}
	if err := req.check(brings); err != nil {
		return nil, err
	}
	w, err := newWriter(reg, req, brings)
	if err != nil {
		return nil, err
	}
	if err := w.begin(ctx); err != nil {
		return nil, err
	}
	puts, err := w.plan(ctx, w.seen)
	if err != nil {
		return nil, err
	}
	return &Pending{writer: w, puts: puts}, nil
}

// Pending is an append that was checked and has written nothing yet.
type Pending struct {
	writer *writer
	puts   []announcement
}

// Append does the rest, once; by then the content is in the repository.
func (p *Pending) Append(ctx context.Context) (Result, error) {
	if err := p.writer.put(ctx, p.puts); err != nil {
		return Result{}, err
	}
	return p.writer.converge(ctx)
}

// Settle completes the index under the tag from the announcements that are
// there: what a last job does, whether the others lived or died. Only Tag, Expect,
// ExistingPlatform, MediaType, Limit, Jitter and Jobs of the request count. Where there
// is neither a tag nor an announcement: fault.NotFound.
func Settle(ctx context.Context, reg Registry, req Request) (Result, error) {
	req = req.withoutWork().withDefaults()
	if err := req.check(nil); err != nil {
		return Result{}, err
	}
	w, err := newWriter(reg, req, nil)
	if err != nil {
		return Result{}, err
	}
	w.settling, w.col.all = true, true
	return w.converge(ctx)
}

// writer is one run of the protocol.
type writer struct {
	reg    Registry
	req    Request
	brings []bring
	marker Manifest
	col    collector
	// own are the announcement tags that this writer wrote or found to be its
	// own already, with the digest that they then held; order is theirs as written.
	own   map[string]v1.Hash
	order []string
	// settling writes only what announcements say.
	settling bool
	seen     current        // what the tag held when it was read or written last
	base     manifest.Index // what the tag held before the first write
	wrote    int            // writes of the tag
	last     state          // of the latest round, for the error at the limit
	notes    notes
}

// state is what one round saw.
type state struct {
	before, after v1.Hash // digests around the latest write
	stale         bool    // the tag was read back as it was before the write
	unlisted      bool    // the tag listing lacks an announcement that is there
}

func newWriter(reg Registry, req Request, brings []bring) (*writer, error) {
	marker, err := withdrawnMarker()
	if err != nil {
		return nil, err
	}
	return &writer{
		reg: reg, req: req, brings: brings, marker: marker, own: map[string]v1.Hash{},
		col: collector{reg: reg, tag: req.Tag, jobs: req.Jobs, marker: marker.Digest, known: map[string]claim{}, fresh: map[string]claim{}},
	}, nil
}

// converge repeats rounds until one finds nothing to change.
func (w *writer) converge(ctx context.Context) (Result, error) {
	verifying := false // the round follows this writer's own write
	for round := 1; round <= w.req.Limit; round++ {
		if round > 1 && !verifying {
			if err := pause(ctx, w.req.Jitter(round)); err != nil {
				return Result{}, fault.New(fault.Interrupted, "appending to '%s': %w", w.req.show(w.req.Tag), err)
			}
		}
		v, err := w.look(ctx)
		if err != nil {
			return Result{}, err
		}
		if v.settled {
			return w.result(v, round), nil
		}
		if verifying || v.same {
			// Somebody else was at it, or the registry lags: wait, look again.
			verifying = false
			continue
		}
		if verifying, err = w.write(ctx, v); err != nil {
			return Result{}, err
		}
	}
	return Result{}, w.limitError()
}

// view is what one round found, and what it would write.
type view struct {
	cur     current
	claims  []claim
	next    manifest.Index
	body    Manifest // of next
	changed []claim
	// same: a write would change nothing. settled: and nothing can be missing.
	same, settled bool
}

// look reads the tag, then the announcements (in this order: an announcement
// that is made later has a writer that looks later), and unites them.
func (w *writer) look(ctx context.Context) (view, error) {
	cur, err := w.read(ctx)
	if err != nil {
		return view{}, err
	}
	w.last.stale = w.wrote > 0 && w.last.before != w.last.after && cur.m.Digest == w.last.before
	claims, listed, err := w.collect(ctx, cur)
	if err != nil {
		return view{}, err
	}
	w.last.unlisted = !listed
	if w.settling && !cur.found && len(claims) == 0 {
		return view{}, fault.New(fault.NotFound, "settling '%s': there is neither such a tag nor an announcement for it", w.req.show(w.req.Tag))
	}
	v := view{cur: cur, claims: claims}
	if v.next, v.changed, err = w.unite(cur, claims); err != nil {
		return view{}, err
	}
	if v.body, err = rendered(v.next); err != nil {
		return view{}, err
	}
	have, err := rendered(cur.doc)
	if err != nil {
		return view{}, err
	}
	v.same = cur.found && v.body.Digest == have.Digest
	if cur.wrapped && len(w.brings) > 0 {
		v.same = false // whoever appends wants an index, even where the plain image is the same one
	}
	v.settled = listed && v.same
	return v, nil
}

// write replaces the tag by the union, unless it moved since it was read.
func (w *writer) write(ctx context.Context, v view) (wrote bool, err error) {
	h, err := w.reg.Head(ctx, w.req.Tag)
	switch {
	case fault.Is(err, fault.NotFound):
		h = v1.Hash{}
	case err != nil:
		return false, fmt.Errorf("reading tag '%s': %w", w.req.Tag, err)
	}
	if h != v.cur.m.Digest {
		return false, nil
	}
	if err := w.reg.Put(ctx, w.req.Tag, v.body.Raw, v.body.MediaType); err != nil {
		return false, writeError(w.req.Tag, err)
	}
	w.wrote++
	w.seen = current{found: true, m: v.body, doc: v.next}
	w.last.before, w.last.after = v.cur.m.Digest, v.body.Digest
	w.notes.collected(w, v.changed)
	return true, nil
}

func pause(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
