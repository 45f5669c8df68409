package verify

import (
	"bytes"
	"context"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
)

// layer is one blob that several images may share; it is looked at once.
type layer struct {
	desc v1.Descriptor
	open func() (v1.Layer, error)
	// kind and message are what is wrong, "" for nothing.
	kind    Kind
	message string
}

// image reads an image's config and lists its layers.
func (c *check) image(it *item, img v1.Image) error {
	m, err := img.Manifest()
	if err != nil {
		return c.blame(it, it.entry.Digest, "the manifest", err)
	}
	it.entry.Blobs += 1 + len(m.Layers)
	it.entry.Bytes += m.Config.Size
	for _, d := range m.Layers {
		it.entry.Bytes += d.Size
		it.layers = append(it.layers, &layer{desc: d, open: func() (v1.Layer, error) { return img.LayerByDigest(d.Digest) }})
	}
	raw, err := img.RawConfigFile()
	if err != nil {
		return c.blame(it, m.Config.Digest, "the config", err)
	}
	h, size, err := v1.SHA256(bytes.NewReader(raw))
	switch {
	case err != nil:
		return err
	case h != m.Config.Digest:
		it.find(Corrupt, m.Config.Digest, "the config '%s': its digest is '%s'", m.Config.Digest, h)
		return nil
	case size != m.Config.Size:
		it.find(Corrupt, m.Config.Digest, "the config '%s' has %d bytes, the manifest says %d", m.Config.Digest, size, m.Config.Size)
	}
	if m.Config.MediaType.IsConfig() {
		it.config(raw, m)
	}
	return nil
}

// config compares the config with the manifest, and with the index's entry.
func (it *item) config(raw []byte, m *v1.Manifest) {
	config, err := v1.ParseConfigFile(bytes.NewReader(raw))
	if err != nil {
		it.find(Corrupt, m.Config.Digest, "the config '%s' cannot be read: %s", m.Config.Digest, err)
		return
	}
	if isAttestation(it) {
		return // what such a config says is about nothing
	}
	if have, want := len(config.RootFS.DiffIDs), len(m.Layers); have != want {
		it.find(Corrupt, m.Config.Digest, "the config '%s' lists %d layers, the manifest %d", m.Config.Digest, have, want)
	}
	declared := platform.FromConfig(config)
	if it.source == nil || it.source.Descriptor.Platform == nil {
		it.entry.Platform = declared.Normalize().String()
		return
	}
	if !agree(declared, it.source.Platform) {
		it.find(Platform, it.entry.Digest, "the index says '%s', the image's config '%s'", it.source.Platform, declared.Normalize())
	}
}

func isAttestation(it *item) bool { return it.source != nil && it.source.IsAttestation }

// agree reports whether an image's config contradicts what an index says of it.
// What one of them leaves out contradicts nothing, the variant of an arm
// included: many tools write none into the config.
func agree(config, entry platform.Platform) bool {
	if config.Variant == "" {
		entry.Variant = ""
	}
	return !entry.Contradicts(config)
}

// compare looks for what entries of one index say twice, and for attestations
// of what it does not have.
func compare(items []*item) {
	digests := map[v1.Hash]bool{}
	for _, it := range items {
		digests[it.entry.Digest] = true
	}
	seen := map[v1.Hash]bool{}
	taken := map[platform.Platform]v1.Hash{}
	for _, it := range items {
		e := it.source
		h := it.entry.Digest
		first, same := taken[e.Platform]
		switch {
		case seen[h]:
			it.find(Duplicate, h, "an earlier entry has the same digest")
		case e.HasPlatform() && same:
			it.find(Duplicate, h, "the platform '%s' is taken by '%s'", e.Platform, first)
		case e.HasPlatform():
			taken[e.Platform] = h
		}
		seen[h] = true
		if e.HasPlatform() && (e.Platform.OS == "" || e.Platform.Arch == "") {
			it.find(Platform, h, "the platform lacks its os or its architecture")
		}
		if e.IsAttestation && !digests[e.AttestationOf] {
			it.find(Dangling, h, "the index does not have the image '%s' that it describes", e.AttestationOf)
		}
	}
}

// blobs looks at all layers, each once.
func (c *check) blobs(ctx context.Context, items []*item) error {
	var todo []*layer
	known := map[v1.Hash]*layer{}
	for _, it := range items {
		for n, l := range it.layers {
			if first := known[l.desc.Digest]; first != nil && first.desc.Size == l.desc.Size {
				it.layers[n] = first
				continue
			}
			known[l.desc.Digest] = l
			todo = append(todo, l)
		}
	}
	return each(ctx, len(todo), func(ctx context.Context, n int) error { return c.layer(ctx, todo[n]) })
}

// layer looks at one layer.
func (c *check) layer(ctx context.Context, l *layer) error {
	err := c.content(ctx, l)
	switch {
	case err == nil:
	case fault.Is(err, fault.NotFound) && !l.desc.MediaType.IsDistributable() && len(l.desc.URLs) > 0:
		// It is to be had from its URLs; registries need not hold it.
	case fault.Is(err, fault.NotFound):
		l.kind, l.message = Missing, fmt.Sprintf("the layer '%s' is not there", l.desc.Digest)
	case c.o.Corrupt(err):
		l.kind, l.message = Corrupt, fmt.Sprintf("the layer '%s': %s", l.desc.Digest, err)
	default:
		return fmt.Errorf("checking layer '%s': %w", l.desc.Digest, err)
	}
	return nil
}

func (c *check) content(ctx context.Context, l *layer) error {
	blob, err := l.open()
	if err != nil {
		return err
	}
	if c.o.Size != nil {
		size, known, err := c.o.Size(ctx, blob)
		if err != nil {
			return err
		}
		if known && size >= 0 {
			if size != l.desc.Size {
				l.kind, l.message = Corrupt, fmt.Sprintf("the layer '%s' has %d bytes, the manifest says %d", l.desc.Digest, size, l.desc.Size)
			}
			return nil
		}
	}
	rc, err := blob.Compressed()
	if err != nil {
		return err
	}
	defer rc.Close()
	h, size, err := v1.SHA256(reader{ctx, rc})
	if err == nil && (h != l.desc.Digest || size != l.desc.Size) {
		l.kind, l.message = Corrupt, fmt.Sprintf("the layer '%s': its %d bytes have the digest '%s'", l.desc.Digest, size, h)
	}
	return err
}

// report adds what was found about the layers.
func (it *item) report() {
	seen := map[v1.Hash]bool{}
	for _, l := range it.layers {
		if l.kind != "" && !seen[l.desc.Digest] {
			seen[l.desc.Digest] = true
			it.find(l.kind, l.desc.Digest, "%s", l.message)
		}
	}
	if it.entry.Findings == nil {
		it.entry.Findings = []Finding{}
	}
}

// reader ends with its context. It lives as long as one layer is read.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
