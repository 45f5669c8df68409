package announce

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
)

// Rehearse is reg as a dry run sees it: it is read, but what is written stays
// in memory, from where it is read back. An Append on it goes the way of the real one
// and ends with the same digest, provided that no other job writes in between
// and the registry refuses nothing.
func Rehearse(reg Registry) Registry {
	return &rehearsal{
		real: reg, manifests: map[string]Manifest{}, tags: map[string]string{}, blobs: map[string][]byte{},
	}
}

type rehearsal struct {
	real Registry

	mu        sync.Mutex
	manifests map[string]Manifest // by digest
	tags      map[string]string   // tag -> digest
	blobs     map[string][]byte
}

// written is what was written under a tag or digest.
func (r *rehearsal) written(ref string) (Manifest, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if digest, ok := r.tags[ref]; ok {
		ref = digest
	}
	m, ok := r.manifests[ref]
	return m, ok
}

func (r *rehearsal) Get(ctx context.Context, ref string) (Manifest, error) {
	if m, ok := r.written(ref); ok {
		return m, nil
	}
	return r.real.Get(ctx, ref)
}

func (r *rehearsal) Read(ctx context.Context, tag string, before Manifest) (Manifest, error) {
	if m, ok := r.written(tag); ok {
		return m, nil
	}
	return r.real.Read(ctx, tag, before)
}

func (r *rehearsal) Head(ctx context.Context, tag string) (v1.Hash, error) {
	if m, ok := r.written(tag); ok {
		return m.Digest, nil
	}
	return r.real.Head(ctx, tag)
}

func (r *rehearsal) Blob(ctx context.Context, h v1.Hash) ([]byte, error) {
	r.mu.Lock()
	data, ok := r.blobs[h.String()]
	r.mu.Unlock()
	if ok {
		return data, nil
	}
	return r.real.Blob(ctx, h)
}

func (r *rehearsal) Tags(ctx context.Context, last string) ([]string, error) {
	tags, err := r.real.Tags(ctx, last)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range slices.Sorted(maps.Keys(r.tags)) {
		if t > last && !slices.Contains(tags, t) {
			tags = append(tags, t)
		}
	}
	return tags, nil
}

func (r *rehearsal) Put(_ context.Context, ref string, raw []byte, mediaType types.MediaType) error {
	m, err := manifestOf(raw, mediaType)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.manifests[m.Digest.String()] = m
	if !strings.Contains(ref, ":") {
		r.tags[ref] = m.Digest.String()
	}
	return nil
}

func (r *rehearsal) PutBlob(_ context.Context, data []byte, _ types.MediaType) error {
	h, _, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blobs[h.String()] = data
	return nil
}
