package outline

import (
	"maps"
	"slices"
)

// census counts what is in a tree, in its order from the top down.
type census struct {
	out    Outline
	unique map[string]bool
	first  map[string]string // the first holder of a blob
	below  map[string]int64  // Bytes of the manifests that were visited
}

func newCensus() *census {
	return &census{unique: map[string]bool{}, first: map[string]string{}, below: map[string]int64{}}
}

func (c *census) outline(root *found) Outline {
	c.out.Root, _ = c.visit(root)
	return c.out
}

// visit settles a node, and gives the blobs at and below it with their sizes.
func (c *census) visit(f *found) (Node, map[string]int64) {
	n := f.settled()
	if bytes, again := c.below[n.Digest]; again || n.Missing {
		n.Repeated, n.Bytes = again, bytes
		c.out.TotalBytes += bytes
		return n, nil
	}
	blobs := map[string]int64{n.Digest: n.Size}
	c.count(n.Digest, n.Size)
	holder := n.Platform
	if holder == "" {
		holder = Short(n.Digest)
	}
	if f.config != nil {
		config := *f.config
		n.Config = &config
		c.blob(n.Config, holder, blobs)
	}
	n.Layers = slices.Clone(f.layers)
	for i := range n.Layers {
		c.blob(&n.Layers[i], holder, blobs)
	}
	for _, child := range f.children {
		node, more := c.visit(child)
		n.Entries = append(n.Entries, node)
		maps.Copy(blobs, more)
	}
	for _, size := range blobs {
		n.Bytes += size
	}
	c.below[n.Digest] = n.Bytes
	return n, blobs
}

// settled is the node with what its manifest says of itself.
func (f *found) settled() Node {
	n := f.node
	n.Missing = f.missing
	if f.missing {
		return n
	}
	n.Size = f.size
	if f.artifactType != "" {
		n.ArtifactType = f.artifactType
	}
	switch {
	case f.isIndex:
		n.Kind = Index
	case n.Kind == Image && f.noImage:
		n.Kind = Artifact
	}
	return n
}

func (c *census) blob(b *Blob, holder string, blobs map[string]int64) {
	if b.Elsewhere {
		return
	}
	b.SharedWith = c.first[b.Digest]
	if b.SharedWith == "" {
		c.first[b.Digest] = holder
	}
	blobs[b.Digest] = b.Size
	c.count(b.Digest, b.Size)
}

func (c *census) count(digest string, size int64) {
	c.out.TotalBytes += size
	if !c.unique[digest] {
		c.unique[digest] = true
		c.out.UniqueBytes += size
		c.out.Blobs++
	}
}

// Short is the beginning of a digest, enough to name it by.
func Short(digest string) string { return digest[:min(len(digest), len("sha256:")+12)] }
