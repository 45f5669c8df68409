package announce

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/registry"
)

// longestConfig bounds what is read as an image's config.
const longestConfig = 8 << 20

// Repository is a repository of a real registry. Tags are read from the
// registry itself, never from a mirror, which could be behind.
func Repository(client *registry.Client, repo name.Repository) Registry {
	return &repository{client: client, repo: repo}
}

type repository struct {
	client *registry.Client
	repo   name.Repository
}

func (r *repository) ref(s string) name.Reference {
	if strings.Contains(s, ":") {
		return r.repo.Digest(s)
	}
	return r.repo.Tag(s)
}

func (r *repository) Get(ctx context.Context, ref string) (Manifest, error) {
	m, err := r.client.Manifest(ctx, r.ref(ref))
	return Manifest(m), err
}

// Read asks for the digest first, where there is something to compare it with.
// Should the tag move between the two questions, the second one's answer counts.
func (r *repository) Read(ctx context.Context, tag string, before Manifest) (Manifest, error) {
	if before.Raw != nil {
		if h, err := r.Head(ctx, tag); err != nil || h == before.Digest {
			return before, err
		}
	}
	return r.Get(ctx, tag)
}

func (r *repository) Head(ctx context.Context, tag string) (v1.Hash, error) {
	d, err := r.client.Head(ctx, r.repo.Tag(tag))
	return d.Digest, err
}

func (r *repository) Blob(ctx context.Context, h v1.Hash) (_ []byte, err error) {
	rc, err := r.client.Blob(ctx, r.repo, h)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := rc.Close(); err == nil {
			err = closeErr
		}
	}()
	data, err := io.ReadAll(io.LimitReader(rc, longestConfig+1))
	if err == nil && len(data) > longestConfig {
		err = fault.New(fault.Failed, "reading blob '%s': it is larger than %d MiB", h, longestConfig>>20)
	}
	return data, err
}

func (r *repository) Tags(ctx context.Context, last string) ([]string, error) {
	return r.client.Tags(ctx, r.repo, last)
}

func (r *repository) Put(ctx context.Context, ref string, raw []byte, mediaType types.MediaType) error {
	return r.client.PutManifest(ctx, r.ref(ref), raw, mediaType)
}

func (r *repository) PutBlob(ctx context.Context, data []byte, mediaType types.MediaType) error {
	h, size, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("hashing a blob: %w", err)
	}
	_, err = r.client.PutBlob(ctx, r.repo, registry.Blob{
		Digest: h, Size: size, MediaType: mediaType,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	}, nil)
	return err
}
