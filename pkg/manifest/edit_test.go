package manifest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
)

func TestEditTouchesOneField(t *testing.T) {
	t.Parallel()
	i := must(manifest.Parse([]byte(pretty())))
	next, err := i.Edit(sel("linux/amd64"), func(d v1.Descriptor) v1.Descriptor {
		d.Platform.OSVersion = "1.2"
		return d
	})
	want := strings.Replace(pretty(), ` "x-os": {"a"`, ` "os.version": "1.2", "x-os": {"a"`, 1)
	if err != nil || raw(t, next) != want {
		t.Errorf("%v\n%s", err, raw(t, next))
	}
	// Of repeated keys the last counts, and is edited.
	next, err = i.Edit(sel("linux/arm64"), func(d v1.Descriptor) v1.Descriptor {
		d.Annotations = manifest.Apply(d.Annotations, []manifest.Annotation{{Key: "a", Delete: true}, {Key: "m", Value: "new"}})
		return d
	})
	want = strings.Replace(pretty(), `{"z": "<&>", "a": "\u003c"}`, `{"m": "new","z": "<&>"}`, 1)
	if err != nil || raw(t, next) != want {
		t.Errorf("%v\n%s", err, raw(t, next))
	}
	same, err := i.Edit(sel("linux/arm64"), func(d v1.Descriptor) v1.Descriptor { return d })
	if err != nil || raw(t, same) != pretty() {
		t.Errorf("no change: %v", err)
	}
	bare, err := i.Edit(sel("linux/arm64"), func(d v1.Descriptor) v1.Descriptor {
		d.Annotations, d.Platform = nil, nil
		return d
	})
	if e := bare.Entries()[1]; err != nil || e.Descriptor.Annotations != nil || e.Descriptor.Platform != nil || strings.Contains(string(e.Raw), "annotations") {
		t.Errorf("%v %s", err, e.Raw)
	}
	if _, err := i.Edit(sel("linux/arm64"), func(d v1.Descriptor) v1.Descriptor { return v1.Descriptor{} }); err == nil {
		t.Error("an entry was emptied")
	}
}

// Editing what we encode gives what we would have encoded, in any order.
func TestEditedIsEncoded(t *testing.T) {
	t.Parallel()
	full := desc("x", "linux/arm/v6")
	full.Platform.OSVersion, full.Platform.OSFeatures = "1", []string{"f"}
	full.Annotations = map[string]string{"c": "3", "a": "1", "b": "<2>"}
	full.ArtifactType, full.URLs, full.Data, full.Size = "application/x", []string{"https://a"}, []byte("data"), 0
	steps := []func(*v1.Descriptor){
		func(d *v1.Descriptor) {
			d.Annotations = manifest.Apply(d.Annotations, []manifest.Annotation{{Key: "c", Value: "3"}})
		},
		func(d *v1.Descriptor) { d.ArtifactType = full.ArtifactType },
		func(d *v1.Descriptor) { d.Platform = full.Platform },
		func(d *v1.Descriptor) { d.Data, d.URLs, d.Size = full.Data, full.URLs, 0 },
		func(d *v1.Descriptor) {
			d.Annotations = manifest.Apply(d.Annotations, []manifest.Annotation{{Key: "b", Value: "<2>"}, {Key: "a", Value: "1"}})
		},
	}
	for start := range steps {
		i := of(desc("x", "linux/amd64"))
		for n := range steps {
			i = must(i.Edit(manifest.ByDigest(hash("x")), func(d v1.Descriptor) v1.Descriptor {
				steps[(start+n)%len(steps)](&d)
				return d
			}))
		}
		if got, want := raw(t, i), raw(t, of(full)); got != want {
			t.Errorf("from step %d:\n got %s\nwant %s", start, got, want)
		}
	}
}

func TestEditPlatformTaken(t *testing.T) {
	t.Parallel()
	i := of(desc("a", "linux/amd64"), desc("b", "linux/arm64"))
	_, err := i.Edit(sel("linux/amd64"), func(d v1.Descriptor) v1.Descriptor {
		d.Platform.Architecture = "aarch64"
		return d
	})
	if !errors.Is(err, manifest.ErrPlatformTaken) || !fault.Is(err, fault.Conflict) {
		t.Errorf("%v", err)
	}
}

func TestSelectors(t *testing.T) {
	t.Parallel()
	i := of(desc("a", "linux/amd64"), desc("b", "linux/arm64"), desc("w1", "windows/amd64:10.0.1"), desc("w2", "windows/amd64:10.0.2"),
		desc("n", ""), attestation("at", "a"))
	origins := func(h v1.Hash) []string {
		return map[v1.Hash][]string{
			hash("a"): {"docker.io/library/alpine:3.16"}, hash("b"): {"docker.io/library/alpine:3.16", "docker-daemon:own:1"},
			hash("n"): {"oci-layout:///tmp/dir:tag"},
		}[h]
	}
	for s, want := range map[string]string{
		"linux/amd64": "a", "linux/x86_64": "a", "linux/arm64/v8": "b", "windows/amd64:10.0.2": "w2", `{"os":"linux","architecture":"arm64"}`: "b",
		hash("b").String(): "b", hash("b").Hex[:8]: "b", "sha256:" + hash("n").Hex[:9]: "n", "repo/name@" + hash("w1").String(): "w1",
		"docker-daemon:own:1": "b", "oci-layout:///tmp/dir:tag": "n",
	} {
		e, err := i.SelectOne(sel(s).From(origins))
		if err != nil || e.Descriptor.Digest != hash(want) {
			t.Errorf("%s: %v %v", s, e, err)
		}
	}
	for s, kind := range map[string]fault.Kind{
		"linux/s390x": fault.NotFound, "linux/arm64/v9": fault.NotFound, "deadbeefdeadbeef": fault.NotFound, "busybox": fault.NotFound,
		hash("zzz").String(): fault.NotFound, "windows/amd64": fault.Usage, "alpine:3.16": fault.Usage, "unknown/unknown:x/y": 0,
	} {
		if kind == 0 {
			if _, err := manifest.ParseSelector(s); !fault.Is(err, fault.Usage) {
				t.Errorf("%s is no selector: %v", s, err)
			}
			continue
		}
		_, err := i.Edit(sel(s).From(origins), func(d v1.Descriptor) v1.Descriptor { return d })
		if !fault.Is(err, kind) || !strings.Contains(err.Error(), "linux/") && !strings.Contains(err.Error(), "windows/") {
			t.Errorf("%s: %v", s, err)
		}
	}
	for _, bad := range []string{"", "sha256:abc", "sha256:" + strings.Repeat("g", 64), "{", "UPPER/Case"} {
		if _, err := manifest.ParseSelector(bad); !fault.Is(err, fault.Usage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := of().SelectOne(sel("linux/amd64")); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "empty") {
		t.Errorf("empty: %v", err)
	}
	if got, err := i.Select(sel("index.docker.io/library/alpine:3.16").From(origins)); err != nil || len(got) != 2 {
		t.Errorf("all that came from one reference: %v %v", got, err)
	}
}

func TestAmbiguousPrefix(t *testing.T) {
	t.Parallel()
	twin := func(last string) v1.Descriptor {
		d := desc(last, "")
		d.Digest.Hex = strings.Repeat("ab", 31) + last
		return d
	}
	i := of(twin("00"), twin("11"))
	if _, _, err := i.Remove(sel("abababab")); !fault.Is(err, fault.Usage) || !strings.Contains(err.Error(), "several") {
		t.Errorf("%v", err)
	}
	if left, _, err := i.Remove(sel(strings.Repeat("ab", 31) + "1")); err != nil || left.Len() != 1 {
		t.Errorf("%v", err)
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	i := of(desc("a", "linux/amd64"), attestation("a-at", "a"), desc("b", "linux/arm64"), attestation("b-at", "b"))
	next, gone, err := i.Remove(sel("linux/amd64"))
	if err != nil || len(gone) != 2 || gone[0].Digest != hash("a") || gone[1].Digest != hash("a-at") || next.Len() != 2 {
		t.Errorf("%v %v", gone, err)
	}
	next, gone, err = i.Remove(manifest.ByDigest(hash("b-at")))
	if err != nil || len(gone) != 1 || next.Len() != 3 {
		t.Errorf("an attestation alone: %v %v", gone, err)
	}
	from := func(v1.Hash) []string { return []string{"alpine"} }
	next, gone, err = i.Remove(sel("alpine").From(from))
	if err != nil || len(gone) != 4 || next.Len() != 0 || raw(t, next) != raw(t, of()) {
		t.Errorf("all: %v %v", gone, err)
	}
	if same, _, err := i.Remove(sel("linux/s390x")); !fault.Is(err, fault.NotFound) || raw(t, same) != raw(t, i) {
		t.Errorf("%v", err)
	}
	if next := i.WithoutAttestations(); next.Len() != 2 {
		t.Errorf("without attestations: %s", shape(next))
	}
	// One image under two platforms keeps its attestation while one is left.
	twice := must(manifest.Parse([]byte(strings.Replace(raw(t, of(desc("a", "linux/amd64"), attestation("a-at", "a"))), "[",
		"["+string(must(manifest.NewEntry(desc("a", "linux/386"))).Raw)+",", 1))))
	if next, gone, err := twice.Remove(sel("linux/386")); err != nil || len(gone) != 1 || next.Len() != 2 {
		t.Errorf("%v %v", gone, err)
	}
}

func list(t *testing.T, values ...string) platform.List {
	t.Helper()
	l, err := platform.ParseList(values, platform.Platform{OS: "linux", Arch: "amd64"})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestFilter(t *testing.T) {
	t.Parallel()
	i := of(desc("a", "linux/amd64"), desc("b", "linux/arm64"), desc("v6", "linux/arm/v6"), desc("w", "windows/amd64:10.0.1"), desc("n", ""),
		attestation("a-at", "a"), attestation("b-at", "b"))
	for flags, want := range map[string][]string{
		"linux/arm64": {"b", "b-at"}, "windows/amd64,linux/amd64": {"a", "w", "a-at"}, "linux/arm*": {"b", "v6", "b-at"},
		"local": {"a", "a-at"}, "all": {"a", "b", "v6", "w", "n", "a-at", "b-at"}, "all,linux/amd64": {"a", "b", "v6", "w", "n", "a-at", "b-at"},
	} {
		next, err := i.Filter(list(t, flags))
		var got []v1.Hash
		for _, e := range next.Entries() {
			got = append(got, e.Descriptor.Digest)
		}
		var hashes []v1.Hash
		for _, w := range want {
			hashes = append(hashes, hash(w))
		}
		if err != nil || fmt.Sprint(got) != fmt.Sprint(hashes) {
			t.Errorf("%s: %v %s", flags, err, shape(next))
		}
	}
	for _, flags := range []string{"linux/amd64,linux/s390x", "darwin/*", "linux/arm/v7", "unknown/*"} {
		_, err := i.Filter(list(t, flags))
		if !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "linux/amd64, linux/arm64, linux/arm/v6, windows/amd64:10.0.1") {
			t.Errorf("%s: %v", flags, err)
		}
	}
	if same, err := i.Filter(platform.List{}); err != nil || raw(t, same) != raw(t, i) {
		t.Errorf("no filter: %v", err)
	}
}

func TestConvert(t *testing.T) {
	t.Parallel()
	noted := desc("b", "linux/arm64")
	noted.Annotations, noted.ArtifactType = map[string]string{"k": "v"}, "application/x"
	i := of(desc("a", "linux/amd64"), noted, attestation("a-at", "a")).Annotate(manifest.Annotation{Key: "k", Value: "v"})
	next, lost := i.Convert(manifest.FormatDocker)
	if next.MediaType() != types.DockerManifestList || next.Format() != manifest.FormatDocker || len(lost) != 4 {
		t.Errorf("%s: %q", next.MediaType(), lost)
	}
	want := must(manifest.New(types.DockerManifestList).Add(desc("a", "linux/amd64"), desc("b", "linux/arm64")))
	if raw(t, next) != raw(t, want) {
		t.Errorf("got  %s\nwant %s", raw(t, next), raw(t, want))
	}
	back, lost := next.Convert(manifest.FormatOCI)
	if len(lost) != 0 || raw(t, back) != raw(t, of(desc("a", "linux/amd64"), desc("b", "linux/arm64"))) {
		t.Errorf("%q %s", lost, raw(t, back))
	}
	if same, lost := i.Convert(manifest.FormatOCI); raw(t, same) != raw(t, i) || lost != nil {
		t.Error("the same format is a change")
	}
	bare := must(manifest.Parse([]byte(`{"schemaVersion":2,"manifests":[]}`)))
	if next, _ := bare.Convert(manifest.FormatDocker); raw(t, next) != raw(t, manifest.New(types.DockerManifestList)) {
		t.Errorf("a media type that was left out: %s", raw(t, next))
	}
	if _, err := manifest.ParseFormat("v2s2"); !fault.Is(err, fault.Usage) {
		t.Errorf("%v", err)
	}
}
