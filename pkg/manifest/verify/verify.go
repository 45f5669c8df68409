package verify

import (
	"bytes"
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
)

// parallel is how many manifests or blobs are looked at at once; a registry
// client has a limit of its own below it.
const parallel = 16

// deepest bounds indexes within indexes; real ones have one or two levels.
const deepest = 16

// Options say how content is looked at.
type Options struct {
	// Size asks whether a layer is there, and for its size in bytes, without
	// reading it. known is false where that cannot be told (size too where it is
	// negative): then the layer is read. Errors: fault.NotFound where it is not
	// there. Nil reads all layers. What is read is held to its digest.
	Size func(ctx context.Context, l v1.Layer) (size int64, known bool, err error)
	// Corrupt reports whether an error says that content is not what its digest
	// or descriptor promises; any other failure to read ends the check.
	Corrupt func(error) bool
}

// Artifact checks an image, or an index and everything below it. What is wrong
// is in the report; the error is that something could not be checked.
func Artifact(ctx context.Context, a manifest.Artifact, o Options) (Report, error) {
	if o.Corrupt == nil {
		o.Corrupt = func(error) bool { return false }
	}
	c := &check{o: o}
	r := Report{Entries: []Entry{}}
	mt, err := a.MediaType()
	if err != nil {
		return r, err
	}
	r.MediaType = string(mt)
	if r.Digest, err = a.Digest(); err != nil {
		return r, err
	}
	var items []*item
	if idx, ok := a.(v1.ImageIndex); ok {
		items, err = c.index(ctx, idx)
	} else {
		self := &item{open: func() (manifest.Artifact, error) { return a, nil }}
		self.entry = Entry{MediaType: r.MediaType, Digest: r.Digest}
		err, items = c.open(ctx, self, 0), []*item{self}
	}
	if err != nil {
		return r, err
	}
	items = flat(items)
	if err := c.blobs(ctx, items); err != nil {
		return r, err
	}
	for _, it := range items {
		it.report()
		r.Entries = append(r.Entries, it.entry)
	}
	return r, nil
}

// check is one run.
type check struct{ o Options }

// item is one manifest that is checked.
type item struct {
	entry Entry
	// source is the index's entry; nil for an artifact that is an image.
	source *manifest.Entry
	open   func() (manifest.Artifact, error)
	// inner are the entries of a nested index.
	inner  []*item
	layers []*layer
}

func (it *item) find(kind Kind, h v1.Hash, format string, args ...any) {
	it.entry.Findings = append(it.entry.Findings, Finding{Kind: kind, Digest: h, Message: fmt.Sprintf(format, args...)})
}

// index opens the entries of idx, in parallel.
func (c *check) index(ctx context.Context, idx v1.ImageIndex) ([]*item, error) {
	items, err := entries(idx, v1.Hash{})
	if err != nil {
		return nil, err
	}
	return items, each(ctx, len(items), func(ctx context.Context, n int) error { return c.open(ctx, items[n], 0) })
}

// entries are those of idx, none of them opened yet.
func entries(idx v1.ImageIndex, within v1.Hash) ([]*item, error) {
	raw, err := idx.RawManifest()
	if err != nil {
		return nil, err
	}
	parsed, err := manifest.Parse(raw)
	if err != nil {
		return nil, err
	}
	items := make([]*item, parsed.Len())
	for n, e := range parsed.Entries() {
		h := e.Descriptor.Digest
		it := &item{source: &e, open: func() (manifest.Artifact, error) {
			if e.IsIndex {
				return idx.ImageIndex(h)
			}
			return idx.Image(h)
		}}
		it.entry = Entry{MediaType: string(e.Descriptor.MediaType), Digest: h, Attests: e.AttestationOf, Within: within,
			Blobs: 1, Bytes: e.Descriptor.Size}
		if e.Descriptor.Platform != nil {
			it.entry.Platform = e.Platform.String()
		}
		items[n] = it
	}
	compare(items)
	return items, nil
}

// open reads the manifest of one entry, and what is below an index.
func (c *check) open(ctx context.Context, it *item, depth int) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if depth > deepest {
		return fault.New(fault.Failed, "checking '%s': the index lies too deep in other indexes", it.entry.Digest)
	}
	a, err := it.open()
	if err != nil {
		return c.blame(it, it.entry.Digest, "the manifest", err)
	}
	if err := c.manifest(it, a); err != nil {
		return err
	}
	switch a := a.(type) {
	case v1.ImageIndex:
		if it.inner, err = entries(a, it.entry.Digest); err != nil {
			return err
		}
		for _, inner := range it.inner {
			if err := c.open(ctx, inner, depth+1); err != nil {
				return err
			}
		}
		return nil
	case v1.Image:
		return c.image(it, a)
	}
	return fault.New(fault.Failed, "checking '%s': %T is neither an image nor an index", it.entry.Digest, a)
}

// manifest compares a manifest with its descriptor.
func (c *check) manifest(it *item, a manifest.Artifact) error {
	raw, err := a.RawManifest()
	if err != nil {
		return c.blame(it, it.entry.Digest, "the manifest", err)
	}
	h, size, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	if h != it.entry.Digest {
		it.find(Corrupt, it.entry.Digest, "the manifest's digest is '%s'", h)
	}
	if it.source == nil {
		it.entry.Blobs, it.entry.Bytes = 1, size
		return nil
	}
	if size != it.source.Descriptor.Size {
		it.find(Corrupt, it.entry.Digest, "the manifest has %d bytes, the index says %d", size, it.source.Descriptor.Size)
	}
	mt, err := a.MediaType()
	if err != nil {
		return err
	}
	if mt != it.source.Descriptor.MediaType {
		it.find(Corrupt, it.entry.Digest, "the manifest is of type '%s', the index says '%s'", mt, it.source.Descriptor.MediaType)
	}
	return nil
}

// blame makes a finding of a failure to read what is missing or corrupt; any
// other failure is given back.
func (c *check) blame(it *item, h v1.Hash, what string, err error) error {
	switch {
	case fault.Is(err, fault.NotFound):
		it.find(Missing, h, "%s '%s' is not there", what, h)
	case c.o.Corrupt(err):
		it.find(Corrupt, h, "%s '%s': %s", what, h, err)
	default:
		return fmt.Errorf("checking '%s': %w", it.entry.Digest, err)
	}
	return nil
}

// flat is items with the entries of nested indexes behind those.
func flat(items []*item) []*item {
	var out []*item
	for _, it := range items {
		out = append(append(out, it), flat(it.inner)...)
	}
	return out
}

// each runs fn for 0 … n-1, a bounded number at once; the first error ends it.
func each(ctx context.Context, n int, fn func(ctx context.Context, n int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i := range n {
		g.Go(func() error { return fn(ctx, i) })
	}
	return g.Wait()
}
