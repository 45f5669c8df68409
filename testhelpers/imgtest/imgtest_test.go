package imgtest_test

import (
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/multipack/multipack/testhelpers/imgtest"
)

func TestImagesAreValidAndRepeatable(t *testing.T) {
	t.Parallel()
	specs := map[string]imgtest.ImageSpec{
		"plain":     {Platform: "linux/amd64"},
		"docker":    {Platform: "linux/arm/v6", Docker: true, Layers: 3, Shared: 2},
		"zstd":      {Platform: "linux/s390x", Zstd: true, LayerSize: 5000},
		"labels":    {Labels: map[string]string{"b": "2", "a": "1"}, Annotations: map[string]string{"x": "y"}},
		"no layers": {Platform: "linux/amd64", Layers: -1},
	}
	for name, spec := range specs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			img := imgtest.Image(t, spec)
			var opts []validate.Option
			if spec.Zstd {
				opts = append(opts, validate.Fast) // the full check reads gzip only
			}
			if err := validate.Image(img, opts...); err != nil {
				t.Fatal(err)
			}
			if a, b := digestOf(t, img), digestOf(t, imgtest.Image(t, spec)); a != b {
				t.Fatalf("the same specification gave %s and %s", a, b)
			}
		})
	}
}

func TestSharedLayersAreSharedAndOthersAreNot(t *testing.T) {
	t.Parallel()
	a := layersOf(t, imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/amd64", Layers: 2, Shared: 1}))
	b := layersOf(t, imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/arm64", Layers: 2, Shared: 1}))
	if a[0] != b[0] {
		t.Errorf("the shared layers differ: %s, %s", a[0], b[0])
	}
	if a[1] == b[1] {
		t.Errorf("the layers of two platforms are one: %s", a[1])
	}
}

func TestIndexHoldsAllThatWasAsked(t *testing.T) {
	t.Parallel()
	spec := imgtest.Of("seed", "linux/amd64", "linux/arm64/v9")
	spec.Nested = []imgtest.IndexSpec{imgtest.Of("nested", "linux/s390x")}
	idx := imgtest.Index(t, spec)
	if err := validate.Index(idx); err != nil {
		t.Fatal(err)
	}
	spec.Attestations, spec.Docker = true, true
	m, err := imgtest.Index(t, spec).IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if m.MediaType != types.DockerManifestList || len(m.Manifests) != 5 {
		t.Fatalf("got %s with %d entries", m.MediaType, len(m.Manifests))
	}
	if got := m.Manifests[1].Platform.Variant; got != "v9" {
		t.Errorf("the second entry's variant is '%s'", got)
	}
	if got := m.Manifests[3].Annotations["vnd.docker.reference.digest"]; got != m.Manifests[1].Digest.String() {
		t.Errorf("the second attestation is about '%s'", got)
	}
	if !m.Manifests[4].MediaType.IsIndex() {
		t.Errorf("the last entry is %s", m.Manifests[4].MediaType)
	}
}

func TestBuildpackLabelNamesItsLayer(t *testing.T) {
	t.Parallel()
	img := imgtest.Buildpack(t, imgtest.BuildpackSpec{ID: "acme/bp", Version: "1.2.3", Platform: "linux/arm64"})
	if err := validate.Image(img); err != nil {
		t.Fatal(err)
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"acme/bp":{"1.2.3":{"api":"0.10","stacks":[{"id":"*"}],"layerDiffID":"` + cfg.RootFS.DiffIDs[0].String() + `"}}}`
	if got := cfg.Config.Labels["io.buildpacks.buildpack.layers"]; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func digestOf(t *testing.T, img v1.Image) v1.Hash {
	t.Helper()
	h, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func layersOf(t *testing.T, img v1.Image) []v1.Hash {
	t.Helper()
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	var out []v1.Hash
	for _, l := range m.Layers {
		out = append(out, l.Digest)
	}
	return out
}
