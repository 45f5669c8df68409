package manifest_test

import (
	"fmt"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
)

func platformList(e manifest.Entry) platform.List {
	return platform.List{Filters: []platform.Filter{{Platform: e.Platform}}}
}

type children map[v1.Hash]manifest.Artifact

func (c children) Child(h v1.Hash) (manifest.Artifact, error) {
	if a, ok := c[h]; ok {
		return a, nil
	}
	return nil, fault.New(fault.NotFound, "opening '%s': not here", h)
}

func TestBind(t *testing.T) {
	t.Parallel()
	img := must(random.Image(200, 2))
	nested := must(random.Index(100, 1, 2))
	c := children{must(img.Digest()): img, must(nested.Digest()): nested, hash("liar"): img}
	i := manifest.New(types.OCIImageIndex)
	for _, a := range []manifest.Artifact{img, nested} {
		d := v1.Descriptor{MediaType: must(a.MediaType()), Size: must(a.Size()), Digest: must(a.Digest())}
		i = must(i.Add(d))
	}
	i = i.Annotate(manifest.Annotation{Key: "k", Value: "v"})
	b, err := manifest.Bind(i, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(b); err != nil {
		t.Errorf("go-containerregistry finds: %v", err)
	}
	if string(must(b.RawManifest())) != raw(t, i) || must(b.Digest()) != must(i.Digest()) || must(b.Size()) != must(i.Size()) {
		t.Error("the bytes are not the index's")
	}
	m := must(b.IndexManifest())
	if m.Annotations["k"] != "v" || len(m.Manifests) != 2 || m.Manifests[0].Digest != must(img.Digest()) {
		t.Errorf("%+v", m)
	}
	if _, err := b.Image(must(nested.Digest())); err == nil {
		t.Error("an index as an image")
	}
	if _, err := b.ImageIndex(must(img.Digest())); err == nil {
		t.Error("an image as an index")
	}
	if _, err := b.Image(hash("none")); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	if _, err := b.Image(hash("liar")); err == nil || !strings.Contains(err.Error(), must(img.Digest()).String()) {
		t.Errorf("a child with another digest: %v", err)
	}
	alone := must(manifest.Bind(i, nil))
	if _, err := alone.Image(must(img.Digest())); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	// It is good enough for go-containerregistry's own edits.
	if got := must(mutate.AppendManifests(b, mutate.IndexAddendum{Add: img}).IndexManifest()); len(got.Manifests) != 3 {
		t.Errorf("%d entries", len(got.Manifests))
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	noted := desc("c", "linux/s390x")
	noted.Annotations = map[string]string{"k": "v"}
	moved := desc("m", "linux/386")
	a := of(desc("a", "linux/amd64"), desc("b", "linux/arm64"), desc("c", "linux/s390x"), desc("m", "linux/ppc64le"), desc("gone", ""))
	b := of(desc("b2", "linux/arm64"), desc("a", "linux/amd64"), noted, moved, desc("new", "windows/amd64")).WithArtifactType("x")
	d := manifest.Diff(a, b)
	var got []string
	for _, e := range d.Added {
		got = append(got, "+"+e.Descriptor.Digest.Hex)
	}
	for _, e := range d.Removed {
		got = append(got, "-"+e.Descriptor.Digest.Hex)
	}
	for _, c := range d.Changed {
		got = append(got, fmt.Sprint(c.Old.Platform, " ", c.New.Platform, " ", c.Fields))
	}
	got = append(got, fmt.Sprint(d.Fields, d.Reordered))
	want := []string{"+" + hash("new").Hex, "-" + hash("gone").Hex, "linux/arm64 linux/arm64 [digest size]", "linux/s390x linux/s390x [annotations]",
		"linux/ppc64le linux/386 [platform]", "[artifactType] true"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	if d.IsEmpty() || !manifest.Diff(a, a).IsEmpty() {
		t.Error("IsEmpty")
	}
	// White space, key order and a media type that is left out are no differences.
	spaced := must(manifest.Parse([]byte(fmt.Sprintf(`{"manifests": [ {"digest":"%s", "size": 101,
		"platform": {"os":"linux","architecture":"amd64"}, "mediaType":"application/vnd.oci.image.manifest.v1+json"} ], "schemaVersion": 2}`, hash("a")))))
	if d := manifest.Diff(spaced, of(desc("a", "linux/amd64"))); !d.IsEmpty() {
		t.Errorf("%+v", d)
	}
	// Another spelling of one platform is one.
	v8 := desc("a", "linux/arm64")
	v8.Platform.Variant = "v8"
	if d := manifest.Diff(of(v8), of(desc("a", "linux/arm64"))); len(d.Changed) != 1 || d.Changed[0].Fields[0] != "platform" {
		t.Errorf("%+v", d)
	}
}
