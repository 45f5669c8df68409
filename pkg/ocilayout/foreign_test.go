package ocilayout_test

import (
	"bytes"
	"context"
	"io"
	"os/exec"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/pkg/ocilayout"
)

func TestMediaTypes(t *testing.T) {
	t.Parallel()
	docker := mutate.ConfigMediaType(mutate.MediaType(image(t, "amd64"), types.DockerManifestSchema2), types.DockerConfigJSON)
	list := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.DockerManifestList), mutate.IndexAddendum{Add: docker})
	var layers []mutate.Addendum
	raw := must(io.ReadAll(must(must(image(t, "amd64").Layers())[0].Uncompressed())))
	for mt, data := range map[types.MediaType][]byte{
		types.OCIUncompressedLayer: raw, types.OCILayerZStd: zst(append([]byte(nil), raw...)), types.OCILayer: gz(append([]byte(nil), raw...)),
	} {
		l, err := staticLayer(mt, data, raw)
		if err != nil {
			t.Fatal(err)
		}
		layers = append(layers, mutate.Addendum{Layer: l, MediaType: mt})
	}
	mixed := must(mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layers...))
	dir := ggcrLayout(t, func(p layout.Path) {
		must(0, p.AppendIndex(list, named(ocilayout.RefNameAnnotation, "docker")))
		must(0, p.AppendImage(mixed, named(ocilayout.RefNameAnnotation, "mixed")))
	})
	l := open(t, dir)
	check(t, must(l.Artifact(must(l.Find("docker", "")))))
	img := must(l.Artifact(must(l.Find("mixed", "")))).(v1.Image)
	for _, layer := range must(img.Layers()) {
		if got := must(io.ReadAll(must(layer.Uncompressed()))); !bytes.Equal(got, raw) {
			t.Errorf("%v: the content is another one", must(layer.MediaType()))
		}
		if again := must(img.LayerByDigest(must(layer.Digest()))); must(again.MediaType()) != must(layer.MediaType()) {
			t.Errorf("LayerByDigest gives %v", must(again.MediaType()))
		}
	}
}

// TestConfusedManifest: content must not be an image to one reader and an index to another.
func TestConfusedManifest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		raw string
		mt  types.MediaType
		ok  bool
	}{
		"both":        {`{"schemaVersion":2,"layers":[],"manifests":[]}`, types.OCIManifestSchema1, false},
		"other type":  {`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`, types.OCIManifestSchema1, false},
		"other index": {`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}`, types.OCIImageIndex, false},
		"no type":     {`{"schemaVersion":2,"manifests":[]}`, "", true},
		"unknown":     {`{}`, "text/plain", false},
		"schema 1":    {`{}`, types.DockerManifestSchema1Signed, false},
	} {
		dir := t.TempDir()
		d := must(ocilayout.Create(dir))
		h, size, err := v1.SHA256(strings.NewReader(c.raw))
		if err != nil {
			t.Fatal(err)
		}
		write(t, d, []byte(c.raw))
		entries(t, d, v1.Descriptor{MediaType: c.mt, Digest: h, Size: size})
		l := open(t, dir)
		a, err := l.Artifact(l.Descriptors()[0])
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if _, isIndex := a.(v1.ImageIndex); isIndex != c.ok {
			t.Errorf("%s: %T", name, a)
		}
	}
}

func TestSkopeo(t *testing.T) {
	t.Parallel()
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Skip("skopeo is not installed")
	}
	idx := index(t)
	from := ggcrLayout(t, func(p layout.Path) { must(0, p.AppendIndex(idx)) })
	out := t.TempDir()
	for to, find := range map[string]string{
		"oci:" + out + "/dir:v1":           "v1",
		"oci:" + out + "/dir2":             "",
		"oci-archive:" + out + "/a.tar:v1": "v1",
	} {
		cmd := exec.CommandContext(context.Background(), skopeo, "--insecure-policy", "copy", "--quiet", "--all", "oci:"+from, to)
		if msg, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, msg)
		}
		path := strings.Split(to, ":")[1]
		l := open(t, path)
		a, err := l.Artifact(must(l.Find(find, "")))
		if err != nil {
			t.Fatal(err)
		}
		check(t, a)
		// skopeo writes the index anew, but its children as they are.
		children := must(a.(v1.ImageIndex).IndexManifest()).Manifests
		for i, want := range must(idx.IndexManifest()).Manifests {
			if children[i].Digest != want.Digest {
				t.Errorf("%s: child %d has another digest", to, i)
			}
		}
	}
}
