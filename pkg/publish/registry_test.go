package publish_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/registry"
	"github.com/multipack/multipack/testhelpers/imgtest"
	"github.com/multipack/multipack/testhelpers/regtest"
)

// three platforms that share a layer, and a nested index.
func family(seed string) imgtest.IndexSpec {
	s := imgtest.IndexSpec{Nested: []imgtest.IndexSpec{imgtest.Of(seed+" nested", "linux/s390x", "linux/ppc64le")}}
	for _, p := range []string{"linux/amd64", "linux/arm64", "linux/arm/v6"} {
		s.Images = append(s.Images, imgtest.ImageSpec{Platform: p, Seed: seed, Layers: 2, Shared: 1, LayerSize: 4000})
	}
	return s
}

func TestFirstPublishEndsWithItsOnlyTag(t *testing.T) {
	t.Parallel()
	for name, start := range registries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg := start(t)
			idx := imgtest.Index(t, family("a"))
			r := must(t, publisher(t), idx, to(t, reg.Host()+"/acme/bp:1.0"))

			w := writes(reg)
			if last := w[len(w)-1]; last != "PUT /v2/acme/bp/manifests/1.0" {
				t.Errorf("the last write is %s", last)
			}
			if n := reg.Count("PUT", "/manifests/1\\.0$"); n != 1 {
				t.Errorf("the tag was written %d times", n)
			}
			if n := reg.Count("PUT", "/manifests/"); n != 7 {
				t.Errorf("%d manifests were written, want 5 images, the nested index and the tag", n)
			}
			// One shared layer, three and two of their own, five configs.
			if n := uploads(reg); n != 11 {
				t.Errorf("%d blobs were sent, want 11", n)
			}
			checkRemote(t, reg, "acme/bp", "1.0", idx)
			if want := reg.Host() + "/acme/bp@" + digest(t, idx).String(); r.Name != want {
				t.Errorf("the report's name is %s, want %s", r.Name, want)
			}
			if len(r.Images) != 5 || r.Images[2].PlatformName != "linux/arm/v6" || r.Images[0].Action != publish.Uploaded {
				t.Errorf("the report lists %+v", r.Images)
			}
			if l := r.Images[0].Layers; len(l) != 2 || l[1].Action != publish.Uploaded || l[1].Bytes != l[1].Size {
				t.Errorf("the report lists the layers %+v", l)
			}
		})
	}
}

func TestSecondPublishOnlyLooks(t *testing.T) {
	t.Parallel()
	for name, start := range registries {
		for _, detail := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				reg := start(t)
				idx := imgtest.Index(t, family("a"))
				must(t, publisher(t), idx, to(t, reg.Host()+"/acme/bp:1.0"))
				reg.Reset()
				p := publisher(t)
				p.Detail = detail
				r := must(t, p, idx, to(t, reg.Host()+"/acme/bp:1.0"))
				if n := reg.Count("", "/v2/acme/"); n != 2 || reg.Count("HEAD", "/manifests/") != 2 {
					t.Errorf("got %d requests, want a HEAD of the digest and one of the tag: %v", n, reg.Requests())
				}
				if r.Action != publish.Exists || r.Tags[0] != reg.Host()+"/acme/bp:1.0" {
					t.Errorf("the report says %s, %v", r.Action, r.Tags)
				}
				if detail && (len(r.Images) != 5 || r.Images[4].Layers[0].Action != publish.Exists || r.Images[4].Layers[0].Bytes != 0) {
					t.Errorf("the detailed report lists %+v", r.Images)
				}
			})
		}
	}
}

func TestOnlyWhatChangedIsSent(t *testing.T) {
	t.Parallel()
	reg := regtest.New(t)
	spec := family("a")
	must(t, publisher(t), imgtest.Index(t, spec), to(t, reg.Host()+"/acme/bp:1.0"))
	reg.Reset()
	spec.Images[1].Seed = "b"
	next := imgtest.Index(t, spec)
	r := must(t, publisher(t), next, to(t, reg.Host()+"/acme/bp:1.0"))
	if n := uploads(reg); n != 2 {
		t.Errorf("%d blobs were sent, want a layer and a config", n)
	}
	// Of the images that are there nothing but the manifest is asked for.
	if n := reg.Count("HEAD", "/blobs/"); n != 3 {
		t.Errorf("%d blobs were looked for, want those of one image", n)
	}
	if n := reg.Count("PUT", "/manifests/"); n != 2 {
		t.Errorf("%d manifests were written", n)
	}
	if r.Images[0].Action != publish.Exists || r.Images[1].Action != publish.Uploaded || r.Images[1].Layers[0].Action != publish.Exists {
		t.Errorf("the report lists %+v", r.Images)
	}
	checkRemote(t, reg, "acme/bp", "1.0", next)
}

func TestLayersOfTheSameRegistryAreMounted(t *testing.T) {
	t.Parallel()
	for name, start := range registries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg := start(t)
			idx := imgtest.Index(t, family("a"))
			must(t, publisher(t), idx, to(t, reg.Host()+"/acme/from:1"))
			p := publisher(t)
			opened, err := p.Client.Open(t.Context(), reg.Repo("acme/from").Tag("1"))
			if err != nil {
				t.Fatal(err)
			}
			reg.Reset()
			r := must(t, p, opened.(manifest.Artifact), to(t, reg.Host()+"/acme/to:2"))
			if n := uploads(reg); n != 0 {
				t.Errorf("%d blobs were sent", n)
			}
			if n := reg.Count("GET", "/blobs/"); n != 0 {
				t.Errorf("%d blobs were fetched", n)
			}
			for _, img := range r.Images {
				for _, l := range img.Layers {
					if l.Action != publish.Mounted || img.ConfigAction != publish.Mounted {
						t.Errorf("%s: config %s, layer %s", img.PlatformName, img.ConfigAction, l.Action)
					}
				}
			}
			checkRemote(t, reg, "acme/to", "2", idx)
		})
	}
}

func TestLayersOfAnotherRegistryAreStreamed(t *testing.T) {
	t.Parallel()
	from, dest := regtest.New(t), regtest.Distribution(t)
	idx := imgtest.Index(t, family("a"))
	must(t, publisher(t), idx, to(t, from.Host()+"/acme/bp:1"))
	p := publisher(t)
	opened, err := p.Client.Open(t.Context(), from.Repo("acme/bp").Tag("1"))
	if err != nil {
		t.Fatal(err)
	}
	must(t, p, opened.(manifest.Artifact), to(t, dest.Host()+"/other/name:1"))
	checkRemote(t, dest, "other/name", "1", idx)
}

func TestSeveralTagsComeAfterTheDigestEachOnce(t *testing.T) {
	t.Parallel()
	for name, start := range registries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg := start(t)
			idx := imgtest.Index(t, imgtest.Of("a", "linux/amd64", "linux/arm64"))
			m, err := idx.IndexManifest()
			if err != nil {
				t.Fatal(err)
			}
			target := to(t, reg.Host()+"/acme/bp:1.2.3")
			target.Tags = append(target.Tags, target.Ref.WithTag("1.2"), target.Ref.WithTag("1.2.3"), target.Ref.WithTag("latest"))
			target.ChildTags = []publish.ChildTag{{Digest: m.Manifests[1].Digest, Tag: "1.2.3-linux-arm64"}}
			r := must(t, publisher(t), idx, target)
			var puts []string
			for _, q := range reg.Requests() {
				if q.Method == http.MethodPut && strings.Contains(q.Path, "/manifests/") {
					puts = append(puts, strings.TrimPrefix(q.Path, "/v2/acme/bp/manifests/"))
				}
			}
			want := []string{digest(t, idx).String(), "1.2.3-linux-arm64", "1.2.3", "1.2", "latest"}
			if got := puts[2:]; !slices.Equal(got, want) {
				t.Errorf("after the children came %v, want %v", got, want)
			}
			if got := tagged(t, reg, "acme/bp", "1.2.3-linux-arm64"); got != m.Manifests[1].Digest {
				t.Errorf("the child's tag points at %s", got)
			}
			if len(r.Tags) != 3 || len(r.ChildTags) != 1 {
				t.Errorf("the report lists %v and %v", r.Tags, r.ChildTags)
			}
			reg.Reset()
			if again := must(t, publisher(t), idx, target); !slices.Equal(again.Tags, r.Tags) || len(writes(reg)) > 0 {
				t.Errorf("the second time %v were reported, and written %v", again.Tags, writes(reg))
			}
		})
	}
}

func TestNoTagWritesByDigestOnly(t *testing.T) {
	t.Parallel()
	reg := regtest.New(t)
	idx := imgtest.Index(t, family("a"))
	p := publisher(t)
	r, err := p.PushContent(t.Context(), idx, reg.Repo("acme/bp"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Name != reg.Host()+"/acme/bp@"+digest(t, idx).String() || len(r.Tags) != 0 {
		t.Errorf("the report is %s, %v", r.Name, r.Tags)
	}
	if tags, err := p.Client.Tags(t.Context(), reg.Repo("acme/bp"), ""); err != nil || len(tags) != 0 {
		t.Errorf("there are tags: %v, %v", tags, err)
	}
	if err := p.Tag(t.Context(), reg.Repo("acme/bp").Tag("x"), idx); err != nil {
		t.Fatal(err)
	}
	checkRemote(t, reg, "acme/bp", "x", idx)
}

// A child that the registry has is not needed from anywhere else.
func TestChildThatIsThereNeedNotBeHad(t *testing.T) {
	t.Parallel()
	reg := regtest.New(t)
	whole := imgtest.Index(t, family("a"))
	child, err := whole.Image(digestOf(t, whole, 1))
	if err != nil {
		t.Fatal(err)
	}
	p := publisher(t)
	if _, err := p.PushContent(t.Context(), child, reg.Repo("acme/bp")); err != nil {
		t.Fatal(err)
	}
	must(t, p, sparse{whole, digestOf(t, whole, 1), errors.New("not to be asked for")}, to(t, reg.Host()+"/acme/bp:1"))
	checkRemote(t, reg, "acme/bp", "1", whole)
}

func TestForeignLayersStayWhereTheyAre(t *testing.T) {
	t.Parallel()
	reg := regtest.New(t)
	img := imgtest.Image(t, imgtest.ImageSpec{Platform: "windows/amd64", Foreign: true})
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	// The strict registry takes no manifest without all layers, foreign or not.
	size, err := layers[1].Size()
	if err != nil {
		t.Fatal(err)
	}
	foreign := registry.Blob{Digest: digest(t, layers[1]), Size: size, Open: layers[1].Compressed}
	if _, err := newClient(t).PutBlob(t.Context(), reg.Repo("acme/bp"), foreign, nil); err != nil {
		t.Fatal(err)
	}
	reg.Reset()
	r := must(t, publisher(t), img, to(t, reg.Host()+"/acme/bp:1"))
	if l := r.Images[0].Layers; l[0].Action != publish.Uploaded || l[1].Action != publish.Skipped {
		t.Errorf("the report lists %+v", l)
	}
	if n := reg.Count("", "/blobs/"+digest(t, layers[1]).String()); n != 0 {
		t.Errorf("the foreign layer was asked for %d times", n)
	}
	if n := uploads(reg); n != 2 {
		t.Errorf("%d blobs were sent, want a config and a layer", n)
	}
	if r.Images[0].PlatformName != "windows/amd64" {
		t.Errorf("the platform is '%s'", r.Images[0].PlatformName)
	}
}

func TestAttestationsGoAlong(t *testing.T) {
	t.Parallel()
	reg := regtest.Distribution(t)
	spec := imgtest.Of("a", "linux/amd64", "linux/arm64")
	spec.Attestations = true
	idx := imgtest.Index(t, spec)
	r := must(t, publisher(t), idx, to(t, reg.Host()+"/acme/bp:1"))
	if len(r.Images) != 4 || r.Images[3].Attests != digestOf(t, idx, 1) {
		t.Errorf("the report lists %+v", r.Images)
	}
	if got := tagged(t, reg, "acme/bp", "1"); got != digest(t, idx) {
		t.Errorf("the tag points at %s", got)
	}
}

func TestObserverHearsOfEverything(t *testing.T) {
	t.Parallel()
	reg := regtest.New(t)
	var mu sync.Mutex
	kinds := map[string]int{}
	p := publisher(t)
	p.Observe = func(e publish.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Kind != "upload" || e.Done == e.Total {
			kinds[e.Kind+" "+e.Descriptor.Digest.String()]++
		}
	}
	idx := imgtest.Index(t, imgtest.Of("a", "linux/amd64"))
	r := must(t, p, idx, to(t, reg.Host()+"/acme/bp:1"))
	for _, want := range []string{
		"upload " + r.Images[0].Layers[0].Digest.String(), "upload " + r.Images[0].Config.String(),
		"manifest " + r.Images[0].Manifest.String(), "tag " + r.Digest.String(),
	} {
		if kinds[want] == 0 {
			t.Errorf("there was no event '%s': %v", want, kinds)
		}
	}
}
