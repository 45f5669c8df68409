package announce

import (
	"context"
	"fmt"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
)

// current is what a tag holds, seen as an index.
type current struct {
	found bool
	// m is what the tag holds; wrapped is set where that is a plain image, which doc then wraps.
	m       Manifest
	wrapped bool
	doc     manifest.Index
}

// begin reads the tag for the first time, unless it was looked at already.
func (w *writer) begin(ctx context.Context) (err error) {
	if w.req.Seen != nil {
		w.seen = w.req.Seen.current
	} else if _, err = w.read(ctx); err != nil {
		return err
	}
	if w.req.New && w.seen.found {
		return fault.New(fault.Conflict, "creating '%s': %w", w.req.show(w.req.Tag), ErrExists)
	}
	return nil
}

// read reads the tag. One that is missing is an empty index of the request's
// media type. All that it takes from what was seen before is the work of
// reading the same once more.
func (w *writer) read(ctx context.Context) (current, error) {
	m, err := w.reg.Read(ctx, w.req.Tag, w.seen.m)
	switch {
	case fault.Is(err, fault.NotFound):
		w.seen = current{doc: manifest.New(w.req.MediaType)}
		return w.seen, nil
	case err != nil:
		return current{}, fmt.Errorf("reading tag '%s': %w", w.req.Tag, err)
	case w.seen.found && m.Digest == w.seen.m.Digest:
		return w.seen, nil
	}
	w.seen, err = asCurrent(ctx, w.reg, m, w.req)
	return w.seen, err
}

func asCurrent(ctx context.Context, reg Registry, m Manifest, req Request) (current, error) {
	kind := ""
	if m.MediaType.IsImage() {
		kind = artifactType(m.Raw)
	}
	switch {
	case m.MediaType.IsIndex():
		i, err := manifest.Parse(m.Raw)
		if err != nil {
			return current{}, fmt.Errorf("reading the index under tag '%s': %w", req.Tag, err)
		}
		return current{found: true, m: m, doc: i}, nil
	case m.MediaType.IsImage() && kind == "":
		return wrap(ctx, reg, m, req)
	case kind == "":
		kind = string(m.MediaType)
	}
	return current{}, fault.New(fault.Conflict, "appending to '%s': it holds '%s', neither an image nor an index", req.show(req.Tag), kind)
}

// wrap makes an index of the plain image under the tag.
func wrap(ctx context.Context, reg Registry, m Manifest, req Request) (current, error) {
	config, err := readConfig(ctx, reg, m)
	if err != nil {
		return current{}, fmt.Errorf("reading the image under tag '%s': %w", req.Tag, err)
	}
	d, ok, err := describeImage(m, config)
	if err != nil {
		return current{}, fmt.Errorf("reading the image under tag '%s': %w", req.Tag, err)
	}
	if !ok {
		if req.ExistingPlatform.IsZero() {
			return current{}, fault.Hint(fault.New(fault.Usage, "appending to '%s': it holds a plain image whose config names no platform", req.show(req.Tag)),
				"say which it is with --existing-platform, for example --existing-platform linux/amd64")
		}
		d.Platform = req.ExistingPlatform.V1()
	}
	i, err := manifest.New(req.MediaType).Add(d)
	if err != nil {
		return current{}, err
	}
	return current{found: true, m: m, wrapped: true, doc: i}, nil
}
