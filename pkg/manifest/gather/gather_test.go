package gather_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/gather"
	"github.com/multipack/multipack/pkg/manifest/local"
	"github.com/multipack/multipack/pkg/manifest/store"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/source"
	"github.com/multipack/multipack/testhelpers/imgtest"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// from is an artifact as if opened from the reference.
func from(given string, a manifest.Artifact) source.Opened {
	ref := must(reference.Parse(given, nil))
	return source.Opened{Artifact: a, Ref: ref, Volatile: ref.Kind != reference.Registry}
}

func platforms(values ...string) platform.List {
	return must(platform.ParseList(values, platform.Platform{OS: "linux", Arch: "amd64"}))
}

// shown are the items' platforms, or what else they are.
func shown(items []gather.Item) string {
	var out []string
	for _, i := range items {
		switch {
		case i.Entry.IsAttestation:
			out = append(out, "attestation")
		case i.Entry.IsIndex:
			out = append(out, "index")
		case i.Entry.Platform.IsZero():
			out = append(out, "-")
		default:
			out = append(out, i.Entry.Platform.String())
		}
	}
	return strings.Join(out, " ")
}

func TestItems(t *testing.T) {
	t.Parallel()
	nested := imgtest.Index(t, imgtest.IndexSpec{
		Images:       []imgtest.ImageSpec{{Platform: "linux/amd64"}, {Platform: "linux/arm/v6"}},
		Attestations: true,
		Nested:       []imgtest.IndexSpec{imgtest.Of("n", "linux/s390x", "linux/ppc64le")},
	})
	arm := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/arm64", Seed: "x"})
	sources := []source.Opened{from("r.test/idx:1", nested), from("oci:arm", arm)}
	for _, test := range []struct {
		name string
		o    gather.Options
		want string
	}{
		{"all", gather.Options{}, "linux/amd64 linux/arm/v6 attestation attestation linux/s390x linux/ppc64le linux/arm64"},
		{"platform all", gather.Options{Platforms: platforms("all")}, "linux/amd64 linux/arm/v6 attestation attestation linux/s390x linux/ppc64le linux/arm64"},
		{"no attestations", gather.Options{NoAttestations: true}, "linux/amd64 linux/arm/v6 linux/s390x linux/ppc64le linux/arm64"},
		{"nested", gather.Options{Nested: true}, "index linux/arm64"},
		{"some", gather.Options{Platforms: platforms("linux/s390x", "linux/amd64", "linux/arm64")}, "linux/amd64 attestation linux/s390x linux/arm64"},
		{"pattern", gather.Options{Platforms: platforms("linux/arm*", "linux/arm*/*")}, "linux/arm/v6 attestation linux/arm64"},
	} {
		items, err := gather.Items(t.Context(), sources, test.o)
		if err != nil || shown(items) != test.want {
			t.Errorf("%s: %s, %v; want %s", test.name, shown(items), err, test.want)
		}
		for _, i := range items {
			if i.Deep != (i.Source == 1) || len(i.Origins) != 1 || i.Artifact == nil || i.Contradicts() {
				t.Errorf("%s: %+v", test.name, i)
			}
		}
	}
	for name, o := range map[string]gather.Options{
		"not there":     {Platforms: platforms("linux/amd64", "linux/arm64", "linux/riscv64")},
		"other pattern": {Platforms: platforms("windows/*", "linux/*")},
		"one source":    {Platforms: platforms("linux/amd64")},
	} {
		if items, err := gather.Items(t.Context(), sources, o); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "the platforms are linux/") {
			t.Errorf("%s: %s, %v", name, shown(items), err)
		}
	}
}

// children are opened by digest; what is not among them is not there.
type children map[v1.Hash]manifest.Artifact

func (c children) Child(h v1.Hash) (manifest.Artifact, error) {
	if a, ok := c[h]; ok {
		return a, nil
	}
	return nil, fault.As(fault.NotFound, errors.New("not there"))
}

// bound is an index with the entries' text as it is, over the children.
func bound(t *testing.T, entries string, known ...manifest.Artifact) v1.ImageIndex {
	t.Helper()
	c := children{}
	for n, a := range known {
		h := must(a.Digest())
		c[h] = a
		entries = strings.ReplaceAll(entries, "$"+string(rune('0'+n)), `"mediaType":"`+string(must(a.MediaType()))+`","digest":"`+h.String()+`"`)
	}
	idx, err := manifest.Parse([]byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[` + entries + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return must(manifest.Bind(idx, c))
}

// TestWhatEntriesSay: entries keep the bytes of the source's index; what they
// do not say comes from the index around them, else from the image's config.
func TestWhatEntriesSay(t *testing.T) {
	t.Parallel()
	amd := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/amd64"})
	arm := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/arm64"})
	silent := imgtest.Image(t, imgtest.ImageSpec{Seed: "silent"})
	inner := bound(t, `{$0,"size":1}`, silent)
	idx := bound(t, `{"own":{"x" : 1}, $0,"size":1,"platform":{"os":"linux","architecture":"riscv64"}},
		{$1,"size":1},{$2,"size":1,"platform":{"os":"linux","architecture":"s390x"}}`, amd, arm, inner)
	items, err := gather.Items(t.Context(), []source.Opened{from("r.test/idx:1", idx)}, gather.Options{})
	if err != nil || shown(items) != "linux/riscv64 linux/arm64 linux/s390x" {
		t.Fatalf("%s, %v", shown(items), err)
	}
	if !strings.HasPrefix(string(items[0].Entry.Raw), `{"own":{"x" : 1}, "mediaType"`) {
		t.Errorf("%s", items[0].Entry.Raw)
	}
	if !items[0].Contradicts() || items[1].Contradicts() || items[2].Contradicts() || items[2].LacksPlatform() {
		t.Errorf("%+v", items)
	}
	items, err = gather.Items(t.Context(), []source.Opened{from("r.test/silent:1", silent)}, gather.Options{})
	if err != nil || shown(items) != "-" || !items[0].LacksPlatform() || strings.Contains(string(items[0].Entry.Raw), "platform") {
		t.Errorf("%s, %v", shown(items), err)
	}
	items, err = gather.Items(t.Context(), []source.Opened{from("r.test/idx:1", idx)}, gather.Options{Platforms: platforms("linux/arm64")})
	if err != nil || shown(items) != "linux/arm64" {
		t.Errorf("of an entry that does not say it: %s, %v", shown(items), err)
	}
}

// TestAbsentChildren: an engine keeps indexes without some of their images;
// elsewhere that is an error, and so is asking for what is not there.
func TestAbsentChildren(t *testing.T) {
	t.Parallel()
	amd := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/amd64"})
	absent := `"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"digest":"sha256:` + strings.Repeat("0", 64) + `"`
	text := `{$0,"size":1,"platform":{"os":"linux","architecture":"amd64"}},{` + absent + `,"platform":{"os":"linux","architecture":"arm64"}},
		{` + strings.Replace(absent, "00", "11", 1) + `,"platform":{"os":"unknown","architecture":"unknown"},"annotations":{"vnd.docker.reference.digest":"sha256:` + strings.Repeat("0", 64) + `"}}`
	idx := bound(t, text, amd)
	items, err := gather.Items(t.Context(), []source.Opened{from("docker-daemon:app", idx)}, gather.Options{})
	if err != nil || shown(items) != "linux/amd64" {
		t.Errorf("%s, %v", shown(items), err)
	}
	for name, o := range map[string]source.Opened{
		"layout":             from("oci:dir", idx),
		"engine without any": from("docker-daemon:app", bound(t, `{`+absent+`,"platform":{"os":"linux","architecture":"arm64"}}`)),
	} {
		if items, err := gather.Items(t.Context(), []source.Opened{o}, gather.Options{}); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %s, %v", name, shown(items), err)
		}
	}
	if _, err := gather.Items(t.Context(), []source.Opened{from("docker-daemon:app", idx)}, gather.Options{Platforms: platforms("linux/arm64")}); !fault.Is(err, fault.NotFound) {
		t.Errorf("asked for: %v", err)
	}
	if items, err := gather.Items(t.Context(), []source.Opened{from("oci:dir", idx)}, gather.Options{Platforms: platforms("linux/amd64")}); err != nil || shown(items) != "linux/amd64" {
		t.Errorf("not asked for: %s, %v", shown(items), err)
	}
}

// TestKeep: registries keep their layers, lists of the store hand on what they
// know, and Bytes says beforehand how much is copied.
func TestKeep(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	st := store.Open(t.TempDir(), store.Options{})
	amd := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/amd64", LayerSize: 5000})
	arm := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/arm64", LayerSize: 5000})
	first := must(reference.ParseListName("first"))
	items := must(gather.Items(ctx, []source.Opened{from("r.test/amd:1", amd), from("oci:arm", arm)}, gather.Options{}))
	var heard []string
	for _, i := range items { // one by one, for a fixed order
		if err := gather.Keep(ctx, st, first, []gather.Item{i}, func(i gather.Item) { heard = append(heard, i.Entry.Platform.String()) }); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(heard, []string{"linux/amd64", "linux/arm64"}) {
		t.Error(heard)
	}
	idx, _, err := manifest.New(types.OCIImageIndex).AddEntries(manifest.AddOptions{}, gather.Entries(items)...)
	if err != nil {
		t.Fatal(err)
	}
	list, err := st.Create(ctx, first, idx, store.CreateOptions{Origins: gather.Origins(items)})
	if err != nil {
		t.Fatal(err)
	}
	index, err := idx.Size()
	if err != nil {
		t.Fatal(err)
	}
	stored, err := list.Stored()
	if want := must(items[0].Bytes()) + must(items[1].Bytes()) + index; err != nil || stored != want || must(items[1].Bytes()) < 5000 || must(items[0].Bytes()) > 2000 {
		t.Errorf("%d bytes are stored, %v; %d were announced", stored, err, want)
	}
	again := must(local.NewIndex(ctx, list, nil))
	for _, nested := range []bool{false, true} {
		items = must(gather.Items(ctx, []source.Opened{from("local:first", again)}, gather.Options{Nested: nested}))
		for _, i := range items {
			if want := nested || i.Entry.Platform.Arch == "arm64"; i.Deep != want {
				t.Errorf("nested %v: %s: deep %v", nested, i.Entry, i.Deep)
			}
			if !slices.Contains(i.Origins, "local:first") || slices.Contains(i.Origins, "docker://r.test/amd:1") != (nested || i.Entry.Platform.Arch == "amd64") {
				t.Errorf("nested %v: %s: %v", nested, i.Entry, i.Origins)
			}
		}
	}
}
