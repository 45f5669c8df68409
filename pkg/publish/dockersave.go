package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/zstd"

	"github.com/multipack/multipack/internal/fault"
)

// dockerSave are the files of a `docker save` archive of one image: config,
// layers as they are compressed, and manifest.json with the given names. The
// image's ID is the config's digest. zstd, which engines before 23.0 cannot
// read, is unpacked.
func dockerSave(ctx context.Context, p part, tags []string) ([]tarEntry, error) {
	img, ok := p.node.artifact.(v1.Image)
	if !ok {
		return nil, fault.New(fault.Usage, "reading '%s': it is no image", p.node.desc.Digest)
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading the config of image '%s': %w", p.node.desc.Digest, err)
	}
	if len(config.RootFS.DiffIDs) != len(p.node.layers) {
		return nil, fault.New(fault.Failed, "reading image '%s': its config lists %d layers, its manifest %d",
			p.node.desc.Digest, len(config.RootFS.DiffIDs), len(p.node.layers))
	}
	c := p.node.config
	doc := dockerImage{Config: c.desc.Digest.Hex + ".json", RepoTags: tags, Layers: []string{}}
	out := []tarEntry{{name: doc.Config, size: c.desc.Size, digest: c.desc.Digest, open: c.open}}
	seen := map[string]bool{}
	for i, l := range p.node.layers {
		e, err := dockerLayer(ctx, l, config.RootFS.DiffIDs[i])
		if err != nil {
			return nil, fmt.Errorf("reading layer '%s' of image '%s': %w", l.desc.Digest, p.node.desc.Digest, err)
		}
		doc.Layers = append(doc.Layers, e.name)
		if !seen[e.name] {
			seen[e.name] = true
			out = append(out, e)
		}
	}
	raw, err := json.Marshal([]dockerImage{doc})
	if err != nil {
		return nil, err
	}
	return append(out, dataEntry("manifest.json", raw)), nil
}

func dockerLayer(ctx context.Context, b *blob, diffID v1.Hash) (tarEntry, error) {
	mt := string(b.desc.MediaType)
	switch {
	case b.foreign():
		return tarEntry{}, fault.New(fault.Usage, "it is only to be had from '%s'", strings.Join(b.desc.URLs, "', '"))
	case strings.HasSuffix(mt, "zstd"):
		open := func() (io.ReadCloser, error) { return unzstd(b.open) }
		size, err := length(ctx, open)
		return tarEntry{name: diffID.Hex + ".tar", size: size, digest: diffID, open: open}, err
	case strings.HasSuffix(mt, "gzip"):
		return tarEntry{name: b.desc.Digest.Hex + ".tar.gz", size: b.desc.Size, digest: b.desc.Digest, open: b.open}, nil
	}
	return tarEntry{name: b.desc.Digest.Hex + ".tar", size: b.desc.Size, digest: b.desc.Digest, open: b.open}, nil
}

func unzstd(open func() (io.ReadCloser, error)) (io.ReadCloser, error) {
	rc, err := open()
	if err != nil {
		return nil, err
	}
	z, err := zstd.NewReader(rc, zstd.WithDecoderConcurrency(1))
	if err != nil {
		rc.Close()
		return nil, err
	}
	return &unpacked{Reader: z, close: func() error {
		z.Close()
		return rc.Close()
	}}, nil
}

type unpacked struct {
	io.Reader
	close func() error
}

// Close ends the decompression and the stream below it.
func (u *unpacked) Close() error { return u.close() }

// length counts: a tar entry says its size before its content.
func length(ctx context.Context, open func() (io.ReadCloser, error)) (int64, error) {
	rc, err := open()
	if err != nil {
		return 0, err
	}
	defer rc.Close()
	return copyContext(ctx, io.Discard, rc)
}
