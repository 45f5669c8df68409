package local_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/local"
	"github.com/multipack/multipack/pkg/manifest/store"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/registry"
	"github.com/multipack/multipack/testhelpers/imgtest"
	"github.com/multipack/multipack/testhelpers/regtest"
)

// world is a registry, a client of it, and a store.
type world struct {
	t        *testing.T
	registry *regtest.Registry
	client   *registry.Client
	store    *store.Store
}

func newWorld(t *testing.T) *world {
	t.Helper()
	client, err := registry.New(registry.Config{Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, registry: regtest.New(t), client: client, store: store.Open(t.TempDir(), store.Options{})}
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// list makes a list whose only entry is a, remembered as added from origins.
func (w *world) list(a manifest.Artifact, deep bool, origins ...string) *local.Index {
	w.t.Helper()
	ctx := w.t.Context()
	tag, err := reference.ParseListName("list")
	w.check(err)
	d := v1.Descriptor{}
	d.Digest, err = a.Digest()
	w.check(err)
	d.Size, err = a.Size()
	w.check(err)
	d.MediaType, err = a.MediaType()
	w.check(err)
	idx, err := manifest.New(types.OCIImageIndex).Add(d)
	w.check(err)
	w.check(w.store.Ingest(ctx, tag, a, deep))
	var from []store.Origin
	for _, o := range origins {
		from = append(from, store.Origin{Digest: d.Digest, Ref: o})
	}
	_, err = w.store.Create(ctx, tag, idx, store.CreateOptions{Origins: from})
	w.check(err)
	opened, err := local.Lists{Store: w.store, Registry: w.client}.OpenList(ctx, tag)
	w.check(err)
	w.registry.Reset()
	return opened.(*local.Index)
}

func (w *world) push(repo string, img v1.Image) string {
	w.t.Helper()
	ref := w.registry.Repo(repo).Tag("1")
	w.check(remote.Write(ref, img))
	return "docker://" + ref.Name()
}

func onlyImage(t *testing.T, idx v1.ImageIndex) v1.Image {
	t.Helper()
	m, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	img, err := idx.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// TestSparse: manifest and config come from the store, layers from the registry
// when they are read and not before; publishers see where to mount them from.
func TestSparse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	img := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/arm64", Layers: 2})
	idx := w.list(img, false, w.push("a/app", img))
	got := onlyImage(t, idx)
	if _, err := got.ConfigFile(); err != nil {
		t.Fatal(err)
	}
	layers, err := got.Layers()
	w.check(err)
	for _, l := range layers {
		m, ok := l.(*remote.MountableLayer)
		if !ok || m.Reference.Context().String() != w.registry.Repo("a/app").String() {
			t.Fatalf("%T of %v", l, m)
		}
		if _, err := l.DiffID(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.registry.Requests()); n != 0 {
		t.Fatalf("%d requests before content was read", n)
	}
	w.check(validate.Index(idx))
	if w.registry.Count("GET", "/v2/a/app/blobs/") == 0 {
		t.Fatal("the layers did not come from the registry")
	}
	for _, by := range []func(v1.Layer) (v1.Layer, error){
		func(l v1.Layer) (v1.Layer, error) { h, _ := l.Digest(); return got.LayerByDigest(h) },
		func(l v1.Layer) (v1.Layer, error) { h, _ := l.DiffID(); return got.LayerByDiffID(h) },
	} {
		l, err := by(layers[1])
		w.check(err)
		if !bytes.Equal(contentOf(t, l), contentOf(t, layers[1])) {
			t.Fatal("another layer")
		}
	}
}

func contentOf(t *testing.T, l v1.Layer) []byte {
	t.Helper()
	rc, err := l.Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	raw, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestWhole: what the store holds is read from it, and may be mounted all the same.
func TestWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	img := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/arm64", Layers: 2})
	idx := w.list(img, true, "oci:layout", w.push("a/app", img))
	w.check(validate.Index(idx))
	layers, err := onlyImage(t, idx).Layers()
	w.check(err)
	if _, ok := layers[0].(*remote.MountableLayer); !ok {
		t.Fatalf("%T", layers[0])
	}
	if n := len(w.registry.Requests()); n != 0 {
		t.Fatalf("%d requests for what the store holds", n)
	}
}

// TestSecondOrigin: an image that is gone from one repository is looked for in
// the next.
func TestSecondOrigin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	img := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/arm64"})
	gone := "docker://" + w.registry.Repo("gone/app").Tag("1").Name()
	idx := w.list(img, false, gone, w.push("b/app", img))
	w.check(validate.Index(idx))
}

// TestNested: what is below an index within a list is had in the same way.
func TestNested(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nested := imgtest.Index(t, imgtest.IndexSpec{
		Images: []imgtest.ImageSpec{{Platform: "linux/amd64"}},
		Nested: []imgtest.IndexSpec{imgtest.Of("deep", "linux/s390x")},
	})
	ref := w.registry.Repo("a/idx").Tag("1")
	w.check(remote.WriteIndex(ref, nested))
	idx := w.list(nested, false, "docker://"+ref.Name())
	w.check(validate.Index(idx))
	blobs := map[string]bool{}
	for _, r := range w.registry.Requests() {
		if strings.Contains(r.Path, "/blobs/") {
			blobs[r.Path] = true
		}
	}
	if len(blobs) != 2 {
		t.Fatalf("%d blobs came from the registry, want the two layers", len(blobs))
	}
}

// TestNowhere: content that nobody holds is a fault.NotFound, at the moment when
// it is asked for.
func TestNowhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	img := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/arm64"})
	for _, origins := range [][]string{nil, {"app.tar"}, {"docker://" + w.registry.Repo("gone/app").Tag("1").Name()}} {
		tag, err := reference.ParseListName("list")
		w.check(err)
		_ = w.store.Remove(t.Context(), tag)
		idx := w.list(img, false, origins...)
		layers, err := onlyImage(t, idx).Layers()
		w.check(err)
		if _, err := layers[0].Compressed(); !fault.Is(err, fault.NotFound) {
			t.Errorf("%v: %v", origins, err)
		}
	}
	tag, err := reference.ParseListName("nothing")
	w.check(err)
	if _, err := (local.Lists{Store: w.store, Registry: w.client}).OpenList(t.Context(), tag); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

// TestRepositories: names of files are no names of repositories.
func TestRepositories(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	img := imgtest.Image(t, imgtest.ImageSpec{})
	idx := w.list(img, true, "app.tar", "local:x", "docker://ghcr.io/a/b:1", "docker-daemon:c", "docker://ghcr.io/a/b:2", "docker://d")
	h, err := img.Digest()
	w.check(err)
	var got []string
	for _, r := range local.Repositories(idx.List, h) {
		got = append(got, r.Name())
	}
	if strings.Join(got, " ") != "ghcr.io/a/b index.docker.io/library/d" {
		t.Fatal(got)
	}
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"alpine:3.20":          "docker://docker.io/library/alpine:3.20",
		"docker://ghcr.io/a/b": "docker://ghcr.io/a/b:latest",
		"oci:dir:tag":          "oci:dir:tag",
		"docker-daemon:app":    "docker-daemon:app",
		"local:list":           "local:list",
		"./app.cnb":            "./app.cnb",
	} {
		ref, err := reference.Parse(given, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := local.Origin(ref); got != want {
			t.Errorf("%s: %s, want %s", given, got, want)
		}
		back, err := reference.Parse(local.Origin(ref), nil)
		if err != nil || back.Kind != ref.Kind || ref.Name != nil && back.Name.Name() != ref.Name.Name() {
			t.Errorf("%s: read back as %+v, %v", given, back, err)
		}
	}
}
