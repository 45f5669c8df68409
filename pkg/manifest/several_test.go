package manifest_test

import (
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
)

// TestAddOneImageForSeveralPlatforms: what comes together, as from an index,
// may say that one image is for several platforms; what is there already stays.
func TestAddOneImageForSeveralPlatforms(t *testing.T) {
	t.Parallel()
	both := entries(desc("noarch", "linux/amd64"), desc("noarch", "linux/arm64"), desc("noarch", "linux/arm64"))
	next, additions, err := of().AddEntries(manifest.AddOptions{}, both...)
	if err != nil || next.Len() != 2 {
		t.Fatalf("%d entries, %v", next.Len(), err)
	}
	if additions[0].Outcome != manifest.Added || additions[1].Outcome != manifest.Added || additions[2].Outcome != manifest.Unchanged {
		t.Errorf("%+v", additions)
	}
	again, additions, err := next.AddEntries(manifest.AddOptions{}, both...)
	if err != nil || raw(t, again) != raw(t, next) || additions[1].Outcome != manifest.Unchanged {
		t.Errorf("%+v, %v", additions, err)
	}
	one := of(desc("noarch", "linux/amd64"))
	same, _, err := one.AddEntries(manifest.AddOptions{}, both[1])
	if err != nil || raw(t, same) != raw(t, one) {
		t.Errorf("a digest that is there: %s, %v", raw(t, same), err)
	}
	taken := of(desc("other", "linux/arm64"))
	if _, _, err := taken.AddEntries(manifest.AddOptions{}, both...); !fault.Is(err, fault.Conflict) {
		t.Errorf("a platform that is taken: %v", err)
	}
	replaced, _, err := taken.AddEntries(manifest.AddOptions{Replace: true}, both...)
	if err != nil || replaced.Len() != 2 || strings.Contains(raw(t, replaced), hash("other").String()) {
		t.Errorf("replaced: %s, %v", raw(t, replaced), err)
	}
}

// TestRemoveSeveral: selectors mean what they mean in the index as it was, in
// whatever order they stand.
func TestRemoveSeveral(t *testing.T) {
	t.Parallel()
	i := of(desc("plain", "windows/amd64"), desc("w1", "windows/amd64:10.0.1"), desc("l", "linux/amd64"), attestation("at", "l"))
	windows := manifest.ByPlatform(must(platform.Parse("windows/amd64")))
	next, gone, err := i.Remove(manifest.ByDigest(hash("plain")), windows, manifest.ByDigest(hash("l")))
	if err != nil || next.Len() != 1 || len(gone) != 3 || next.Entries()[0].Descriptor.Digest != hash("w1") {
		t.Errorf("%s, %d gone, %v", raw(t, next), len(gone), err)
	}
	same, gone, err := i.Remove(windows, manifest.ByDigest(hash("none")), manifest.ByDigest(hash("neither")))
	if !fault.Is(err, fault.NotFound) || len(gone) != 0 || raw(t, same) != raw(t, i) || strings.Count(err.Error(), "looking for entry") != 2 {
		t.Errorf("%d gone, %v", len(gone), err)
	}
}

func TestParseAndEditEntry(t *testing.T) {
	t.Parallel()
	text := `{ "digest":"` + hash("a").String() + `","x":{"y" :1},"mediaType":"a/b","size":7}`
	e, err := manifest.ParseEntry([]byte(text))
	if err != nil || string(e.Raw) != text {
		t.Fatalf("%s, %v", e.Raw, err)
	}
	edited, err := e.Edit(func(d v1.Descriptor) v1.Descriptor {
		d.Platform = &v1.Platform{OS: "linux", Architecture: "amd64"}
		return d
	})
	if err != nil || !strings.Contains(string(edited.Raw), `"x":{"y" :1}`) || edited.Platform.String() != "linux/amd64" {
		t.Errorf("%s, %v", edited.Raw, err)
	}
	for _, bad := range []string{"", "{", "[]", `{"mediaType":"a/b","size":7}`, `{"mediaType":"a/b","digest":"` + hash("a").String() + `"}`} {
		if _, err := manifest.ParseEntry([]byte(bad)); !fault.Is(err, fault.Usage) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
