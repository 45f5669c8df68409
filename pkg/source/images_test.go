package source_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/source"
)

func attestation(of v1.Image) mutate.IndexAddendum {
	return mutate.IndexAddendum{Add: image(""), Descriptor: v1.Descriptor{
		Platform:    &v1.Platform{OS: "unknown", Architecture: "unknown"},
		Annotations: map[string]string{"vnd.docker.reference.digest": must(of.Digest()).String(), "vnd.docker.reference.type": "attestation-manifest"},
	}}
}

func TestImages(t *testing.T) {
	t.Parallel()
	amd, arm, old, silent := image("linux/amd64"), image("linux/arm64"), image("linux/arm/v6"), image("linux/s390x")
	chart := mutate.ConfigMediaType(image(""), "application/vnd.cncf.helm.config.v1+json")
	idx := index(
		entry(amd, "linux/amd64"), attestation(amd),
		entry(index(entry(arm, "linux/arm64"), entry(old, "linux/arm/v6")), ""),
		mutate.IndexAddendum{Add: silent, Descriptor: v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: must(silent.Digest()), Size: must(silent.Size())}},
		mutate.IndexAddendum{Add: chart, Descriptor: v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: must(chart.Digest()), Size: must(chart.Size())}},
	)
	o := opened(t, source.Deps{}, "oci:"+layoutOf(t, idx))
	got, err := source.Images(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		p   string
		img v1.Image
	}{{"linux/amd64", amd}, {"linux/arm64", arm}, {"linux/arm/v6", old}, {"linux/s390x", silent}}
	if len(got) != len(want) {
		t.Fatalf("%d images, want %d: %v", len(got), len(want), got)
	}
	for i, w := range want {
		if got[i].Platform != plat(w.p) || got[i].Descriptor.Digest != must(w.img.Digest()) {
			t.Errorf("image %d: %v %v, want %s", i, got[i].Platform, got[i].Descriptor.Digest, w.p)
		}
		same(t, got[i].Image, w.img)
	}

	plain, err := source.Images(t.Context(), opened(t, source.Deps{}, "oci:"+layoutOf(t, arm)))
	if err != nil || len(plain) != 1 || plain[0].Platform != plat("linux/arm64") || plain[0].Descriptor.Digest != must(arm.Digest()) {
		t.Errorf("a plain image: %v, %v", plain, err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := source.Images(cancelled, o); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestOpenFor(t *testing.T) {
	t.Parallel()
	imgs := map[string]v1.Image{}
	var entries []mutate.IndexAddendum
	for _, p := range []string{"linux/amd64:22.04", "linux/amd64", "linux/arm64", "linux/arm/v7", "windows/amd64:10.0.20348.1970"} {
		imgs[p] = image(p)
		entries = append(entries, entry(imgs[p], p))
	}
	s390x := image("linux/s390x")
	imgs["linux/s390x"] = s390x
	entries = append(entries, mutate.IndexAddendum{Add: s390x, Descriptor: v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: must(s390x.Digest()), Size: must(s390x.Size())}})
	idx := index(entries...)
	dir := layoutOf(t, idx)
	opener := source.New(source.Deps{})
	for ask, want := range map[string]string{
		"linux/amd64": "linux/amd64", "linux/amd64:22.04": "linux/amd64:22.04", "linux/amd64:24.04": "linux/amd64",
		"linux/arm64/v8": "linux/arm64", "linux/arm64:1": "linux/arm64", "linux/arm": "linux/arm/v7",
		"windows/amd64": "windows/amd64:10.0.20348.1970", "linux/s390x": "linux/s390x",
	} {
		o, err := source.OpenFor(t.Context(), opener, parsed(t, "oci:"+dir), plat(ask))
		if err != nil {
			t.Errorf("%s: %v", ask, err)
			continue
		}
		same(t, o.Artifact, imgs[want])
		if o.Platform != plat(want) {
			t.Errorf("%s: platform %v, want %s", ask, o.Platform, want)
		}
		must(0, o.Done())
	}
	for _, ask := range []string{"linux/arm/v6", "windows/amd64:1.2", "linux/riscv64"} {
		_, err := source.OpenFor(t.Context(), opener, parsed(t, "oci:"+dir), plat(ask))
		if !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "linux/arm64, linux/arm/v7") || !strings.Contains(err.Error(), "'"+ask+"'") {
			t.Errorf("%s: %v does not list what there is", ask, err)
		}
	}
}

func TestOpenForPlainImages(t *testing.T) {
	t.Parallel()
	opener := source.New(source.Deps{})
	arm := "oci:" + layoutOf(t, image("linux/arm64"))
	if o, err := source.OpenFor(t.Context(), opener, parsed(t, arm), plat("linux/arm64")); err != nil || o.Platform != plat("linux/arm64") {
		t.Errorf("its own platform: %v, %v", o.Platform, err)
	}
	if _, err := source.OpenFor(t.Context(), opener, parsed(t, arm), plat("linux/amd64")); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "linux/arm64") {
		t.Errorf("another platform: %v", err)
	}
	silent := "oci:" + layoutOf(t, image(""))
	o, err := source.OpenFor(t.Context(), opener, parsed(t, silent), plat("linux/amd64"))
	if err != nil || o.Platform != (platform.Platform{OS: "linux"}) {
		t.Errorf("an image that does not say: %v, %v", o.Platform, err)
	}
}

// TestSparse: one platform can be had from an index whose other children are
// not there; all of them cannot.
func TestSparse(t *testing.T) {
	t.Parallel()
	amd, arm := image("linux/amd64"), image("linux/arm64")
	dir := layoutOf(t, index(entry(amd, "linux/amd64"), entry(arm, "linux/arm64")))
	must(0, os.Remove(filepath.Join(dir, "blobs", "sha256", must(arm.Digest()).Hex)))
	opener := source.New(source.Deps{})
	o, err := source.OpenFor(t.Context(), opener, parsed(t, "oci:"+dir), plat("linux/amd64"))
	if err != nil {
		t.Fatal(err)
	}
	check(t, o.Artifact)
	if _, err := source.OpenFor(t.Context(), opener, parsed(t, "oci:"+dir), plat("linux/arm64")); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), must(arm.Digest()).String()) {
		t.Errorf("the absent child: %v", err)
	}
	if _, err := source.Images(t.Context(), opened(t, source.Deps{}, "oci:"+dir)); !fault.Is(err, fault.NotFound) {
		t.Errorf("all children: %v", err)
	}
}

// TestList: what is listed need not be there before it is opened.
func TestList(t *testing.T) {
	t.Parallel()
	amd, arm, silent := image("linux/amd64"), image("linux/arm64"), image("linux/s390x")
	dir := layoutOf(t, index(entry(amd, "linux/amd64"), attestation(amd), entry(arm, "linux/arm64"),
		mutate.IndexAddendum{Add: silent, Descriptor: v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: must(silent.Digest()), Size: must(silent.Size())}}))
	must(0, os.Remove(filepath.Join(dir, "blobs", "sha256", must(arm.Digest()).Hex)))
	list, err := source.List(t.Context(), opened(t, source.Deps{}, "oci:"+dir))
	if err != nil {
		t.Fatal(err)
	}
	want := []platform.Platform{plat("linux/amd64"), plat("linux/arm64"), plat("linux/s390x")}
	if got := list.Platforms(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	got, err := list.Open(t.Context(), 2, 0)
	if err != nil || len(got) != 2 || got[0].Platform != want[2] || got[1].Platform != want[0] {
		t.Fatalf("got %v, %v", got, err)
	}
	same(t, got[0].Image, silent)
	same(t, got[1].Image, amd)
	if _, err := list.Open(t.Context(), 0, 1); !fault.Is(err, fault.NotFound) {
		t.Errorf("the absent child: %v", err)
	}
}
