package publish

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
)

// tree is an artifact with everything below it. Manifests and blobs that occur
// several times are one node and one blob.
type tree struct {
	root *node
	gate gate
	// detail has what is below manifests that are there resolved too.
	detail bool

	mu    sync.Mutex
	nodes map[v1.Hash]*node
	blobs map[v1.Hash]*blob
}

// node is one manifest.
type node struct {
	desc     v1.Descriptor // media type, digest, size; platform as the first entry has it
	open     func() (manifest.Artifact, error)
	artifact manifest.Artifact
	raw      []byte
	// children are an index's entries in order; config and layers are an image's.
	children []child
	config   *blob
	layers   []*blob
	// declared is the platform of an image's config. It is read only where no
	// entry says the platform and the config need not be fetched for it.
	declared platform.Platform
	action   Action
	// there is set where the destination had the manifest, and so all below it.
	there bool

	found, grown, sent once
}

// child is one entry of an index: its descriptor as it stands there, and the
// manifest that it points at.
type child struct {
	desc v1.Descriptor
	node *node
}

// blob is a config or a layer.
type blob struct {
	desc v1.Descriptor
	open func() (io.ReadCloser, error)
	// from are the repositories that it can be mounted from, in any registry.
	from   []name.Repository
	action Action
	sent   once
}

// newTree starts the tree of a; only its own manifest is read.
func newTree(a manifest.Artifact) (*tree, error) {
	t := &tree{gate: newGate(), nodes: map[v1.Hash]*node{}, blobs: map[v1.Hash]*blob{}}
	var d v1.Descriptor
	var err error
	if d.MediaType, err = a.MediaType(); err != nil {
		return nil, fmt.Errorf("reading the artifact's media type: %w", err)
	}
	if d.Digest, err = a.Digest(); err != nil {
		return nil, fmt.Errorf("reading the artifact's digest: %w", err)
	}
	t.root = t.node(d, func() (manifest.Artifact, error) { return a, nil })
	if err := t.root.load(); err != nil {
		return nil, err
	}
	t.root.desc.Size = int64(len(t.root.raw))
	return t, nil
}

// node is the one node for d's digest.
func (t *tree) node(d v1.Descriptor, open func() (manifest.Artifact, error)) *node {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, ok := t.nodes[d.Digest]
	if !ok {
		n = &node{desc: v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size, Platform: d.Platform}, open: open}
		t.nodes[d.Digest] = n
	}
	return n
}

// blob is the one blob for d's digest; origins add up.
func (t *tree) blob(d v1.Descriptor, open func() (io.ReadCloser, error), from []name.Repository) *blob {
	t.mu.Lock()
	defer t.mu.Unlock()
	have, ok := t.blobs[d.Digest]
	if !ok {
		have = &blob{desc: d, open: open}
		t.blobs[d.Digest] = have
	}
	for _, r := range from {
		if !slices.Contains(have.from, r) {
			have.from = append(have.from, r)
		}
	}
	return have
}

// grow resolves n and all that is below it, in parallel. Where has says that
// the destination holds a manifest, nothing below that one is looked at. A nil
// has resolves everything.
func (t *tree) grow(ctx context.Context, n *node, has func(context.Context, *node) (bool, error)) error {
	return n.grown.do(func() error {
		if has != nil {
			var there bool
			err := t.gate.run(ctx, func() (err error) {
				there, err = has(ctx, n)
				return err
			})
			if err != nil || there && !t.detail {
				return err
			}
			if there {
				has = isThere
			}
		}
		if err := t.gate.run(ctx, func() error { return t.resolve(ctx, n) }); err != nil {
			return err
		}
		return each(ctx, len(n.children), func(ctx context.Context, i int) error {
			return t.grow(ctx, n.children[i].node, has)
		})
	})
}

// isThere is the has of everything below what is there.
func isThere(_ context.Context, n *node) (bool, error) {
	n.there, n.action = true, Exists
	return true, nil
}

// resolve reads n's manifest and names what it points at. What has to be sent
// has to be available.
func (t *tree) resolve(ctx context.Context, n *node) error {
	if err := n.load(); err != nil {
		return err
	}
	if n.action != Exists {
		if err := manifest.Available(ctx, n.artifact); err != nil {
			return fmt.Errorf("looking for the content of '%s': %w", n.desc.Digest, err)
		}
	}
	switch a := n.artifact.(type) {
	case v1.ImageIndex:
		return t.resolveIndex(n, a)
	case v1.Image:
		return t.resolveImage(n, a)
	}
	return fault.New(fault.Failed, "reading manifest '%s': it is neither an image nor an index (%s)", n.desc.Digest, n.desc.MediaType)
}

// load reads the manifest's bytes and checks them against the digest.
func (n *node) load() error {
	return n.found.do(func() error {
		a, err := n.open()
		if err != nil {
			return fmt.Errorf("reading manifest '%s': %w", n.desc.Digest, err)
		}
		raw, err := a.RawManifest()
		if err != nil {
			return fmt.Errorf("reading manifest '%s': %w", n.desc.Digest, err)
		}
		h, _, err := v1.SHA256(bytes.NewReader(raw))
		if err != nil {
			return fmt.Errorf("reading manifest '%s': %w", n.desc.Digest, err)
		}
		if h != n.desc.Digest || n.desc.Size != 0 && n.desc.Size != int64(len(raw)) {
			return fault.New(fault.Failed, "reading manifest '%s': its %d bytes have the digest '%s'", n.desc.Digest, len(raw), h)
		}
		n.artifact, n.raw = a, raw
		return nil
	})
}

func (t *tree) resolveIndex(n *node, idx v1.ImageIndex) error {
	m, err := idx.IndexManifest()
	if err != nil {
		return fmt.Errorf("reading index '%s': %w", n.desc.Digest, err)
	}
	n.children = make([]child, len(m.Manifests))
	for i, d := range m.Manifests {
		n.children[i] = child{desc: d, node: t.node(d, func() (manifest.Artifact, error) {
			if d.MediaType.IsIndex() {
				return idx.ImageIndex(d.Digest)
			}
			return idx.Image(d.Digest)
		})}
	}
	return nil
}

func (t *tree) resolveImage(n *node, img v1.Image) error {
	m, err := img.Manifest()
	if err != nil {
		return fmt.Errorf("reading image '%s': %w", n.desc.Digest, err)
	}
	layers := make([]*blob, len(m.Layers))
	errs := make([]error, len(m.Layers))
	origins := map[name.Repository]int{}
	for i, d := range m.Layers {
		l, err := img.LayerByDigest(d.Digest)
		if err != nil {
			errs[i] = fmt.Errorf("reading image '%s': finding layer '%s': %w", n.desc.Digest, d.Digest, err)
			continue
		}
		var from []name.Repository
		if r, ok := origin(l); ok {
			from = []name.Repository{r}
			origins[r]++
		}
		layers[i] = t.blob(d, l.Compressed, from)
	}
	n.layers = layers
	// An image whose layers all come from one repository most probably has its
	// config there too; a mount that fails costs no request of its own.
	var from []name.Repository
	for r, count := range origins {
		if count == len(layers) {
			from = []name.Repository{r}
		}
	}
	n.config = t.blob(m.Config, func() (io.ReadCloser, error) {
		raw, err := img.RawConfigFile()
		return io.NopCloser(bytes.NewReader(raw)), err
	}, from)
	if n.desc.Platform == nil && m.Config.MediaType.IsConfig() && (t.detail || len(from) == 0) {
		c, err := img.ConfigFile()
		if err != nil {
			return fmt.Errorf("reading image '%s': reading its config: %w", n.desc.Digest, err)
		}
		n.declared = platform.FromConfig(c)
	}
	return joined(errs)
}

// origin is the repository that a layer of a registry's image is in.
func origin(l v1.Layer) (name.Repository, bool) {
	if m, ok := l.(*remote.MountableLayer); ok && m.Reference != nil {
		return m.Reference.Context(), true
	}
	return name.Repository{}, false
}

// foreign reports whether the blob is not to be pushed: a layer of a type that
// is not for distribution and that says where else it is to be had. Registries
// accept its absence (distribution: "foreign layers").
func (b *blob) foreign() bool {
	return !b.desc.MediaType.IsDistributable() && len(b.desc.URLs) > 0
}
