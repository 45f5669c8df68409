package regtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"cuelabs.dev/go/oci/ociregistry"
	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// strict is the in-memory registry with what it lacks of the specification:
// uploads must have been started, children are checked whatever the media type,
// sizes included, and a manifest takes its tags along when it is deleted.
type strict struct {
	*ocimem.Registry
	mu      sync.Mutex
	uploads map[string]bool
}

// newStrict is the handler around it. A mount that cannot be done starts an
// upload, as the specification says; ociserver answers 404.
func newStrict(noReferrers bool) http.Handler {
	backend := &strict{Registry: ocimem.New(), uploads: map[string]bool{}}
	server := ociserver.New(backend, &ociserver.Options{MaxListPageSize: 1000, DisableReferrersAPI: noReferrers})
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		query := req.URL.Query()
		if mount := query.Get("mount"); req.Method == http.MethodPost && mount != "" {
			if _, err := backend.ResolveBlob(req.Context(), query.Get("from"), ociregistry.Digest(mount)); err != nil {
				query.Del("mount")
				query.Del("from")
				req.URL.RawQuery = query.Encode()
			}
		}
		server.ServeHTTP(w, req)
	})
}

func (s *strict) PushBlobChunked(ctx context.Context, repo string, chunkSize int) (ociregistry.BlobWriter, error) {
	w, err := s.Registry.PushBlobChunked(ctx, repo, chunkSize)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploads[repo+" "+w.ID()] = true
	return w, nil
}

func (s *strict) PushBlobChunkedResume(ctx context.Context, repo, id string, offset int64, chunkSize int) (ociregistry.BlobWriter, error) {
	s.mu.Lock()
	started := s.uploads[repo+" "+id]
	s.mu.Unlock()
	if !started {
		return nil, ociregistry.ErrBlobUploadUnknown
	}
	w, err := s.Registry.PushBlobChunkedResume(ctx, repo, id, offset, chunkSize)
	if err != nil {
		return nil, err
	}
	return &upload{BlobWriter: w, end: func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.uploads, repo+" "+id)
	}}, nil
}

// upload is over with its commit, and says in short what was wrong with it:
// ocimem quotes the whole content.
type upload struct {
	ociregistry.BlobWriter
	end func()
}

func (u *upload) Commit(d ociregistry.Digest) (ociregistry.Descriptor, error) {
	desc, err := u.BlobWriter.Commit(d)
	u.end()
	if err != nil {
		return desc, fmt.Errorf("%w: the content is not %s", ociregistry.ErrDigestInvalid, d)
	}
	return desc, nil
}

// manifestDoc is what an image manifest or an index names.
type manifestDoc struct {
	SchemaVersion int         `json:"schemaVersion"`
	MediaType     string      `json:"mediaType"`
	Config        *descriptor `json:"config"`
	Layers        []descriptor
	Manifests     []descriptor
}

type descriptor struct {
	ociregistry.Descriptor
	URLs []string `json:"urls"`
}

func (s *strict) PushManifest(ctx context.Context, repo, tag string, raw []byte, mediaType string) (ociregistry.Descriptor, error) {
	if err := s.checkManifest(ctx, repo, raw, mediaType); err != nil {
		return ociregistry.Descriptor{}, err
	}
	desc, err := s.Registry.PushManifest(ctx, repo, tag, raw, mediaType)
	if err != nil && strings.HasPrefix(err.Error(), "invalid ") {
		err = fmt.Errorf("%w: %v", ociregistry.ErrManifestInvalid, err)
	}
	return desc, err
}

func (s *strict) checkManifest(ctx context.Context, repo string, raw []byte, mediaType string) error {
	mt := types.MediaType(mediaType)
	if !mt.IsImage() && !mt.IsIndex() {
		return fmt.Errorf("%w: media type '%s' is none of a manifest", ociregistry.ErrManifestInvalid, mediaType)
	}
	var doc manifestDoc
	if err := json.Unmarshal(raw, &doc); err != nil {
		return fmt.Errorf("%w: %v", ociregistry.ErrManifestInvalid, err)
	}
	switch {
	case doc.SchemaVersion != 2:
		return fmt.Errorf("%w: schemaVersion is %d", ociregistry.ErrManifestInvalid, doc.SchemaVersion)
	case doc.MediaType != "" && doc.MediaType != mediaType:
		return fmt.Errorf("%w: mediaType is '%s', the header says '%s'", ociregistry.ErrManifestInvalid, doc.MediaType, mediaType)
	case mt.IsImage() && doc.Config == nil:
		return fmt.Errorf("%w: no config", ociregistry.ErrManifestInvalid)
	}
	for _, d := range doc.Manifests {
		have, err := s.ResolveManifest(ctx, repo, d.Digest)
		if err := checkChild(d, have, err); err != nil {
			return err
		}
	}
	blobs := doc.Layers
	if doc.Config != nil {
		blobs = append(blobs, *doc.Config)
	}
	for _, d := range blobs {
		have, err := s.ResolveBlob(ctx, repo, d.Digest)
		if err != nil && len(d.URLs) > 0 {
			continue
		}
		if err := checkChild(d, have, err); err != nil {
			return err
		}
	}
	return nil
}

// checkChild holds a descriptor against what the registry has.
func checkChild(d descriptor, have ociregistry.Descriptor, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("%w: %s is not there", ociregistry.ErrManifestBlobUnknown, d.Digest)
	case have.Size != d.Size:
		return fmt.Errorf("%w: %s has %d bytes, not %d", ociregistry.ErrManifestInvalid, d.Digest, have.Size, d.Size)
	}
	return nil
}

// DeleteManifest deletes the tags of the manifest with it.
func (s *strict) DeleteManifest(ctx context.Context, repo string, d ociregistry.Digest) error {
	var tags []string
	for tag, err := range s.Tags(ctx, repo, "") {
		if err != nil {
			return err
		}
		if have, err := s.ResolveTag(ctx, repo, tag); err == nil && have.Digest == d {
			tags = append(tags, tag)
		}
	}
	if err := s.Registry.DeleteManifest(ctx, repo, d); err != nil {
		return err
	}
	for _, tag := range tags {
		if err := s.DeleteTag(ctx, repo, tag); err != nil {
			return err
		}
	}
	return nil
}
