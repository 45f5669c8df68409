package manifest_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/pkg/manifest"
)

// TestRandomEdits makes random sequences of edits. After each, every entry
// that was not touched has the bytes it had, and the bytes parse to the same value.
func TestRandomEdits(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		i := must(manifest.Parse([]byte(pretty())))
		if seed%2 == 0 {
			i = of(desc("a", "linux/amd64"), desc("b", "linux/arm64"), attestation("b-at", "b"))
		}
		for step := range 25 {
			before := byDigest(i)
			next, touched := randomEdit(r, i, fmt.Sprintf("%d-%d", seed, step))
			for h, e := range byDigest(next) {
				if old, was := before[h]; was && !touched[h] && old != e {
					t.Fatalf("seed %d, step %d: entry %s was not touched but changed:\n%s\n%s", seed, step, h, old, e)
				}
			}
			for h := range before {
				if _, is := byDigest(next)[h]; !is && !touched[h] {
					t.Fatalf("seed %d, step %d: entry %s is lost", seed, step, h)
				}
			}
			fixpoint(t, next)
			i = next
		}
	}
}

func byDigest(i manifest.Index) map[v1.Hash]string {
	out := map[v1.Hash]string{}
	for _, e := range i.Entries() {
		out[e.Descriptor.Digest] = string(e.Raw)
	}
	return out
}

// fixpoint makes sure that Parse(Raw()) is the value again.
func fixpoint(t *testing.T, i manifest.Index) {
	t.Helper()
	text := raw(t, i)
	again, err := manifest.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	if raw(t, again) != text || shape(again) != shape(i) || again.MediaType() != i.MediaType() ||
		!maps.Equal(again.Annotations(), i.Annotations()) || again.ArtifactType() != i.ArtifactType() {
		t.Fatalf("parsed again it is something else:\n%s", text)
	}
	if d := manifest.Diff(i, again); !d.IsEmpty() {
		t.Fatalf("it differs from itself: %+v", d)
	}
}

// randomEdit makes one edit and says which entries it may change or take out.
func randomEdit(r *rand.Rand, i manifest.Index, name string) (manifest.Index, map[v1.Hash]bool) {
	touched := map[v1.Hash]bool{}
	all := i.Entries()
	var victim manifest.Entry
	if len(all) > 0 {
		victim = all[r.IntN(len(all))]
	}
	platforms := []string{"linux/amd64", "linux/arm64", "linux/arm/v6", "linux/s390x", "windows/amd64:10.0.1", ""}
	fresh := desc(name, platforms[r.IntN(len(platforms))])
	switch k := r.IntN(8); {
	case k == 0:
		next, err := i.Add(fresh)
		if err != nil {
			return i, touched
		}
		return next, touched
	case k == 1:
		next, what, err := i.AddEntries(manifest.AddOptions{Replace: true}, must(manifest.NewEntry(fresh)), must(manifest.NewEntry(attestation(name+"at", name))))
		if err != nil {
			panic(err)
		}
		for _, a := range what {
			for _, e := range a.Gone {
				touched[e.Descriptor.Digest] = true
			}
		}
		return next, touched
	case k == 2 && len(all) > 0:
		next, gone, err := i.Remove(manifest.ByDigest(victim.Descriptor.Digest))
		for _, d := range gone {
			touched[d.Digest] = true
		}
		return must(next, err), touched
	case k <= 4 && len(all) > 0:
		touched[victim.Descriptor.Digest] = true
		next, err := i.Edit(manifest.ByDigest(victim.Descriptor.Digest), func(d v1.Descriptor) v1.Descriptor {
			d.Annotations = manifest.Apply(d.Annotations, randomAnnotations(r))
			if r.IntN(3) == 0 && !victim.IsAttestation {
				d.Platform = fresh.Platform
			}
			return d
		})
		if err != nil {
			return i, touched
		}
		return next, touched
	case k == 5:
		return i.Annotate(randomAnnotations(r)...).WithArtifactType([]string{"", "a/b"}[r.IntN(2)]), touched
	case k == 6 && victim.HasPlatform():
		keep := must(i.Filter(platformList(victim)))
		for h := range byDigest(i) {
			if _, ok := byDigest(keep)[h]; !ok {
				touched[h] = true
			}
		}
		return keep, touched
	}
	return i, touched
}

func randomAnnotations(r *rand.Rand) []manifest.Annotation {
	var out []manifest.Annotation
	for range r.IntN(3) {
		out = append(out, manifest.Annotation{Key: string(rune('a' + r.IntN(5))), Value: strings.Repeat("<é\"\\", r.IntN(3)), Delete: r.IntN(3) == 0})
	}
	return out
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(pretty()))
	f.Add([]byte(`{"schemaVersion":2,"manifests":null}`))
	f.Add([]byte(raw(f, of(desc("a", "linux/amd64"), attestation("at", "a")))))
	f.Add([]byte(` {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[ ] , "a\u0062":"\"]}" } `))
	f.Fuzz(func(t *testing.T, in []byte) {
		i, err := manifest.Parse(in)
		if err != nil {
			return
		}
		if raw(t, i) != string(in) {
			t.Fatalf("raw bytes changed: %q", in)
		}
		d := desc("fuzz", "")
		next, err := i.Add(d)
		if err != nil {
			return
		}
		fixpoint(t, next)
		back, _, err := next.Remove(manifest.ByDigest(d.Digest))
		if err != nil {
			t.Fatal(err)
		}
		fixpoint(t, back)
		for _, e := range i.Entries() {
			if got := byDigest(back)[e.Descriptor.Digest]; got == "" {
				t.Fatalf("entry lost: %q", in)
			}
		}
		fixpoint(t, i.Annotate(manifest.Annotation{Key: "k", Value: "v"}))
		i.Convert(manifest.FormatDocker)
		if _, err := i.Merge(next); err != nil {
			t.Fatal(err)
		}
	})
}

func thousand() manifest.Index {
	var ds []v1.Descriptor
	for n := range 1000 {
		ds = append(ds, desc(fmt.Sprint("seed", n), fmt.Sprintf("windows/amd64:10.0.%d", n)))
	}
	return must(manifest.New(types.OCIImageIndex).Add(ds...))
}

func BenchmarkParse1000(b *testing.B) {
	text := []byte(raw(b, thousand()))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := manifest.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAddTo1000(b *testing.B) {
	i, d := thousand(), desc("new", "linux/amd64")
	for b.Loop() {
		next, err := i.Add(d)
		if err != nil {
			b.Fatal(err)
		}
		raw(b, next)
	}
}

func BenchmarkEditOf1000(b *testing.B) {
	i := thousand()
	s := manifest.ByDigest(hash("seed500"))
	for b.Loop() {
		next, err := i.Edit(s, func(d v1.Descriptor) v1.Descriptor {
			d.Annotations = map[string]string{"k": "v"}
			return d
		})
		if err != nil {
			b.Fatal(err)
		}
		raw(b, next)
	}
}

func BenchmarkMerge1000(b *testing.B) {
	i, other := thousand(), thousand()
	other = must(other.Edit(manifest.ByDigest(hash("seed500")), func(d v1.Descriptor) v1.Descriptor {
		d.Digest = hash("other")
		return d
	}))
	for b.Loop() {
		if _, err := i.Merge(other); err != nil {
			b.Fatal(err)
		}
	}
}
