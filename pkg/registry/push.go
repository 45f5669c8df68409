package registry

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
)

// Blob is content to put into a repository.
type Blob struct {
	Digest v1.Hash
	// Size is the length in bytes; negative when it is not known.
	Size int64
	// Open gives the content from its start; it is called once per try. An error
	// with a method Final() bool that says true ends the tries.
	Open func() (io.ReadCloser, error)
	// From are repositories that may hold the blob already, the likeliest first.
	// Those of other registries are passed over.
	From []name.Repository
	// MediaType is the type that descriptors give the blob. Registries do not
	// ask for it.
	MediaType types.MediaType
}

// Outcome is what became of a blob.
type Outcome string

// The outcomes: the repository had the blob, it was mounted from another
// repository of the same registry, or its bytes were sent.
const (
	Exists   Outcome = "exists"
	Mounted  Outcome = "mounted"
	Uploaded Outcome = "uploaded"
)

// mostMounts is how many repositories are asked to mount from, and smallBlob the
// size up to which an upload is cheaper than a second question.
const (
	mostMounts = 3
	smallBlob  = 64 << 10
)

// knownBlobs are the blobs that this client saw in, or put into, a repository.
type knownBlobs struct{ m sync.Map }

// PutBlob makes sure that repo holds b. Where it may be mounted that is tried at
// once, since it costs as much as looking, and gives Mounted although the blob
// may have been there; else it looks, and then streams. A try that fails is
// repeated from the start of the blob. The same blob put by several goroutines
// at once is sent once, and Exists for the others. Content that differs from Digest or
// Size never completes an upload: it is verified while it is sent, by the registry
// alone where that spares hashing it twice. progress, which may be nil, hears of the
// bytes sent of the current try, now and then.
func (c *Client) PutBlob(ctx context.Context, repo name.Repository, b Blob, progress func(done int64)) (Outcome, error) {
	key := repo.Name() + "@" + b.Digest.String()
	if _, ok := c.known.m.Load(key); ok {
		return Exists, nil
	}
	out, shared, err := c.uploads.do(ctx, key, func() (Outcome, error) {
		out, err := c.putBlob(ctx, repo, b, progress)
		if err == nil {
			c.known.m.Store(key, true)
		}
		return out, err
	})
	if shared && err == nil {
		out = Exists
	}
	if err != nil {
		return "", c.failOnce(ctx, repo.Registry, err, "pushing blob %s to %s", b.Digest, quote(repo))
	}
	return out, nil
}

// failOnce classifies err as fail does; one that says what was being read, from
// another repository, keeps its own kind and words.
func (c *Client) failOnce(ctx context.Context, reg name.Registry, err error, format string, args ...any) error {
	if ctx.Err() == nil {
		if _, foreign := errors.AsType[*sourceError](err); foreign {
			kind, ok := fault.KindOf(err)
			if !ok {
				kind = fault.Failed
			}
			return fault.New(kind, format+": %w", append(args, wordly(err))...)
		}
	}
	return c.fail(ctx, reg, err, format, args...)
}

// sourceError is the source's failure, not the destination's.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

func (c *Client) putBlob(ctx context.Context, repo name.Repository, b Blob, progress func(int64)) (Outcome, error) {
	for try := 0; ; try++ {
		out, err := c.tryBlob(ctx, repo, b, progress)
		if err == nil || try >= c.retries || ctx.Err() != nil {
			return out, err
		}
		wait := c.wire.backoff(try)
		if said, ok := errors.AsType[*answerError](err); ok {
			if !said.uploadAgain() {
				return "", err
			}
			wait = max(wait, retryAfter(said.header, time.Now()))
		} else if !transient(err) {
			return "", err
		}
		if err := pause(ctx, wait); err != nil {
			return "", err
		}
	}
}

// uploadAgain reports whether a new upload may succeed where this one was
// refused: also when the registry lost the upload, or lost bytes of it.
func (e *answerError) uploadAgain() bool {
	return retryableStatus(e.status) || e.status == http.StatusRequestedRangeNotSatisfiable ||
		e.code == "BLOB_UPLOAD_UNKNOWN" || e.code == "BLOB_UPLOAD_INVALID"
}

// tryBlob is one try: HEAD, POST, and PUT with the bytes. Where there is a
// candidate to mount from, the POST comes first and asks for that; a registry
// that does not mount answers with an upload, which is then used. The bytes go
// with the PUT: one request less than PATCH and PUT, and, unlike a POST that
// carries the bytes, understood by every registry (containerd pushes in this way,
// so distribution, Docker Hub, GHCR, ECR, ACR, Harbor, Quay and GitLab are all
// known to).
func (c *Client) tryBlob(ctx context.Context, repo name.Repository, b Blob, progress func(int64)) (Outcome, error) {
	from := mountable(repo, b.From)
	s, err := c.pushSession(ctx, repo, from)
	if err != nil {
		return "", &finalError{err} // the handshake's own requests were tried again already
	}
	mountFirst := len(from) > 0 && !c.unmounted.has(repo, from[0])
	if !mountFirst {
		if has, err := s.hasBlob(ctx, repo, b.Digest); err != nil || has {
			return Exists, err
		}
	}
	upload, mounted, err := c.start(ctx, s, repo, b, from)
	switch {
	case err != nil:
		return "", err
	case mounted:
		return Mounted, nil
	}
	if mountFirst {
		c.unmounted.add(repo, from[0])
		if has, err := s.hasBlob(ctx, repo, b.Digest); err != nil || has {
			return Exists, err
		}
	}
	return Uploaded, s.upload(ctx, upload, b, progress)
}

// pairs are repositories that blobs could not be mounted into from others: the
// registry does not mount, or not for these credentials.
type pairs struct{ m sync.Map }

func (p *pairs) add(to, from name.Repository) { p.m.Store([2]string{to.Name(), from.Name()}, true) }

func (p *pairs) has(to, from name.Repository) bool {
	_, ok := p.m.Load([2]string{to.Name(), from.Name()})
	return ok
}

// mountable are the repositories of repo's registry among from, each once.
func mountable(repo name.Repository, from []name.Repository) []name.Repository {
	var out []name.Repository
	for _, f := range from {
		same := canonicalHost(f.RegistryStr()) == canonicalHost(repo.RegistryStr())
		if same && f.RepositoryStr() != repo.RepositoryStr() && len(out) < mostMounts &&
			!slices.ContainsFunc(out, func(o name.Repository) bool { return o.RepositoryStr() == f.RepositoryStr() }) {
			out = append(out, f)
		}
	}
	return out
}

// pushSession may push to repo and pull from the candidates. Where the registry
// refuses the latter altogether, it may only push.
func (c *Client) pushSession(ctx context.Context, repo name.Repository, from []name.Repository) (*session, error) {
	scopes := []string{push(repo)}
	for _, f := range from {
		scopes = append(scopes, pull(f))
	}
	s, err := c.session(ctx, repo, scopes...)
	if err != nil && len(from) > 0 && ctx.Err() == nil && !transient(wordly(err)) {
		return c.session(ctx, repo, push(repo))
	}
	return s, err
}

// start opens an upload, or mounts.
func (c *Client) start(ctx context.Context, s *session, repo name.Repository, b Blob, from []name.Repository) (upload *url.URL, mounted bool, err error) {
	for _, f := range from {
		u, done, err := s.post(ctx, repo, url.Values{"mount": {b.Digest.String()}, "from": {f.RepositoryStr()}})
		if err == nil && done {
			return nil, true, nil
		}
		if said, ok := errors.AsType[*answerError](err); err != nil && (!ok || retryableStatus(said.status)) {
			return nil, false, err
		}
		if u != nil {
			upload = u
		}
		if upload != nil && b.Size >= 0 && b.Size <= smallBlob {
			break
		}
	}
	if upload != nil {
		return upload, false, nil
	}
	if len(from) > 0 {
		// Asking to mount was refused: the token may be at fault.
		if s, err = c.session(ctx, repo, push(repo)); err != nil {
			return nil, false, err
		}
	}
	upload, _, err = s.post(ctx, repo, nil)
	return upload, false, err
}

// post starts an upload: its address, or true when the blob was mounted.
func (s *session) post(ctx context.Context, repo name.Repository, query url.Values) (*url.URL, bool, error) {
	resp, err := s.send(ctx, call{method: http.MethodPost, path: "/v2/" + repo.RepositoryStr() + "/blobs/uploads/", query: query, manner: manner{write: true}})
	if err != nil {
		return nil, false, err
	}
	defer drain(resp)
	if err := expect(resp, http.StatusAccepted, http.StatusCreated); err != nil {
		return nil, false, err
	}
	if resp.StatusCode == http.StatusCreated && query.Has("mount") {
		return nil, true, nil
	}
	u, err := s.follow(resp)
	return u, false, err
}

// upload sends the bytes: with the PUT that ends the upload where their number
// is known, else with a PATCH before it.
func (s *session) upload(ctx context.Context, to *url.URL, b Blob, progress func(int64)) error {
	src := &source{blob: b, progress: progress, local: to.Scheme == "http" && loopback(to.Host)}
	stream := call{
		url: to, open: src.open, size: b.Size,
		header: http.Header{"Content-Type": {"application/octet-stream"}},
		manner: manner{write: true, once: true},
	}
	if b.Size < 0 {
		stream.method = http.MethodPatch
		resp, err := s.send(ctx, stream)
		if err != nil {
			return src.blame(err)
		}
		defer drain(resp)
		if err := expect(resp, http.StatusAccepted, http.StatusNoContent); err != nil {
			return src.blame(err)
		}
		if to, err = s.follow(resp); err != nil {
			return err
		}
		stream.open = nil
	}
	ended := *to
	query := ended.Query()
	query.Set("digest", b.Digest.String())
	ended.RawQuery = query.Encode()
	stream.method, stream.url = http.MethodPut, &ended
	resp, err := s.send(ctx, stream)
	if err != nil {
		return src.blame(err)
	}
	defer drain(resp)
	return src.blame(expect(resp, http.StatusCreated, http.StatusNoContent))
}

// PutManifest puts raw under a tag or its digest. A tag that the registry keeps
// immutable is fault.Conflict, unless it names raw already.
func (c *Client) PutManifest(ctx context.Context, ref name.Reference, raw []byte, mt types.MediaType) error {
	err := c.putManifest(ctx, ref, raw, mt)
	said, ok := errors.AsType[*answerError](err)
	if ok && ctx.Err() == nil && said.conflict() {
		if c.holds(ctx, ref, raw) {
			return nil
		}
		return fault.New(fault.Conflict, "pushing %s: %w", quote(ref), said)
	}
	return c.fail(ctx, ref.Context().Registry, err, "pushing %s", quote(ref))
}

func (c *Client) putManifest(ctx context.Context, ref name.Reference, raw []byte, mt types.MediaType) error {
	s, err := c.session(ctx, ref.Context(), push(ref.Context()))
	if err != nil {
		return err
	}
	resp, err := s.send(ctx, call{
		method: http.MethodPut, path: manifestPath(ref), size: int64(len(raw)),
		open:   func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil },
		header: http.Header{"Content-Type": {string(mt)}},
		manner: manner{write: true},
	})
	if err != nil {
		return err
	}
	defer drain(resp)
	if err := expect(resp, http.StatusCreated, http.StatusOK, http.StatusAccepted, http.StatusNoContent); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusCreated && !c.holds(ctx, ref, raw) {
		// 201 is what the specification asks for; some registries say another
		// thing, and so does what stands between and is none.
		return fmt.Errorf("the answer is %s, and what was sent is not there", resp.Status)
	}
	if d, ok := ref.(name.Digest); ok {
		c.manifests.add(d)
	} else if h, _, err := v1.SHA256(bytes.NewReader(raw)); err == nil {
		c.manifests.add(ref.Context().Digest(h.String()))
	}
	return nil
}

// holds reports whether ref names raw already: an earlier try may have got
// through although its answer did not, and some registries refuse even to write
// the same again.
func (c *Client) holds(ctx context.Context, ref name.Reference, raw []byte) bool {
	d, err := c.head(ctx, ref)
	if err != nil {
		return false
	}
	sum, err := v1.Hasher(d.Digest.Algorithm)
	if err != nil {
		return false
	}
	sum.Write(raw)
	return d.Digest == v1.Hash{Algorithm: d.Digest.Algorithm, Hex: hex.EncodeToString(sum.Sum(nil))}
}
