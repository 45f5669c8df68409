package announce

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/pkg/manifest"
)

// Unite is what Append does where writers exclude one another, as under the
// lock of an OCI layout: it gives what the name shall hold instead of cur, nil for a name
// that holds nothing yet. There is nothing to announce, collect or repeat. config reads the
// config of a plain image that cur is; it is called for nothing else. Only Add, Remove, Extra, Drop, Fields,
// Annotations, Expect, ExistingPlatform and MediaType of the request count; Tag is what
// messages call the name. Errors: as Append.
func Unite(ctx context.Context, cur *Manifest, config func() ([]byte, error), req Request) (Result, error) {
	req.NoAnnounce = true
	req = req.withDefaults()
	reg := configOnly{read: config}
	brings, err := prepare(ctx, reg, req)
	if err != nil {
		return Result{}, err
	}
	if err := req.check(brings); err != nil {
		return Result{}, err
	}
	w, err := newWriter(reg, req, brings)
	if err != nil {
		return Result{}, err
	}
	before := current{doc: manifest.New(req.MediaType)}
	if cur != nil {
		if before, err = asCurrent(ctx, reg, *cur, req); err != nil {
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

// configOnly is a Registry of which nothing but one config can be read: where
// nothing is announced, nothing else is asked for.
type configOnly struct {
	Registry
	read func() ([]byte, error)
}

func (c configOnly) Blob(context.Context, v1.Hash) ([]byte, error) { return c.read() }
