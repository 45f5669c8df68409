package manifest_test

import (
	"errors"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
)

func entries(ds ...v1.Descriptor) []manifest.Entry {
	var out []manifest.Entry
	for _, d := range ds {
		out = append(out, must(manifest.NewEntry(d)))
	}
	return out
}

func TestAddDuplicate(t *testing.T) {
	t.Parallel()
	i := of(desc("a", "linux/amd64"))
	noted := desc("a", "linux/amd64")
	noted.Annotations = map[string]string{"k": "v"}
	same, err := i.Add(noted)
	if !errors.Is(err, manifest.ErrDuplicate) || raw(t, same) != raw(t, i) {
		t.Errorf("the same digest again: %v", err)
	}
	next, err := i.Add(desc("a", "linux/amd64"), desc("b", "linux/arm64"))
	if err != nil || next.Len() != 2 {
		t.Errorf("one of two is new: %v", err)
	}
	if _, err := i.Add(); err != nil {
		t.Errorf("nothing to add: %v", err)
	}
}

func TestAddPlatformTaken(t *testing.T) {
	t.Parallel()
	i := of(desc("a", "linux/arm64"), desc("w1", "windows/amd64:10.0.1"))
	v8 := desc("b", "linux/arm64")
	v8.Platform.Variant = "v8"
	same, err := i.Add(v8, desc("c", "linux/s390x"))
	var taken *manifest.PlatformTakenError
	if !errors.As(err, &taken) || !errors.Is(err, manifest.ErrPlatformTaken) || !fault.Is(err, fault.Conflict) {
		t.Fatalf("arm64 and arm64/v8: %v", err)
	}
	if taken.Have.Descriptor.Digest != hash("a") || taken.New.Descriptor.Digest != hash("b") || raw(t, same) != raw(t, i) {
		t.Errorf("%+v", taken)
	}
	if !strings.Contains(fault.HintOf(err), "--replace") || !strings.Contains(err.Error(), hash("a").String()) {
		t.Errorf("%v / %s", err, fault.HintOf(err))
	}
	for name, d := range map[string]v1.Descriptor{
		"other os version": desc("w2", "windows/amd64:10.0.2"), "other variant": desc("v", "linux/arm64/v9"),
		"no platform": desc("n", ""), "attestation": attestation("at", "a"),
	} {
		if _, err := i.Add(d); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := of().Add(desc("x", "linux/amd64"), desc("y", "linux/amd64")); !errors.Is(err, manifest.ErrPlatformTaken) {
		t.Errorf("both in one call: %v", err)
	}
	two := of(attestation("a1", "a"), attestation("a2", "b"))
	if two.Len() != 2 {
		t.Error("attestations take no platform")
	}
}

func TestReplaceInPlace(t *testing.T) {
	t.Parallel()
	i := of(desc("a", "linux/amd64"), desc("b", "linux/arm64"), attestation("a-at", "a"), attestation("b-at", "b"))
	next, what, err := i.AddEntries(manifest.AddOptions{Replace: true},
		entries(desc("a2", "linux/amd64"), attestation("a2-at", "a2"), desc("b", "linux/arm64"))...)
	if err != nil {
		t.Fatal(err)
	}
	want := "linux/amd64 " + short("a2") + " | linux/arm64 " + short("b") + " | unknown/unknown " + short("b-at") + " | unknown/unknown " + short("a2-at")
	if shape(next) != want {
		t.Errorf("got  %s\nwant %s", shape(next), want)
	}
	if what[0].Outcome != manifest.Replaced || len(what[0].Gone) != 2 || what[1].Outcome != manifest.Added || what[2].Outcome != manifest.Unchanged {
		t.Errorf("outcomes: %+v", what)
	}
	// The same image that says something else is replaced, its attestation stays.
	noted := desc("a", "linux/amd64")
	noted.Annotations = map[string]string{"k": "v"}
	next, what, err = i.AddEntries(manifest.AddOptions{Replace: true}, entries(noted)...)
	if err != nil || what[0].Outcome != manifest.Replaced || next.Len() != 4 || next.Entries()[0].Descriptor.Annotations["k"] != "v" {
		t.Errorf("%v %+v %s", err, what, shape(next))
	}
	// The same image for another platform, which is taken: both entries become one.
	next, _, err = i.AddEntries(manifest.AddOptions{Replace: true}, entries(desc("a", "linux/arm64"))...)
	if want := "linux/arm64 " + short("a") + " | unknown/unknown " + short("a-at"); err != nil || shape(next) != want {
		t.Errorf("%v\ngot  %s\nwant %s", err, shape(next), want)
	}
}

func TestAddKeepsForeignBytes(t *testing.T) {
	t.Parallel()
	source := must(manifest.Parse([]byte(pretty())))
	next, _, err := manifest.New(types.OCIImageIndex).AddEntries(manifest.AddOptions{}, source.Entries()...)
	if err != nil {
		t.Fatal(err)
	}
	for n, e := range source.Entries() {
		if !strings.Contains(raw(t, next), string(e.Raw)) || string(next.Entries()[n].Raw) != string(e.Raw) {
			t.Errorf("entry %d was encoded again", n)
		}
	}
	if _, _, err := next.AddEntries(manifest.AddOptions{}, manifest.Entry{}); err == nil {
		t.Error("an entry without anything was taken")
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	i := must(manifest.Parse([]byte(pretty())))
	i = must(i.Add(attestation("arm-at", "arm64"), attestation("amd-at", "amd64")))
	other := of(desc("arm64-new", "linux/arm64"), desc("s390x", "linux/s390x"), attestation("arm-new-at", "arm64-new")).
		Annotate(manifest.Annotation{Key: "k", Value: "theirs"}, manifest.Annotation{Key: "n", Value: "new"})
	next := must(i.Merge(other))
	want := strings.Join([]string{"linux/amd64 " + short("amd64"), "linux/arm64 " + short("arm64-new"),
		"application/vnd.oci.image.index.v1+json " + short("nested"), "unknown/unknown " + short("amd-at"),
		"linux/s390x " + short("s390x"), "unknown/unknown " + short("arm-new-at")}, " | ")
	if shape(next) != want {
		t.Errorf("got  %s\nwant %s", shape(next), want)
	}
	if string(next.Entries()[0].Raw) != string(i.Entries()[0].Raw) || !strings.Contains(raw(t, next), `"x-first": 1.50e+2`) {
		t.Error("what was not replaced was encoded again")
	}
	if a := next.Annotations(); a["k"] != "theirs" || a["n"] != "new" {
		t.Errorf("annotations %v", a)
	}
	if again := must(next.Merge(other)); raw(t, again) != raw(t, next) {
		t.Error("merging twice is not merging once")
	}
	if same := must(i.Merge(of())); raw(t, same) != raw(t, i) {
		t.Error("merging nothing changed the index")
	}
}

func TestMergeOneImageForTwoPlatforms(t *testing.T) {
	t.Parallel()
	i := of(desc("any", "linux/amd64"))
	both := must(manifest.Parse([]byte(strings.Replace(raw(t, i), "]", ","+string(must(manifest.NewEntry(desc("any", "linux/arm64"))).Raw)+"]", 1))))
	next := must(i.Merge(both))
	if shape(next) != shape(both) {
		t.Errorf("got %s", shape(next))
	}
	// Two entries for one platform in the other index are kept as they are there.
	twice := must(manifest.Parse([]byte(strings.Replace(raw(t, of(desc("x", "linux/amd64"))), "]", ","+string(must(manifest.NewEntry(desc("y", "linux/amd64"))).Raw)+"]", 1))))
	next = must(i.Merge(twice))
	if shape(next) != shape(twice) {
		t.Errorf("got %s", shape(next))
	}
}
