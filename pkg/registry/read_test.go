package registry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/registry"
	"github.com/multipack/multipack/testhelpers/regtest"
)

func indexOf(children ...[]byte) []byte {
	ix := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	for _, raw := range children {
		var child v1.Manifest
		_ = json.Unmarshal(raw, &child)
		ix.Manifests = append(ix.Manifests, v1.Descriptor{MediaType: child.MediaType, Digest: sum(raw), Size: int64(len(raw))})
	}
	raw, _ := json.Marshal(ix)
	return raw
}

func randomImage(t testing.TB) v1.Image {
	t.Helper()
	img, err := random.Image(2000, 1)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// realImage pushes an image whose layer is a compressed tar: its manifest, and
// the layer's digest.
func realImage(t testing.TB, c *registry.Client, ref name.Reference) ([]byte, v1.Hash) {
	t.Helper()
	return pushImage(t, c, ref, randomImage(t))
}

func pushImage(t testing.TB, c *registry.Client, ref name.Reference, img v1.Image) ([]byte, v1.Hash) {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	rc, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	layer, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	config, _ := img.RawConfigFile()
	raw, _ := img.RawManifest()
	mt, _ := img.MediaType()
	put(t, c, ref.Context(), blobOf(config))
	put(t, c, ref.Context(), blobOf(layer))
	if err := c.PutManifest(t.Context(), ref, raw, mt); err != nil {
		t.Fatal(err)
	}
	return raw, sum(layer)
}

func TestManifest(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, start func(...regtest.Option) *regtest.Registry) {
		r := start()
		c := newClient(t, registry.Config{})
		raw := imageOf(t, c, tagOf(r, "a/b", "v1"), content(1, 1000))
		for _, ref := range []interface {
			String() string
		}{tagOf(r, "a/b", "v1"), r.Repo("a/b").Digest(sum(raw).String())} {
			m, err := c.Manifest(t.Context(), mustRef(t, ref.String()))
			if err != nil || !bytes.Equal(m.Raw, raw) || m.Digest != sum(raw) || m.MediaType != types.OCIManifestSchema1 {
				t.Errorf("%s: got %+v, %v", ref, m, err)
			}
			d, err := c.Head(t.Context(), mustRef(t, ref.String()))
			if err != nil || d.Digest != sum(raw) || d.Size != int64(len(raw)) || d.MediaType != types.OCIManifestSchema1 {
				t.Errorf("%s: got %+v, %v", ref, d, err)
			}
		}
		_, err := c.Manifest(t.Context(), tagOf(r, "a/b", "none"))
		wantKind(t, err, fault.NotFound)
		wantText(t, err.Error(), "reading '"+r.Host()+"/a/b:none'", "MANIFEST_UNKNOWN")
		_, err = c.Head(t.Context(), tagOf(r, "nowhere", "none"))
		wantKind(t, err, fault.NotFound)
	})
}

func TestManifestIsVerified(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	c := newClient(t, registry.Config{})
	d := sum([]byte("wanted"))
	r.Inject(regtest.Fault{Path: "/manifests/", Status: 200, Body: `{"other":1}`})
	_, err := c.Manifest(t.Context(), r.Repo("a").Digest(d.String()))
	wantKind(t, err, fault.Failed)
	wantText(t, err.Error(), "digest is sha256:", d.String())
	r.Inject(regtest.Fault{Path: "/manifests/", Status: 200, Body: strings.Repeat("x", 4<<20+1)})
	_, err = c.Manifest(t.Context(), tagOf(r, "a", "huge"))
	wantText(t, err.Error(), "larger than 4 MiB")
}

func TestHeadReadsWhenTheRegistrySaysTooLittle(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	c := newClient(t, registry.Config{})
	raw := imageOf(t, c, tagOf(r, "a", "v1"), content(2, 10))
	r.Inject(regtest.Fault{Method: "HEAD", Path: "/manifests/", Status: 200, Body: "-"})
	d, err := c.Head(t.Context(), tagOf(r, "a", "v1"))
	if err != nil || d.Digest != sum(raw) || d.Size != int64(len(raw)) || r.Count("GET", "/manifests/") != 1 {
		t.Errorf("got %+v, %v\n%s", d, err, lines(r.Requests()))
	}
}

func TestReadsAreRetried(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	c := newClient(t, registry.Config{Retries: 4})
	raw := imageOf(t, c, tagOf(r, "a", "v1"), content(3, 10))
	for _, f := range []regtest.Fault{{Status: 500}, {Status: 408}, {Status: 429, RetryAfter: "0"}, {CutDownload: 20}} {
		f.Path = "/manifests/v1"
		r.Inject(f)
	}
	m, err := c.Manifest(t.Context(), tagOf(r, "a", "v1"))
	if err != nil || !bytes.Equal(m.Raw, raw) {
		t.Errorf("got %v", err)
	}
}

func TestDownloadGoesOnAfterACut(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, start func(...regtest.Option) *regtest.Registry) {
		r := start()
		c := newClient(t, registry.Config{Retries: 2})
		raw := content(4, 1_000_000)
		put(t, c, r.Repo("a"), blobOf(raw))
		r.Inject(regtest.Fault{Method: "GET", Path: "/blobs/", CutDownload: 300_000})
		r.Inject(regtest.Fault{Method: "GET", Path: "/blobs/", CutDownload: 300_000})
		r.Reset()
		rc, err := c.Blob(t.Context(), r.Repo("a"), sum(raw))
		if err != nil {
			t.Fatal(err)
		}
		defer rc.Close()
		got, err := io.ReadAll(rc)
		settle(r)
		if err != nil || !bytes.Equal(got, raw) || r.Count("GET", "/blobs/") != 3 {
			t.Errorf("read %d bytes, %v\n%s", len(got), err, lines(r.Requests()))
		}
	})
}

func TestDownloadIsVerified(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	c := newClient(t, registry.Config{})
	r.Inject(regtest.Fault{Path: "/blobs/", Status: 200, Body: "something else"})
	rc, err := c.Blob(t.Context(), r.Repo("a"), sum([]byte("x")))
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	_, err = io.ReadAll(rc)
	wantKind(t, err, fault.Failed)
	wantText(t, err.Error(), "the content's digest is")
	if !errors.Is(err, registry.ErrContent) {
		t.Errorf("%v is no ErrContent", err)
	}
}

func TestBlobSize(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, start func(...regtest.Option) *regtest.Registry) {
		r := start()
		c := newClient(t, registry.Config{})
		_, layer := realImage(t, c, r.Repo("a").Tag("1"))
		rc, err := c.Blob(t.Context(), r.Repo("a"), layer)
		if err != nil {
			t.Fatal(err)
		}
		defer rc.Close()
		want, err := io.Copy(io.Discard, rc)
		if err != nil {
			t.Fatal(err)
		}
		r.Reset()
		if got, err := c.BlobSize(t.Context(), r.Repo("a"), layer); err != nil || got != want || r.Count("GET", "/blobs/") != 0 {
			t.Errorf("%d of %d bytes: %v", got, want, err)
		}
		if _, err := c.BlobSize(t.Context(), r.Repo("a"), sum([]byte("none"))); !fault.Is(err, fault.NotFound) {
			t.Errorf("%v", err)
		}
		if _, err := c.BlobSize(t.Context(), r.Repo("b"), layer); !fault.Is(err, fault.NotFound) {
			t.Errorf("in another repository: %v", err)
		}
	})
}

func TestOpen(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, start func(...regtest.Option) *regtest.Registry) {
		r := start()
		c := newClient(t, registry.Config{})
		image, layer := realImage(t, c, r.Repo("a").Tag("one"))
		index := indexOf(image)
		if err := c.PutManifest(t.Context(), r.Repo("a").Tag("all"), index, types.OCIImageIndex); err != nil {
			t.Fatal(err)
		}
		r.Reset()
		got, err := c.Open(t.Context(), r.Repo("a").Tag("all"))
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Requests()) != 1 {
			t.Errorf("opening was not lazy:\n%s", lines(r.Requests()))
		}
		ix, ok := got.(v1.ImageIndex)
		if !ok {
			t.Fatalf("got a %T", got)
		}
		if err := validate.Index(ix); err != nil {
			t.Error(err)
		}
		img, err := ix.Image(sum(image))
		if err != nil {
			t.Fatal(err)
		}
		layers, err := img.Layers()
		if err != nil {
			t.Fatal(err)
		}
		if ml, ok := layers[0].(*remote.MountableLayer); !ok || ml.Reference.Context().String() != r.Repo("a").String() {
			t.Errorf("the layer is a %T", layers[0])
		}
		if n := r.Count("GET", "/blobs/"+layer.String()); n == 0 {
			t.Error("the layer was never read")
		}
		_, err = c.Image(t.Context(), r.Repo("a").Tag("all"))
		wantText(t, err.Error(), "it is an index")
	})
}

func TestTagsOfAllPages(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, start func(...regtest.Option) *regtest.Registry) {
		r := start()
		c := newClient(t, registry.Config{})
		raw := imageOf(t, c, r.Repo("a").Tag("v000"), content(6, 10))
		want := []string{"v000"}
		for i := 1; i < 25; i++ {
			tag := fmt.Sprintf("v%03d", i)
			want = append(want, tag)
			if err := c.PutManifest(t.Context(), r.Repo("a").Tag(tag), raw, types.OCIManifestSchema1); err != nil {
				t.Fatal(err)
			}
		}
		r.PageSize(10)
		r.Reset()
		got, err := c.Tags(t.Context(), r.Repo("a"), "")
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v", got, err)
		}
		if n := r.Count("GET", "/tags/list"); n != 3 {
			t.Errorf("%d pages, want 3", n)
		}
		got, err = c.Tags(t.Context(), r.Repo("a"), "v020")
		if err != nil || !slices.Equal(got, want[21:]) {
			t.Errorf("after v020: %v, %v", got, err)
		}
		_, err = c.Tags(t.Context(), r.Repo("none"), "")
		wantKind(t, err, fault.NotFound)
	})
}

func TestDelete(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, start func(...regtest.Option) *regtest.Registry) {
		r := start()
		c := newClient(t, registry.Config{})
		raw := imageOf(t, c, r.Repo("a").Tag("v1"), content(7, 10))
		if err := c.PutManifest(t.Context(), r.Repo("a").Tag("v2"), raw, types.OCIManifestSchema1); err != nil {
			t.Fatal(err)
		}
		if err := c.Delete(t.Context(), r.Repo("a").Tag("v1")); err != nil {
			t.Fatal(err)
		}
		_, err := c.Head(t.Context(), r.Repo("a").Tag("v1"))
		wantKind(t, err, fault.NotFound)
		if _, err := c.Head(t.Context(), r.Repo("a").Tag("v2")); err != nil {
			t.Errorf("the other tag went too: %v", err)
		}
		if err := c.Delete(t.Context(), r.Repo("a").Digest(sum(raw).String())); err != nil {
			t.Fatal(err)
		}
		if tags, err := c.Tags(t.Context(), r.Repo("a"), ""); len(tags) > 0 {
			t.Errorf("tags left: %v, %v", tags, err)
		}
		wantKind(t, c.Delete(t.Context(), r.Repo("a").Digest(sum(raw).String())), fault.NotFound)
		r.Inject(regtest.Fault{Method: "DELETE", Status: 405, Body: `{"errors":[{"code":"UNSUPPORTED","message":"The operation is unsupported."}]}`})
		err = c.Delete(t.Context(), r.Repo("a").Tag("v2"))
		wantKind(t, err, fault.Failed)
		wantText(t, err.Error(), "does not allow it", "UNSUPPORTED")
	})
}

func TestReferrers(t *testing.T) {
	t.Parallel()
	for what, opts := range map[string][]regtest.Option{"api": nil, "tag": {regtest.NoReferrers()}, "distribution": {regtest.Real()}} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := regtest.New(t, opts...)
			c := newClient(t, registry.Config{})
			raw := imageOf(t, c, r.Repo("a").Tag("v1"), content(8, 10))
			subject := r.Repo("a").Digest(sum(raw).String())
			if got, err := c.Referrers(t.Context(), subject); err != nil || len(got) != 0 {
				t.Fatalf("none: got %v, %v", got, err)
			}
			config := []byte(`{}`)
			put(t, c, r.Repo("a"), blobOf(config))
			var doc map[string]any
			_ = json.Unmarshal(manifestOf(config, content(8, 10)), &doc)
			doc["subject"] = v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: sum(raw), Size: int64(len(raw))}
			signature, _ := json.Marshal(doc)
			ref := r.Repo("a").Digest(sum(signature).String())
			if err := c.PutManifest(t.Context(), ref, signature, types.OCIManifestSchema1); err != nil {
				t.Fatal(err)
			}
			if what != "api" {
				fallback := strings.Replace(sum(raw).String(), ":", "-", 1)
				if err := c.PutManifest(t.Context(), r.Repo("a").Tag(fallback), indexOf(signature), types.OCIImageIndex); err != nil {
					t.Fatal(err)
				}
			}
			got, err := c.Referrers(t.Context(), subject)
			if err != nil || len(got) != 1 || got[0].Digest != sum(signature) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestMirrorIsAskedFirst(t *testing.T) {
	t.Parallel()
	origin, mirror := regtest.New(t), regtest.New(t)
	seed := newClient(t, registry.Config{})
	img := randomImage(t)
	raw, _ := pushImage(t, seed, origin.Repo("a").Tag("v1"), img)
	pushImage(t, seed, mirror.Repo("a").Tag("v1"), img)
	origin.Reset()
	c := newClient(t, registry.Config{Mirrors: map[string]string{origin.Host(): mirror.Host()}})
	opened, err := c.Image(t.Context(), origin.Repo("a").Tag("v1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(opened); err != nil {
		t.Error(err)
	}
	if n := len(origin.Requests()); n != 0 {
		t.Errorf("the origin was asked:\n%s", lines(origin.Requests()))
	}
	// What decides on a write is never taken from the mirror.
	if _, err := c.Manifest(t.Context(), origin.Repo("a").Tag("v1")); err != nil || origin.Count("GET", "/manifests/v1") != 1 {
		t.Errorf("%v\n%s", err, lines(origin.Requests()))
	}
	mirror.Kill()
	if m, err := c.Manifest(t.Context(), origin.Repo("a").Digest(sum(raw).String())); err != nil || !bytes.Equal(m.Raw, raw) {
		t.Errorf("without the mirror: %v", err)
	}
}
