package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/verified"
)

// longestManifest is the size that the distribution specification obliges
// registries to take, and that they commonly do not exceed.
const longestManifest = 4 << 20

// manifestTypes are the media types that this client reads, as an Accept header.
var manifestTypes = strings.Join([]string{
	string(types.OCIImageIndex), string(types.DockerManifestList),
	string(types.OCIManifestSchema1), string(types.DockerManifestSchema2),
}, ", ")

func manifestPath(ref name.Reference) string {
	return fmt.Sprintf("/v2/%s/manifests/%s", ref.Context().RepositoryStr(), ref.Identifier())
}

func blobPath(repo name.Repository, h v1.Hash) string {
	return fmt.Sprintf("/v2/%s/blobs/%s", repo.RepositoryStr(), h)
}

// Manifest reads what a tag or digest names, byte for byte, and verifies its
// digest. It is never taken for granted from a mirror when ref is a tag. A
// manifest larger than 4 MiB is refused.
func (c *Client) Manifest(ctx context.Context, ref name.Reference) (Manifest, error) {
	if _, byDigest := ref.(name.Digest); byDigest {
		if m, err := c.mirrored(ctx, ref); err == nil {
			return m, nil
		}
	}
	m, err := c.manifest(ctx, ref)
	return m, c.fail(ctx, ref.Context().Registry, err, "reading %s", quote(ref))
}

// mirrored reads ref from the mirror of its registry; errNoMirror without one.
func (c *Client) mirrored(ctx context.Context, ref name.Reference) (Manifest, error) {
	repo, ok := c.mirror(ref.Context())
	if !ok {
		return Manifest{}, errNoMirror
	}
	if _, byDigest := ref.(name.Digest); byDigest {
		return c.manifest(ctx, repo.Digest(ref.Identifier()))
	}
	return c.manifest(ctx, repo.Tag(ref.Identifier()))
}

var errNoMirror = errors.New("no mirror")

// mirror is repo at the mirror of its registry.
func (c *Client) mirror(repo name.Repository) (name.Repository, bool) {
	for host, mirror := range c.mirrors {
		if canonicalHost(host) != canonicalHost(repo.RegistryStr()) {
			continue
		}
		reg, err := name.NewRegistry(mirror)
		if err != nil {
			return name.Repository{}, false
		}
		return reg.Repo(repo.RepositoryStr()), true
	}
	return name.Repository{}, false
}

func (c *Client) manifest(ctx context.Context, ref name.Reference) (Manifest, error) {
	s, err := c.reading(ctx, ref.Context())
	if err != nil {
		return Manifest{}, err
	}
	for try := 0; ; try++ {
		m, err := s.manifest(ctx, ref)
		if err == nil {
			c.manifests.add(ref.Context().Digest(m.Digest.String()))
		}
		if _, cut := errors.AsType[*cutError](err); !cut || try >= c.retries || ctx.Err() != nil {
			return m, err
		}
		if err := pause(ctx, c.wire.backoff(try)); err != nil {
			return Manifest{}, err
		}
	}
}

// cutError says that an answer's body broke off.
type cutError struct{ err error }

func (e *cutError) Error() string { return e.err.Error() }
func (e *cutError) Unwrap() error { return e.err }

func (s *session) manifest(ctx context.Context, ref name.Reference) (Manifest, error) {
	resp, err := s.send(ctx, call{method: http.MethodGet, path: manifestPath(ref), header: http.Header{"Accept": {manifestTypes}}})
	if err != nil {
		return Manifest{}, err
	}
	defer resp.Body.Close()
	if err := expect(resp, http.StatusOK); err != nil {
		return Manifest{}, err
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, longestManifest+1))
	if err != nil {
		return Manifest{}, &cutError{err}
	}
	if len(raw) > longestManifest {
		return Manifest{}, &contentError{fmt.Sprintf("the manifest is larger than %d MiB", longestManifest>>20)}
	}
	digest, err := manifestDigest(ref, resp.Header, raw)
	if err != nil {
		return Manifest{}, err
	}
	return Manifest{Raw: raw, MediaType: manifestType(resp.Header, raw), Digest: digest}, nil
}

// manifestDigest computes raw's digest and compares it with the one asked for
// and the one that the registry claims.
func manifestDigest(ref name.Reference, header http.Header, raw []byte) (v1.Hash, error) {
	want := v1.Hash{Algorithm: "sha256"}
	var err error
	if d, ok := ref.(name.Digest); ok {
		if want, err = v1.NewHash(d.DigestStr()); err != nil {
			return v1.Hash{}, &contentError{err.Error()}
		}
	} else if claimed, err := v1.NewHash(header.Get("Docker-Content-Digest")); err == nil && claimed.Algorithm == "sha256" {
		want = claimed
	}
	sum, err := v1.Hasher(want.Algorithm)
	if err != nil {
		return v1.Hash{}, &contentError{err.Error()}
	}
	sum.Write(raw)
	got := v1.Hash{Algorithm: want.Algorithm, Hex: fmt.Sprintf("%x", sum.Sum(nil))}
	if want.Hex != "" && got != want {
		return v1.Hash{}, &contentError{fmt.Sprintf("the content's digest is %s, not %s", got, want)}
	}
	return got, nil
}

// manifestType is the media type that the bytes themselves state, since those
// are what the digest vouches for, else the header's, else what their fields say.
func manifestType(header http.Header, raw []byte) types.MediaType {
	var doc struct {
		MediaType types.MediaType `json:"mediaType"`
		Manifests json.RawMessage `json:"manifests"`
	}
	_ = json.Unmarshal(raw, &doc)
	stated, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	claimed := types.MediaType(stated)
	switch {
	case doc.MediaType != "":
		return doc.MediaType
	case err == nil && (claimed.IsImage() || claimed.IsIndex() || claimed.IsSchema1()):
		return claimed
	case doc.Manifests != nil:
		return types.OCIImageIndex
	}
	return types.OCIManifestSchema1
}

// Head asks what a tag or digest names, without reading it; digest, size and
// media type are the registry's word. It is asked of the registry itself, never
// of a mirror.
func (c *Client) Head(ctx context.Context, ref name.Reference) (v1.Descriptor, error) {
	d, err := c.head(ctx, ref)
	return d, c.fail(ctx, ref.Context().Registry, err, "looking up %s", quote(ref))
}

func (c *Client) head(ctx context.Context, ref name.Reference) (v1.Descriptor, error) {
	s, err := c.reading(ctx, ref.Context())
	if err != nil {
		return v1.Descriptor{}, err
	}
	resp, err := s.send(ctx, call{method: http.MethodHead, path: manifestPath(ref), header: http.Header{"Accept": {manifestTypes}}})
	if err != nil {
		return v1.Descriptor{}, err
	}
	drain(resp)
	err = expect(resp, http.StatusOK)
	if err != nil && resp.StatusCode != http.StatusMethodNotAllowed {
		return v1.Descriptor{}, err
	}
	mt, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	digest, bad := v1.NewHash(resp.Header.Get("Docker-Content-Digest"))
	if err != nil || bad != nil || mt == "" || resp.ContentLength <= 0 {
		m, err := c.manifest(ctx, ref)
		return v1.Descriptor{MediaType: m.MediaType, Digest: m.Digest, Size: int64(len(m.Raw))}, err
	}
	if d, ok := ref.(name.Digest); ok && d.DigestStr() != digest.String() {
		return v1.Descriptor{}, &contentError{fmt.Sprintf("the registry names the digest %s", digest)}
	}
	c.manifests.add(ref.Context().Digest(digest.String()))
	return v1.Descriptor{MediaType: types.MediaType(mt), Digest: digest, Size: resp.ContentLength}, nil
}

// Blob streams a blob of repo. Its digest is verified on the way: wrong content
// ends in an error, not in io.EOF. A connection that breaks is taken up again.
func (c *Client) Blob(ctx context.Context, repo name.Repository, h v1.Hash) (io.ReadCloser, error) {
	return c.blob(ctx, repo, h, -1)
}

func (c *Client) blob(ctx context.Context, repo name.Repository, h v1.Hash, size int64) (io.ReadCloser, error) {
	if mirror, ok := c.mirror(repo); ok {
		if rc, err := c.openBlob(ctx, mirror, h, size); err == nil {
			return rc, nil
		}
	}
	rc, err := c.openBlob(ctx, repo, h, size)
	if err != nil {
		return nil, c.fail(ctx, repo.Registry, err, "reading blob %s of %s", h, quote(repo))
	}
	return rc, nil
}

func (c *Client) openBlob(ctx context.Context, repo name.Repository, h v1.Hash, size int64) (io.ReadCloser, error) {
	s, err := c.reading(ctx, repo)
	if err != nil {
		return nil, err
	}
	resp, err := s.send(ctx, call{method: http.MethodGet, path: blobPath(repo, h), manner: manner{blob: true}})
	if err != nil {
		return nil, err
	}
	if err := expect(resp, http.StatusOK); err != nil {
		resp.Body.Close()
		return nil, err
	}
	if size < 0 {
		size = resp.ContentLength
	}
	if resp.ContentLength >= 0 && resp.ContentLength != size {
		resp.Body.Close()
		return nil, &contentError{fmt.Sprintf("the registry gives %d bytes for %s, not %d", resp.ContentLength, h, size)}
	}
	rc, err := verify(resp.Body, h, size, nil)
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	return &namedBody{ReadCloser: rc, raw: resp.Body, fail: func(err error) error {
		return c.fail(ctx, repo.Registry, err, "reading blob %s of %s", h, quote(repo))
	}}, nil
}

// namedBody says of which blob a failed read was.
type namedBody struct {
	io.ReadCloser
	raw  io.ReadCloser
	fail func(error) error
}

func (b *namedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = b.fail(err)
	}
	return n, err
}

// Unverified is what is read, for verified.Unverified.
func (b *namedBody) Unverified() io.ReadCloser { return &namedBody{ReadCloser: b.raw, fail: b.fail} }

// Verifies implements verified.Stream.
func (b *namedBody) Verifies(h v1.Hash, size int64) bool { return verified.By(b.ReadCloser, h, size) }

// HasBlob reports whether repo holds the blob.
func (c *Client) HasBlob(ctx context.Context, repo name.Repository, h v1.Hash) (bool, error) {
	s, err := c.reading(ctx, repo)
	if err == nil {
		var has bool
		if has, err = s.hasBlob(ctx, repo, h); err == nil {
			return has, nil
		}
	}
	return false, c.fail(ctx, repo.Registry, err, "looking up blob %s of %s", h, quote(repo))
}

// BlobSize asks for the size in bytes of a blob of repo, -1 where the registry
// does not say, without reading it. It is asked of the registry itself, never of
// a mirror. A blob that is not there is a fault.NotFound.
func (c *Client) BlobSize(ctx context.Context, repo name.Repository, h v1.Hash) (int64, error) {
	s, err := c.reading(ctx, repo)
	var resp *http.Response
	if err == nil {
		resp, err = s.send(ctx, call{method: http.MethodHead, path: blobPath(repo, h)})
	}
	if err == nil {
		defer drain(resp)
		err = expect(resp, http.StatusOK)
	}
	if err != nil {
		return 0, c.fail(ctx, repo.Registry, err, "looking up blob %s of %s", h, quote(repo))
	}
	return resp.ContentLength, nil
}

func (s *session) hasBlob(ctx context.Context, repo name.Repository, h v1.Hash) (bool, error) {
	resp, err := s.send(ctx, call{method: http.MethodHead, path: blobPath(repo, h)})
	if err != nil {
		return false, err
	}
	defer drain(resp)
	switch err := expect(resp, http.StatusOK); {
	case err == nil:
		return true, nil
	case resp.StatusCode == http.StatusNotFound:
		return false, nil
	default:
		return false, err
	}
}

// Image opens an image lazily: its manifest is read now, all else when asked
// for, with ctx. An index is an error.
func (c *Client) Image(ctx context.Context, ref name.Reference) (v1.Image, error) {
	m, err := c.openManifest(ctx, ref)
	if err != nil {
		return nil, err
	}
	if m.MediaType.IsIndex() {
		return nil, fault.New(fault.Failed, "opening %s: it is an index, not an image", quote(ref))
	}
	return c.image(ctx, ref, m, nil)
}

// Open opens an image or an index lazily: it is a v1.Image or a v1.ImageIndex
// after its media type. Layers are *remote.MountableLayer and read with ctx,
// which has to live as long as they are used.
func (c *Client) Open(ctx context.Context, ref name.Reference) (any, error) {
	return c.open(ctx, ref, nil)
}

func (c *Client) open(ctx context.Context, ref name.Reference, cache Cache) (any, error) {
	m, err := c.openManifest(ctx, ref)
	if err != nil {
		return nil, err
	}
	if m.MediaType.IsIndex() {
		return c.index(ctx, ref, m, cache)
	}
	return c.image(ctx, ref, m, cache)
}

// openManifest reads ref from its registry's mirror, if there is one that knows it.
func (c *Client) openManifest(ctx context.Context, ref name.Reference) (Manifest, error) {
	if m, err := c.mirrored(ctx, ref); err == nil {
		return m, nil
	}
	m, err := c.manifest(ctx, ref)
	if err == nil && m.MediaType.IsSchema1() {
		err = &contentError{"it is of Docker's schema 1, which no current tool writes"}
	}
	return m, c.fail(ctx, ref.Context().Registry, err, "opening %s", quote(ref))
}
