package manifest_test

import (
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/testhelpers/imgtest"
)

func wanted(t *testing.T, values ...string) manifest.Wanted {
	t.Helper()
	w, err := manifest.ParseWanted(values, platform.Platform{OS: "linux", Arch: "amd64"})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestParseWanted(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"linux", "linux/amd64,", "{", `{"os":"linux"}`, "", "linux/amd64 ", "linux/*[", "sha256:12", "UPPER/../x"} {
		if w, err := manifest.ParseWanted([]string{bad}, platform.Platform{}); !fault.Is(err, fault.Usage) && err == nil {
			if _, _, err = of(desc("a", "linux/amd64")).Choose(w, nil); !fault.Is(err, fault.Usage) && bad != "linux/amd64 " {
				t.Errorf("'%s': %v", bad, err)
			}
		}
	}
	if !wanted(t).IsZero() || wanted(t, "all").IsZero() || !wanted(t, "linux/amd64,all").IsAll() {
		t.Error("IsZero, IsAll")
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	i := of(desc("a", "linux/amd64"), desc("b", "linux/arm64"), desc("w", "windows/amd64:10.0.1"), desc("w2", "windows/amd64:10.0.2"),
		desc("n", ""), attestation("a-at", "a"), attestation("b-at", "b"))
	origins := func(h v1.Hash) []string {
		return map[v1.Hash][]string{hash("b"): {"docker://registry.test/acme/b:1"}, hash("n"): {"docker://registry.test/acme/n:1"}}[h]
	}
	for _, c := range []struct{ values, keep, one string }{
		{"linux/arm64", "b b-at", "b"},
		{"linux/arm*", "b b-at", ""},
		{"local", "a a-at", "a"},
		{"linux/arm64,linux/amd64", "a b a-at b-at", ""},
		{"windows/amd64", "w w2", ""},
		{"windows/amd64:10.0.2", "w2", "w2"},
		{hash("n").String(), "n", "n"},
		{hash("n").Hex[:9] + ",linux/amd64", "a n a-at", ""},
		{"registry.test/acme/b:1", "b b-at", "b"},
		{"registry.test/acme/b:1," + hash("b").String(), "b b-at", ""},
		{`{"os":"linux","architecture":"arm64"}`, "b b-at", "b"},
		{"all", "a b w w2 n a-at b-at", ""},
		{hash("a-at").String(), "a-at", "a-at"},
	} {
		got, one, err := i.Choose(wanted(t, c.values), origins)
		if err != nil {
			t.Errorf("%s: %v", c.values, err)
			continue
		}
		var keep []string
		for _, seed := range strings.Fields(c.keep) {
			keep = append(keep, must(i.SelectOne(manifest.ByDigest(hash(seed)))).String())
		}
		if shape(got) != strings.Join(keep, " | ") {
			t.Errorf("%s: %s", c.values, shape(got))
		}
		if (one != nil) != (c.one != "") || one != nil && one.Descriptor.Digest != hash(c.one) {
			t.Errorf("%s: one is %v", c.values, one)
		}
	}
	for value, kind := range map[string]fault.Kind{
		"linux/s390x": fault.NotFound, "linux/amd64,linux/s390x": fault.NotFound, "darwin/*": fault.NotFound,
		hash("x").String(): fault.NotFound, "12345678": fault.NotFound,
		"linux/amd46": fault.Usage, "registry.test/acme/none:1": fault.Usage, "linux/amd64,nix": fault.Usage,
	} {
		if _, _, err := i.Choose(wanted(t, value), origins); !fault.Is(err, kind) {
			t.Errorf("%s: %v", value, err)
		}
	}
}

func TestPick(t *testing.T) {
	t.Parallel()
	idx := imgtest.Index(t, imgtest.IndexSpec{
		Images: imgtest.Of("top", "linux/amd64", "linux/arm64").Images, Attestations: true,
		Nested: []imgtest.IndexSpec{
			{Images: append(imgtest.Of("nested", "linux/s390x", "linux/ppc64le").Images, imgtest.Of("top", "linux/amd64").Images...), Attestations: true,
				Nested: []imgtest.IndexSpec{imgtest.Of("deep", "linux/riscv64")}},
		},
		Annotations: map[string]string{"kept": "yes"},
	})
	pick := func(o manifest.PickOptions, values ...string) manifest.Artifact {
		t.Helper()
		a, err := manifest.Pick(idx, wanted(t, values...), o)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	same := func(a, b manifest.Artifact) bool { return must(a.Digest()) == must(b.Digest()) }
	if !same(pick(manifest.PickOptions{}), idx) || !same(pick(manifest.PickOptions{AsIndex: true}, "all"), idx) {
		t.Error("asking for everything changes the index")
	}
	for _, p := range []string{"linux/arm64", "linux/ppc64le", "linux/riscv64"} {
		img, ok := pick(manifest.PickOptions{}, p).(v1.Image)
		if !ok || must(img.ConfigFile()).Architecture != p[len("linux/"):] {
			t.Errorf("%s: %v", p, img)
		}
	}
	for values, want := range map[string]int{"linux/ppc64le": 2, "linux/amd64": 2, "linux/*": 9, "linux/arm64,linux/s390x": 4} {
		got, ok := pick(manifest.PickOptions{AsIndex: true}, values).(v1.ImageIndex)
		if !ok {
			t.Fatalf("%s is no index", values)
		}
		m := must(got.IndexManifest())
		if len(m.Manifests) != want || m.Annotations["kept"] != "yes" {
			t.Errorf("%s: %d entries: %v", values, len(m.Manifests), m)
		}
		for _, d := range m.Manifests {
			if img, err := got.Image(d.Digest); err != nil || must(img.Digest()) != d.Digest {
				t.Errorf("%s: %v", values, err)
			}
		}
	}
	nested := must(idx.IndexManifest()).Manifests[4]
	if got, ok := pick(manifest.PickOptions{}, nested.Digest.String()).(v1.ImageIndex); !ok || must(got.Digest()) != nested.Digest {
		t.Errorf("a nested index by its digest: %v", got)
	}
	if _, err := manifest.Pick(idx, wanted(t, "windows/*"), manifest.PickOptions{}); !fault.Is(err, fault.NotFound) ||
		!strings.Contains(err.Error(), "linux/amd64, linux/arm64, linux/s390x, linux/ppc64le, linux/riscv64") {
		t.Errorf("%v", err)
	}
}

func TestPickOfAnImage(t *testing.T) {
	t.Parallel()
	img := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/arm64"})
	for _, values := range []string{"linux/arm64", "linux/*", "all", must(img.Digest()).String()} {
		if a, err := manifest.Pick(img, wanted(t, values), manifest.PickOptions{}); err != nil || a != manifest.Artifact(img) {
			t.Errorf("%s: %v %v", values, a, err)
		}
		a, err := manifest.Pick(img, wanted(t, values), manifest.PickOptions{AsIndex: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Index(a.(v1.ImageIndex)); err != nil {
			t.Errorf("%s: %v", values, err)
		}
		if d := must(a.(v1.ImageIndex).IndexManifest()).Manifests[0]; d.Platform.Architecture != "arm64" {
			t.Errorf("%s: %v", values, d)
		}
	}
	if _, err := manifest.Pick(img, wanted(t, "linux/amd64"), manifest.PickOptions{}); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "linux/arm64") {
		t.Errorf("%v", err)
	}
	silent := imgtest.Image(t, imgtest.ImageSpec{})
	if _, err := manifest.Pick(silent, wanted(t, "linux/amd64"), manifest.PickOptions{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
}
