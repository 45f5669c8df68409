package announce

import (
	"context"

	"github.com/multipack/multipack/pkg/manifest"
)

// Unite is what Append does where writers exclude one another, as under the
// lock of an OCI layout: it gives what the name shall hold instead of cur, nil for a name
// that holds nothing yet. There is nothing to announce, collect or repeat. blobs reads the
// config of a plain image; it is asked for nothing else. Only Add, Remove, Drop,
// Annotations, Expect, ExistingPlatform and MediaType of the request count. Errors: as Append.
func Unite(ctx context.Context, cur *Manifest, blobs Registry, req Request) (Result, error) {
	req.NoAnnounce = true
	req = req.withDefaults()
	brings, err := prepare(ctx, blobs, req)
	if err != nil {
		return Result{}, err
	}
	if err := req.check(brings); err != nil {
		return Result{}, err
	}
	w, err := newWriter(blobs, req, brings)
	if err != nil {
		return Result{}, err
	}
	before := current{doc: manifest.New(req.MediaType)}
	if cur != nil {
		if before, err = asCurrent(ctx, blobs, *cur, req); err != nil {
			return Result{}, err
		}
	}
	if err := w.absent(before, nil); err != nil {
		return Result{}, err
	}
	next, _, err := w.unite(before, w.override(nil))
	if err != nil {
		return Result{}, err
	}
	after := current{doc: next}
	if after.m, err = rendered(next); err != nil {
		return Result{}, err
	}
	w.req.NoAnnounce = false // nobody else was at it
	return w.result(view{cur: after}, 1), nil
}
