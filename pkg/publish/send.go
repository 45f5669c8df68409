package publish

import (
	"bytes"
	"context"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
)

// sink takes what a tree holds, each blob and manifest once, from several
// goroutines; a manifest after everything that it points to.
type sink interface {
	blob(ctx context.Context, b *blob) error
	manifest(ctx context.Context, n *node) error
}

// send gives everything at and below n to s, in parallel, nested indexes depth
// first. What the destination has (grow) is left out.
func (t *tree) send(ctx context.Context, n *node, s sink) error {
	return n.sent.do(func() error {
		if n.there {
			return nil
		}
		if err := each(ctx, len(n.children), func(ctx context.Context, i int) error {
			return t.send(ctx, n.children[i].node, s)
		}); err != nil {
			return err
		}
		blobs := n.blobs()
		if err := each(ctx, len(blobs), func(ctx context.Context, i int) error {
			b := blobs[i]
			return b.sent.do(func() error {
				return t.gate.run(ctx, func() error { return s.blob(ctx, b) })
			})
		}); err != nil {
			return err
		}
		return t.gate.run(ctx, func() error { return s.manifest(ctx, n) })
	})
}

// blobs are an image's config and layers.
func (n *node) blobs() []*blob {
	if n.config == nil {
		return n.layers
	}
	return append([]*blob{n.config}, n.layers...)
}

// wholeTree resolves everything of a, for media that have nothing beforehand.
func wholeTree(ctx context.Context, a manifest.Artifact) (*tree, error) {
	t, err := newTree(a)
	if err != nil {
		return nil, err
	}
	t.detail = true
	if err := t.grow(ctx, t.root, nil); err != nil {
		return nil, err
	}
	return t, nil
}

// part is one image of an artifact: a node, and its descriptor where its parent
// names it.
type part struct {
	desc v1.Descriptor
	node *node
}

func (p part) platform() platform.Platform {
	if p.desc.Platform == nil {
		return p.node.declared
	}
	return platform.FromV1(p.desc.Platform)
}

// images are the images in the order of the index, nested ones included,
// attestations not.
func (t *tree) images() []part {
	var out []part
	seen := map[*node]bool{}
	var visit func(n *node, d v1.Descriptor)
	visit = func(n *node, d v1.Descriptor) {
		if len(n.children) == 0 && n.config != nil && !isAttestation(d) && !seen[n] {
			seen[n] = true
			out = append(out, part{desc: d, node: n})
		}
		for _, c := range n.children {
			visit(c.node, c.desc)
		}
	}
	visit(t.root, t.root.desc)
	return out
}

// isAttestation reports whether an entry is no image but says something about
// one; BuildKit gives those the platform unknown/unknown.
func isAttestation(d v1.Descriptor) bool {
	return attests(d) != v1.Hash{} || d.Platform != nil && d.Platform.OS == "unknown" && d.Platform.Architecture == "unknown"
}

// contents are all manifests and blobs below and at the given nodes, each once,
// as blobs of an OCI layout; what is not for distribution is left out.
func contents(nodes ...*node) []content {
	var out []content
	seen := map[v1.Hash]bool{}
	add := func(d v1.Descriptor, open func() (io.ReadCloser, error)) {
		if !seen[d.Digest] {
			seen[d.Digest] = true
			out = append(out, content{desc: d, open: open})
		}
	}
	var visit func(*node)
	visit = func(n *node) {
		if seen[n.desc.Digest] {
			return
		}
		for _, c := range n.children {
			visit(c.node)
		}
		for _, b := range n.blobs() {
			if !b.foreign() {
				add(b.desc, b.open)
			}
		}
		d := n.desc
		d.Size = int64(len(n.raw))
		add(d, n.reader)
	}
	for _, n := range nodes {
		visit(n)
	}
	return out
}

// content is a manifest or a blob to write.
type content struct {
	desc v1.Descriptor
	open func() (io.ReadCloser, error)
}

func (n *node) reader() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(n.raw)), nil }

// mark records that everything at and below n was written, or with Planned
// would be.
func (n *node) mark(a Action) {
	n.action = a
	for _, b := range n.blobs() {
		b.action = a
		if b.foreign() {
			b.action = Skipped
		}
	}
	for _, c := range n.children {
		c.node.mark(a)
	}
}

// blobPath is where an OCI layout keeps a blob.
func blobPath(h v1.Hash) string { return fmt.Sprintf("blobs/%s/%s", h.Algorithm, h.Hex) }
