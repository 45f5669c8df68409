package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/reference"
)

// parallelLayers is how many layers of an image are copied at once.
const parallelLayers = 4

// Ingest copies an artifact into a list's folder, so that the list may point
// at it afterwards: the manifest and config of an image, and with deep, for
// sources that may vanish, its layers; an index with all its children. Layers
// come first, then the config, then the manifest, all verified while they are
// copied; what is there already and whole is not copied again. The list need
// not exist yet; until it points at the blobs they are Prune's.
func (s *Store) Ingest(ctx context.Context, tag name.Tag, a manifest.Artifact, deep bool) error {
	dir := s.dir(tag)
	err := s.prepare(dir)
	if err == nil {
		err = s.ingest(ctx, dir, a, deep, 0)
	}
	if err != nil {
		return fmt.Errorf("copying an image into manifest list '%s': %w", reference.Familiar(tag), err)
	}
	return nil
}

func (s *Store) ingest(ctx context.Context, dir string, a manifest.Artifact, deep bool, depth int) error {
	if depth > maxDepth {
		return errors.New("the index lies too deep in other indexes")
	}
	switch v := a.(type) {
	case v1.ImageIndex:
		if err := s.ingestChildren(ctx, dir, v, deep, depth); err != nil {
			return err
		}
	case v1.Image:
		if err := s.ingestImage(ctx, dir, v, deep); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%T is neither an image nor an index", a)
	}
	h, err := a.Digest()
	if err != nil {
		return err
	}
	raw, err := a.RawManifest()
	if err != nil {
		return err
	}
	if err := s.putBlob(ctx, dir, h, int64(len(raw)), content(raw)); err != nil {
		return fmt.Errorf("manifest '%s': %w", h, err)
	}
	return nil
}

func (s *Store) ingestChildren(ctx context.Context, dir string, idx v1.ImageIndex, deep bool, depth int) error {
	raw, err := idx.RawManifest()
	if err != nil {
		return err
	}
	parsed, err := manifest.Parse(raw)
	if err != nil {
		return err
	}
	for _, e := range parsed.Entries() {
		var child manifest.Artifact
		var err error
		if e.IsIndex {
			child, err = idx.ImageIndex(e.Descriptor.Digest)
		} else {
			child, err = idx.Image(e.Descriptor.Digest)
		}
		if err != nil {
			return err
		}
		if got, err := child.Digest(); err != nil {
			return err
		} else if got != e.Descriptor.Digest {
			return fmt.Errorf("manifest '%s': the content has the digest '%s'", e.Descriptor.Digest, got)
		}
		if err := s.ingest(ctx, dir, child, deep, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) ingestImage(ctx context.Context, dir string, img v1.Image, deep bool) error {
	raw, err := img.RawManifest()
	if err != nil {
		return err
	}
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	if deep {
		if err := s.ingestLayers(ctx, dir, img, m.Layers); err != nil {
			return err
		}
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return err
	}
	if err := s.putBlob(ctx, dir, m.Config.Digest, m.Config.Size, content(config)); err != nil {
		return fmt.Errorf("config '%s': %w", m.Config.Digest, err)
	}
	return nil
}

func (s *Store) ingestLayers(ctx context.Context, dir string, img v1.Image, layers []v1.Descriptor) error {
	errs := make([]error, len(layers))
	var g errgroup.Group
	g.SetLimit(parallelLayers)
	seen := map[v1.Hash]bool{}
	for n, d := range layers {
		if seen[d.Digest] {
			continue
		}
		seen[d.Digest] = true
		g.Go(func() error {
			if err := s.ingestLayer(ctx, dir, img, d); err != nil {
				errs[n] = fmt.Errorf("layer '%s': %w", d.Digest, err)
			}
			return nil
		})
	}
	return errors.Join(g.Wait(), errors.Join(errs...))
}

// ingestLayer copies one layer. One that may not be distributed (the base of a
// Windows image) stays where its URLs say when the source does not hold it.
func (s *Store) ingestLayer(ctx context.Context, dir string, img v1.Image, d v1.Descriptor) error {
	layer, err := img.LayerByDigest(d.Digest)
	if err == nil {
		err = s.putBlob(ctx, dir, d.Digest, d.Size, layer.Compressed)
	}
	if err != nil && ctx.Err() == nil && !d.MediaType.IsDistributable() && len(d.URLs) > 0 {
		return nil
	}
	return err
}

func content(raw []byte) opener {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }
}
