package announce

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
)

// TestBesidesPlatforms: nested indexes, artifactType and index-level
// annotations are put in, changed and taken out, and a union of another writer keeps them.
func TestBesidesPlatforms(t *testing.T) {
	t.Parallel()
	r := newMemory()
	add, amd := r.addition("linux/amd64", "a")
	nested := r.index("", descriptor(amd, "linux/amd64", ""))
	plain := descriptor(nested, "", "")
	req := request(add)
	req.Extra = []json.RawMessage{plain}
	req.Fields = func(i manifest.Index) (manifest.Index, error) { return i.WithArtifactType("application/x"), nil }
	appendTo(t, r, req)
	if res := appendTo(t, r, req); res.Writes != 0 {
		t.Error("the same again was written again")
	}
	other, _ := r.addition("linux/arm64", "b")
	raw := string(appendTo(t, r, request(other)).Raw)
	if !strings.Contains(raw, string(plain)) || !strings.Contains(raw, `"artifactType":"application/x"`) {
		t.Errorf("the union lost something: %s", raw)
	}
	edited := descriptor(nested, "", `"annotations":{"k":"v"}`)
	req = request()
	req.Extra = []json.RawMessage{edited}
	if raw = string(appendTo(t, r, req).Raw); !strings.Contains(raw, string(edited)) || strings.Contains(raw, string(plain)) {
		t.Errorf("the entry was not edited: %s", raw)
	}
	req = request()
	req.Drop = []v1.Hash{nested.Digest}
	if raw = string(appendTo(t, r, req).Raw); strings.Contains(raw, nested.Digest.String()) {
		t.Errorf("the entry is still there: %s", raw)
	}
	wantHeld(t, r, map[string]Manifest{"linux/amd64": amd, "linux/arm64": r.image("linux/arm64", "b")})
}

// TestEntryThatMovesToAnotherPlatform: its attestation goes with it.
func TestEntryThatMovesToAnotherPlatform(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"linux/arm/v6", "linux/s390x"} {
		r := newMemory()
		img, attestation := r.image("linux/ppc64le", "a"), r.image("", "about a")
		about := descriptor(attestation, "", `"platform":{"architecture":"unknown","os":"unknown"},"annotations":{"vnd.docker.reference.digest":"`+img.Digest.String()+`","vnd.docker.reference.type":"attestation-manifest"}`)
		r.tag("1.0", r.index("", descriptor(img, "linux/ppc64le", ""), about))
		req := request(Addition{Entry: descriptor(img, to, ""), Attached: []json.RawMessage{about}})
		req.Remove = []platform.Platform{mustPlatform("linux/ppc64le")}
		res := appendTo(t, r, req)
		if res.Writes != 1 || !strings.Contains(string(res.Raw), string(about)) {
			t.Errorf("%s: %d writes, %s", to, res.Writes, res.Raw)
		}
		wantHeld(t, r, map[string]Manifest{to: img, "unknown/unknown": attestation})
	}
}

func TestLook(t *testing.T) {
	t.Parallel()
	r := newMemory()
	if v, err := Look(context.Background(), r, request()); err != nil || v.Found {
		t.Errorf("an empty repository: %+v, %v", v, err)
	}
	r.tag("1.0", r.image("linux/amd64", "a"))
	r.tag("1.0-linux-arm64", r.image("linux/arm64", "b"))
	v, err := Look(context.Background(), r, request())
	if err != nil || !v.Found || len(v.Index.Platforms()) != 2 {
		t.Fatalf("%+v, %v", v, err)
	}
	if len(r.tags) != 2 {
		t.Errorf("looking wrote %v", r.tags)
	}
}
