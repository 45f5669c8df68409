package local

import (
	"context"
	"errors"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
)

// prober is a Registry that can also be asked what it has, and for single
// blobs; pkg/registry's Client is one.
type prober interface {
	Head(ctx context.Context, ref name.Reference) (v1.Descriptor, error)
	HasBlob(ctx context.Context, repo name.Repository, h v1.Hash) (bool, error)
	Blob(ctx context.Context, repo name.Repository, h v1.Hash) (io.ReadCloser, error)
}

// Available implements manifest.Distant: what the store does not hold of the
// image is in one of the repositories that it was added from. A registry that
// has the manifest has all of it. One that has lost the manifest, to a job that
// deletes what no tag points at, keeps the layers for some time: those are
// enough, since the store has the manifest.
func (i *image) Available(ctx context.Context) error {
	absent := i.absent()
	if len(absent) == 0 {
		return nil
	}
	p, ok := i.fallback.children.registry.(prober)
	if !ok {
		return nil
	}
	h, err := i.Digest()
	if err != nil {
		return err
	}
	if len(i.fallback.from) == 0 {
		return nowhere(absent[0], errors.New("it is not on disk"))
	}
	var errs []error
	for _, repo := range i.fallback.from {
		_, err := p.Head(ctx, repo.Digest(h.String()))
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	err = worst(errs)
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	for _, blob := range absent {
		if has, e := i.anyHas(ctx, p, blob); e != nil || !has {
			return errors.Join(err, e)
		}
	}
	return nil
}

// worst is the error of several repositories, each of which would have been
// enough: that it is not there counts only where all of them say so.
func worst(errs []error) error {
	for _, err := range errs {
		if !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return errs[0]
}

// absent are the blobs of the image that the store does not hold and that a
// registry has to.
func (i *image) absent() []v1.Hash {
	var out []v1.Hash
	for _, d := range append([]v1.Descriptor{i.manifest.Config}, i.manifest.Layers...) {
		elsewhere := !d.MediaType.IsDistributable() && len(d.URLs) > 0
		if _, ok := i.fallback.children.list.HasBlob(d.Digest); !ok && !elsewhere && d.Data == nil {
			out = append(out, d.Digest)
		}
	}
	return out
}

func (i *image) anyHas(ctx context.Context, p prober, blob v1.Hash) (bool, error) {
	for _, repo := range i.fallback.from {
		if has, err := p.HasBlob(ctx, repo, blob); has || err != nil {
			return has, err
		}
	}
	return false, nil
}

// direct reads the layer from a repository without asking for the manifest of
// its image, which the store has; nil where it is to be had in another way, if
// at all.
func (l *layer) direct() io.ReadCloser {
	p, ok := l.image.fallback.children.registry.(prober)
	if !ok || l.Held() || l.desc.Data != nil {
		return nil
	}
	for _, repo := range l.From() {
		if rc, err := p.Blob(l.image.fallback.children.ctx, repo, l.desc.Digest); err == nil {
			return rc
		}
	}
	return nil
}

// From are the repositories that may have the layer where the store does not
// hold it.
func (l *layer) From() []name.Repository { return l.image.fallback.from }

// Held reports whether the store holds the layer.
func (l *layer) Held() bool {
	_, ok := l.image.fallback.children.list.HasBlob(l.desc.Digest)
	return ok
}
