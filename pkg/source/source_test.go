package source_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/ocilayout"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/registry"
	"github.com/multipack/multipack/pkg/source"
)

func TestLayouts(t *testing.T) {
	t.Parallel()
	idx := index(entry(image("linux/amd64"), "linux/amd64"), entry(image("linux/arm64"), "linux/arm64"))
	dir := layoutOf(t, idx, layout.WithAnnotations(map[string]string{
		ocilayout.ImageNameAnnotation: "docker.io/library/alpine:3.16", ocilayout.RefNameAnnotation: "3.16",
	}))
	raw := tarOf(t, dir)
	archive, cnb := file(t, "x.tar", raw), file(t, "x.cnb", raw)
	child := must(idx.IndexManifest()).Manifests[1].Digest.String()
	for _, ref := range []string{
		"oci-layout://" + dir, "oci-layout://" + dir + ":3.16", "oci:" + dir + ":alpine:3.16", "oci-layout://" + dir + "/alpine:3.16",
		"oci-layout://" + dir + "/docker.io/library/alpine:3.16", "oci-layout://" + dir + "@" + must(idx.Digest()).String(),
		"oci-layout://" + archive, "oci-archive:" + archive, "oci-archive:" + archive + ":3.16", archive, cnb, dir, "docker-archive:" + archive,
	} {
		o := opened(t, source.Deps{}, ref)
		if !o.Volatile || o.Origin != (name.Repository{}) {
			t.Errorf("%s: %+v", ref, o)
		}
		same(t, o.Artifact, idx)
		check(t, o.Artifact)
	}
	o := opened(t, source.Deps{}, cnb+"@"+child)
	if got := must(o.Artifact.Digest()).String(); got != child {
		t.Errorf("%s, want %s", got, child)
	}
	in := opened(t, source.Deps{Stdin: bytes.NewReader(raw)}, "-")
	same(t, in.Artifact, idx)
	check(t, in.Artifact)
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	dir := layoutOf(t, image("linux/amd64"))
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for ref, kind := range map[string]fault.Kind{
		"alpine":                             fault.Usage, // no registry was given
		"docker-daemon:alpine":               fault.Usage,
		"local:x":                            fault.Usage,
		"-":                                  fault.Usage,
		"docker-archive:" + dir:              fault.Usage,
		"/no/such/file.cnb":                  fault.NotFound,
		"oci-layout:///no/such/dir":          fault.NotFound,
		"oci-archive:/no/such.tar":           fault.NotFound,
		"docker-archive:/no/such.tar":        fault.NotFound,
		"oci-layout://" + dir + ":nope":      fault.NotFound,
		"oci-layout://" + dir + "/a:1":       fault.NotFound,
		file(t, "text.cnb", []byte("hello")): fault.Failed,
		file(t, "other.tar", tarOf(t, filepath.Join(dir, "blobs"))): fault.Failed,
		socket:                     fault.Failed,
		"docker-archive:" + socket: fault.Failed,
		"oci-layout://" + socket:   fault.Failed,
	} {
		_, err := source.New(source.Deps{}).Open(t.Context(), parsed(t, ref))
		if !fault.Is(err, kind) {
			t.Errorf("%s: %v, want a %v error", ref, err, kind)
		}
	}
	if _, err := source.New(source.Deps{Stdin: strings.NewReader("no tar")}).Open(t.Context(), parsed(t, "-")); !fault.Is(err, fault.Failed) {
		t.Errorf("bad stdin: %v", err)
	}
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(ociserver.New(ocimem.New(), nil))
	t.Cleanup(server.Close)
	client := must(registry.New(registry.Config{Retries: 0}))
	t.Cleanup(client.CloseIdle)
	repo := strings.TrimPrefix(server.URL, "http://") + "/team/app"
	amd, arm := image("linux/amd64"), image("linux/arm64")
	idx := index(entry(amd, "linux/amd64"), attestation(amd), entry(arm, "linux/arm64"))
	must(0, remote.WriteIndex(must(reference.ParseName(repo+":1")), idx))
	d := source.Deps{Registry: client}
	for _, ref := range []string{repo + ":1", "docker://" + repo + ":1", repo + "@" + must(idx.Digest()).String()} {
		o := opened(t, d, ref)
		if o.Volatile || o.Origin.Name() != repo {
			t.Errorf("%s: %+v", ref, o)
		}
		same(t, o.Artifact, idx)
		if all, err := source.Images(t.Context(), o); err != nil || len(all) != 2 {
			t.Errorf("%s: %d images, %v", ref, len(all), err)
		}
	}
	o, err := source.OpenFor(t.Context(), source.New(d), parsed(t, repo+":1"), plat("linux/arm64"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, o.Artifact, arm)
	check(t, o.Artifact)
	if _, ok := must(o.Artifact.(v1.Image).Layers())[0].(*remote.MountableLayer); !ok {
		t.Error("the layers cannot be mounted")
	}
	if _, err := source.New(d).Open(t.Context(), parsed(t, repo+":2")); !fault.Is(err, fault.NotFound) {
		t.Errorf("absent tag: %v", err)
	}
}

// lists is a local store of one list.
type lists struct {
	name string
	list manifest.Artifact
}

func (l lists) OpenList(_ context.Context, tag name.Tag) (manifest.Artifact, error) {
	if reference.Canonical(tag) != l.name {
		return nil, fault.New(fault.NotFound, "opening list '%s': there is none", tag)
	}
	return l.list, nil
}

func TestLists(t *testing.T) {
	t.Parallel()
	d := source.Deps{Lists: lists{"docker.io/library/l:latest", image("linux/amd64")}}
	if o := opened(t, d, "local:l"); !o.Volatile || o.Origin != (name.Repository{}) {
		t.Errorf("%+v", o)
	}
	if _, err := source.New(d).Open(t.Context(), parsed(t, "local:x")); !fault.Is(err, fault.NotFound) {
		t.Errorf("absent: %v", err)
	}
}

// TestCancelledInput: nobody writes to standard input, and the user gives up.
func TestCancelledInput(t *testing.T) {
	t.Parallel()
	never, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	d := source.Deps{Stdin: readerFunc(func(p []byte) (int, error) {
		cancel()
		return never.Read(p)
	})}
	if _, err := source.New(d).Open(ctx, parsed(t, "-")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestSkopeo reads what skopeo writes.
func TestSkopeo(t *testing.T) {
	t.Parallel()
	img := image("linux/amd64")
	from := "oci:" + layoutOf(t, img)
	out := t.TempDir()
	for _, ref := range []string{"oci:" + out + "/dir", "oci:" + out + "/dir2:v1", "oci-archive:" + out + "/a.tar", "oci-archive:" + out + "/b.tar:v1"} {
		skopeo(t, from, ref)
		o := opened(t, source.Deps{}, ref)
		same(t, o.Artifact, img)
		check(t, o.Artifact)
	}
	archive := "docker-archive:" + out + "/d.tar"
	skopeo(t, from, archive+":r.example/app:1")
	for _, ref := range []string{archive, archive + ":r.example/app:1", out + "/d.tar"} {
		savedLike(t, opened(t, source.Deps{}, ref), img)
		zipped := opened(t, source.Deps{Gzip: zip}, ref)
		savedLike(t, zipped, img)
		check(t, zipped.Artifact)
		same(t, opened(t, source.Deps{Gzip: zip}, ref).Artifact, zipped.Artifact)
	}
	if _, err := source.New(source.Deps{}).Open(t.Context(), parsed(t, archive+":r.example/app:2")); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "'r.example/app:1'") {
		t.Errorf("another name: %v", err)
	}
}

// savedLike: o holds the layers of want, under want's own config where that was kept.
func savedLike(t *testing.T, o source.Opened, want v1.Image) {
	t.Helper()
	img := o.Artifact.(v1.Image)
	if got, want := must(img.ConfigName()), must(want.ConfigName()); got != want {
		t.Errorf("image ID %v, want %v", got, want)
	}
	layers, wants := must(img.Layers()), must(want.Layers())
	if len(layers) != len(wants) {
		t.Fatalf("%d layers, want %d", len(layers), len(wants))
	}
	for i, l := range layers {
		got, err := io.ReadAll(must(l.Uncompressed()))
		if err != nil || !bytes.Equal(got, must(io.ReadAll(must(wants[i].Uncompressed())))) {
			t.Errorf("layer %d: another content, %v", i, err)
		}
		if must(l.DiffID()) != must(wants[i].DiffID()) {
			t.Errorf("layer %d: another diff ID", i)
		}
		stored := must(io.ReadAll(must(l.Compressed())))
		if h, n, _ := v1.SHA256(bytes.NewReader(stored)); h != must(l.Digest()) || n != must(l.Size()) {
			t.Errorf("layer %d: digest or size is not that of its bytes", i)
		}
	}
}

// dockerArchive writes a docker archive by hand.
func dockerArchive(t *testing.T, imgs map[string]v1.Image, compressed bool) string {
	t.Helper()
	dir := t.TempDir()
	put := func(name string, data []byte) string {
		must(0, os.WriteFile(filepath.Join(dir, name), data, 0o644))
		return name
	}
	var list []map[string]any
	for tag, img := range imgs {
		var layers []string
		for _, l := range must(img.Layers()) {
			rc := must(l.Uncompressed())
			if compressed {
				rc = must(l.Compressed())
			}
			layers = append(layers, put(must(l.DiffID()).Hex+".tar", must(io.ReadAll(rc))))
		}
		list = append(list, map[string]any{
			"Config": put(must(img.ConfigName()).Hex+".json", must(img.RawConfigFile())), "RepoTags": []string{tag}, "Layers": layers,
		})
	}
	put("manifest.json", must(json.Marshal(list)))
	return dir
}

func TestDockerArchive(t *testing.T) {
	t.Parallel()
	a, b := image("linux/amd64"), image("linux/arm64")
	imgs := map[string]v1.Image{"alpine:3.16": a, "r.example/b:1": b}
	for _, compressed := range []bool{false, true} {
		path := file(t, "x.tar", tarOf(t, dockerArchive(t, imgs, compressed)))
		ref := "docker-archive:" + path
		o := opened(t, source.Deps{}, ref+":docker.io/library/alpine:3.16")
		savedLike(t, o, a)
		mt := must(must(o.Artifact.(v1.Image).Layers())[0].MediaType())
		if want := map[bool]types.MediaType{false: types.OCIUncompressedLayer, true: types.OCILayer}[compressed]; mt != want {
			t.Errorf("layers are %s, want %s", mt, want)
		}
		savedLike(t, opened(t, source.Deps{Gzip: zip}, ref+":r.example/b:1"), b)
		if _, err := source.New(source.Deps{}).Open(t.Context(), parsed(t, ref)); !fault.Is(err, fault.Usage) || fault.HintOf(err) == "" {
			t.Errorf("two images and no name: %v", err)
		}
	}
}

func TestDockerArchiveCorrupt(t *testing.T) {
	t.Parallel()
	img := image("linux/amd64")
	layer := must(must(img.Layers())[1].DiffID()).Hex + ".tar"
	for _, name := range []string{layer, must(img.ConfigName()).Hex + ".json", "manifest.json"} {
		dir := dockerArchive(t, map[string]v1.Image{"a:1": img}, false)
		data := must(os.ReadFile(filepath.Join(dir, name)))
		data[len(data)/2] ^= 1
		must(0, os.WriteFile(filepath.Join(dir, name), data, 0o644))
		ref := parsed(t, "docker-archive:"+file(t, "x.tar", tarOf(t, dir))+":a:1")
		for _, d := range []source.Deps{{}, {Gzip: zip}} {
			o, err := source.New(d).Open(t.Context(), ref)
			if err == nil && name == layer {
				l := must(o.Artifact.(v1.Image).Layers())[1]
				_, err = io.Copy(io.Discard, must(l.Compressed()))
				must(0, o.Done())
			}
			if err == nil {
				t.Errorf("a corrupt %s was read", name)
			}
		}
	}
}

// TestHybrid: what engines from 25 on save is both kinds of archive.
func TestHybrid(t *testing.T) {
	t.Parallel()
	img := image("linux/amd64")
	dir := layoutOf(t, img, layout.WithAnnotations(map[string]string{
		ocilayout.ImageNameAnnotation: "docker.io/library/app:1", ocilayout.RefNameAnnotation: "1",
	}))
	saved := dockerArchive(t, map[string]v1.Image{"other:1": img}, false)
	path := file(t, "x.tar", tarOf(t, dir, saved))
	for _, ref := range []string{path, "docker-archive:" + path, "docker-archive:" + path + ":app:1", "oci-archive:" + path + ":1"} {
		same(t, opened(t, source.Deps{}, ref).Artifact, img)
	}
	savedLike(t, opened(t, source.Deps{}, "docker-archive:"+path+":other:1"), img)
}

func TestTemporaryFilesGo(t *testing.T) {
	tmp := t.TempDir()
	archive := file(t, "x.tar", tarOf(t, dockerArchive(t, map[string]v1.Image{"a:1": image("linux/amd64")}, false)))
	t.Setenv("TMPDIR", tmp)
	raw := must(os.ReadFile(archive))
	for range 2 {
		d := source.Deps{Gzip: zip, Stdin: bytes.NewReader(raw)}
		o, err := source.New(d).Open(t.Context(), parsed(t, "-"))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(must(os.ReadDir(tmp))); n != 3 {
			t.Errorf("%d temporary files, want the spooled tar and two layers", n)
		}
		must(0, o.Done())
	}
	d := source.Deps{Gzip: func(io.Writer) (io.WriteCloser, error) { return nil, errors.New("boom") }, Stdin: bytes.NewReader(raw)}
	if _, err := source.New(d).Open(t.Context(), parsed(t, "-")); err == nil {
		t.Error("a failing compressor went unnoticed")
	}
	if left := must(os.ReadDir(tmp)); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
