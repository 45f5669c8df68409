package manifest

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/multipack/multipack/internal/fault"
)

// looks is how many entries are looked at at once; a registry client has a limit
// of its own below it.
const looks = 16

// Distant is an artifact whose own bytes are at hand while what they point at
// may be elsewhere, or nowhere any more.
type Distant interface {
	// Available makes sure that everything is to be had, without reading it;
	// fault.NotFound where it is not.
	Available(ctx context.Context) error
}

// Available asks a Distant artifact, and takes any other at its word.
func Available(ctx context.Context, a Artifact) error {
	if d, ok := a.(Distant); ok {
		return d.Available(ctx)
	}
	return nil
}

// Missing are the entries of idx, in its order, that are not to be had, or of
// which something is not. The error is that it could not be found out.
func Missing(ctx context.Context, idx v1.ImageIndex) ([]Entry, error) { return missing(ctx, idx, 0) }

func missing(ctx context.Context, idx v1.ImageIndex, depth int) ([]Entry, error) {
	if depth > deepest {
		return nil, fault.New(fault.Failed, "looking for what is missing: the index lies too deep in other indexes")
	}
	raw, err := idx.RawManifest()
	if err != nil {
		return nil, err
	}
	parsed, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	entries := parsed.Entries()
	gone := make([]bool, len(entries))
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(looks)
	for n, e := range entries {
		g.Go(func() (err error) {
			gone[n], err = isGone(inner, idx, e, depth)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var out []Entry
	for n, e := range entries {
		if gone[n] {
			out = append(out, e)
		}
	}
	return out, nil
}

func isGone(ctx context.Context, idx v1.ImageIndex, e Entry, depth int) (bool, error) {
	var a Artifact
	var err error
	if e.IsIndex {
		a, err = idx.ImageIndex(e.Descriptor.Digest)
	} else {
		a, err = idx.Image(e.Descriptor.Digest)
	}
	if err == nil {
		err = Available(ctx, a)
	}
	if fault.Is(err, fault.NotFound) {
		return true, nil
	}
	nested, ok := a.(v1.ImageIndex)
	if err != nil || !ok {
		return false, err
	}
	below, err := missing(ctx, nested, depth+1)
	return len(below) > 0, err
}
