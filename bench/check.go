package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// checkIndex finds out whether ref is an index of the given number of images
// that are all there with config and layers, layers many at least.
func checkIndex(ctx context.Context, ref string, images, layers int) error {
	r, err := name.ParseReference(ref)
	if err != nil {
		return err
	}
	idx, err := remote.Index(r, remote.WithContext(ctx))
	if err != nil {
		return err
	}
	manifest, err := idx.IndexManifest()
	if err != nil {
		return err
	}
	if len(manifest.Manifests) != images {
		return fmt.Errorf("the index has %d entries, not %d", len(manifest.Manifests), images)
	}
	for _, d := range manifest.Manifests {
		if d.Platform == nil || d.Platform.OS == "" || d.Platform.Architecture == "" {
			return fmt.Errorf("entry '%s' has no platform", d.Digest)
		}
		if err := checkImage(ctx, idx, d.Digest, r.Context(), layers); err != nil {
			return err
		}
	}
	return nil
}

func checkImage(ctx context.Context, idx v1.ImageIndex, h v1.Hash, repo name.Repository, layers int) error {
	img, err := idx.Image(h)
	if err != nil {
		return fmt.Errorf("entry '%s': %w", h, err)
	}
	manifest, err := img.Manifest()
	if err != nil {
		return fmt.Errorf("entry '%s': %w", h, err)
	}
	if len(manifest.Layers) < layers {
		return fmt.Errorf("entry '%s' has %d layers, not %d", h, len(manifest.Layers), layers)
	}
	for _, d := range append(manifest.Layers, manifest.Config) {
		url := fmt.Sprintf("http://%s/v2/%s/blobs/%s", repo.RegistryStr(), repo.RepositoryStr(), d.Digest)
		req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.ContentLength != d.Size {
			return fmt.Errorf("entry '%s': blob '%s' of %d bytes: HTTP %d, %d bytes", h, d.Digest, d.Size, resp.StatusCode, resp.ContentLength)
		}
	}
	return nil
}

// checkOutput finds out whether the last command printed all of words.
func checkOutput(r *run, words ...string) error {
	for _, w := range words {
		if !bytes.Contains(r.output, []byte(w)) {
			return fmt.Errorf("'%s' is not in the output", w)
		}
	}
	return nil
}
