package announce

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
)

func request(adds ...Addition) Request { return Request{Tag: "1.0", Add: adds, Jitter: noWait} }

func appendTo(t *testing.T, r *memory, req Request) Result {
	t.Helper()
	res, err := Append(context.Background(), r, req)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.tags[req.Tag]; got != res.Digest.String() {
		t.Fatalf("the result says %s, the tag holds %s", res.Digest, got)
	}
	return res
}

func wantHeld(t *testing.T, r *memory, want map[string]Manifest) {
	t.Helper()
	got := r.held(t, "1.0")
	for p, m := range want {
		if got[p] != m.Digest.String() {
			t.Errorf("%s: %q, want %q", p, got[p], m.Digest)
		}
	}
	if len(got) != len(want) {
		t.Errorf("the tag holds %v, want %d entries", got, len(want))
	}
}

func wantNote(t *testing.T, notes []string, part string) {
	t.Helper()
	if !slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, part) }) {
		t.Errorf("no note says %q: %q", part, notes)
	}
}

func wantFault(t *testing.T, err error, kind fault.Kind, parts ...string) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Fatalf("error is no %s: %v", kind, err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error()+"\n"+fault.HintOf(err), part) {
			t.Errorf("neither error nor hint says %q: %v (%s)", part, err, fault.HintOf(err))
		}
	}
}

func TestAppendToMissingTag(t *testing.T) {
	t.Parallel()
	r := newMemory()
	add, m := r.addition("linux/arm/v6", "a")
	res := appendTo(t, r, request(add))
	wantHeld(t, r, map[string]Manifest{"linux/arm/v6": m})
	if r.tags["1.0-linux-arm-v6"] != m.Digest.String() {
		t.Error("the announcement is not the image itself")
	}
	if res.MediaType != types.OCIImageIndex || res.Writes != 1 || len(res.Notes) != 0 {
		t.Errorf("unexpected result %+v", res)
	}
}

// TestAppendKeepsEverythingElse: same platform replaced in its place, all else
// byte for byte.
func TestAppendKeepsEverythingElse(t *testing.T) {
	t.Parallel()
	for _, mt := range []types.MediaType{types.OCIImageIndex, types.DockerManifestList} {
		r := newMemory()
		amd, arm := r.image("linux/amd64", "old"), r.image("linux/arm64", "old")
		nested := r.index("", descriptor(amd, "linux/amd64", ""))
		entries := []string{
			string(descriptor(amd, "linux/amd64", `"annotations":{"b":"1","a":"2"},"x-unknown":{"n":1.50}`)),
			string(descriptor(arm, "linux/arm64", "")),
			string(descriptor(nested, "", `"x":[ 1, 2 ]`)),
			strings.Replace(string(descriptor(arm, "", `"platform":{"architecture":"unknown","os":"unknown"},"annotations":{"vnd.docker.reference.digest":"`+amd.Digest.String()+`","vnd.docker.reference.type":"attestation-manifest"}`)), arm.Digest.Hex, strings.Repeat("a", 64), 1),
		}
		before := `{ "schemaVersion": 2, "x-top": {"k": 1e3}, "mediaType": "` + string(mt) + `", "manifests": [` + strings.Join(entries, ", ") + `], "annotations": {"z":"1"} }`
		r.tag("1.0", r.add([]byte(before), mt))
		add, m := r.addition("linux/arm64", "new")
		res := appendTo(t, r, request(add))
		want := strings.Replace(before, entries[1], string(add.Entry), 1)
		if string(res.Raw) != want {
			t.Errorf("got\n%s\nwant\n%s", res.Raw, want)
		}
		if res.MediaType != mt {
			t.Errorf("media type became %s", res.MediaType)
		}
		_ = m
	}
}

func TestAppendWrapsPlainImage(t *testing.T) {
	t.Parallel()
	r := newMemory()
	old := r.image("linux/amd64", "old")
	r.tag("1.0", old)
	add, m := r.addition("linux/arm64", "new")
	appendTo(t, r, request(add))
	wantHeld(t, r, map[string]Manifest{"linux/amd64": old, "linux/arm64": m})
}

func TestAppendToImageWithoutPlatform(t *testing.T) {
	t.Parallel()
	r := newMemory()
	old := r.image("", "old")
	r.tag("1.0", old)
	add, m := r.addition("linux/arm64", "new")
	_, err := Append(context.Background(), r, request(add))
	wantFault(t, err, fault.Usage, "names no platform", "--existing-platform")
	if len(r.tags) != 1 {
		t.Errorf("something was written: %v", r.tags)
	}
	req := request(add)
	req.ExistingPlatform = mustPlatform("linux/amd64")
	appendTo(t, r, req)
	wantHeld(t, r, map[string]Manifest{"linux/amd64": old, "linux/arm64": m})
}

func TestAppendToArtifact(t *testing.T) {
	t.Parallel()
	r := newMemory()
	r.tag("1.0", r.add([]byte(`{"schemaVersion":2,"artifactType":"application/vnd.x","config":{"mediaType":"application/vnd.oci.empty.v1+json"}}`), types.OCIManifestSchema1))
	add, _ := r.addition("linux/arm64", "new")
	_, err := Append(context.Background(), r, request(add))
	wantFault(t, err, fault.Conflict, "application/vnd.x")
}

func TestSettleLeavesPlainImage(t *testing.T) {
	t.Parallel()
	r := newMemory()
	r.tag("1.0", r.image("linux/amd64", "old"))
	before := r.tags["1.0"]
	if _, err := Settle(context.Background(), r, request()); err != nil {
		t.Fatal(err)
	}
	if r.tags["1.0"] != before {
		t.Error("a plain image was wrapped without need")
	}
	_, err := Settle(context.Background(), r, Request{Tag: "2.0", Jitter: noWait})
	wantFault(t, err, fault.NotFound, "2.0")
}

// TestEntryThatSaysMore: the announcement carries the entry and its
// attestations, so that whoever collects it writes the same.
func TestEntryThatSaysMore(t *testing.T) {
	t.Parallel()
	r := newMemory()
	img := r.image("linux/amd64", "a")
	attestation := r.add([]byte(`{"schemaVersion":2,"layers":[]}`), types.OCIManifestSchema1)
	add := Addition{
		Entry: descriptor(img, "linux/amd64/v3", `"annotations":{"k":"v"}`),
		Attached: []json.RawMessage{descriptor(attestation, "",
			`"platform":{"architecture":"unknown","os":"unknown"},"annotations":{"vnd.docker.reference.digest":"`+img.Digest.String()+`"}`)},
	}
	req := request(add)
	req.Annotations = []manifest.Annotation{{Key: "org.example", Value: "1"}}
	first := appendTo(t, r, req)
	delete(r.tags, "1.0")
	res, err := Settle(context.Background(), r, request())
	if err != nil {
		t.Fatal(err)
	}
	if string(res.Raw) != string(first.Raw) {
		t.Errorf("settled\n%s\nappended\n%s", res.Raw, first.Raw)
	}
	wantNote(t, res.Notes, "linux/amd64/v3 was taken from the announcement '1.0-linux-amd64-v3'")
}

// TestForeignTags: tags that only look like announcements change nothing, and
// are not written over.
func TestForeignTags(t *testing.T) {
	t.Parallel()
	r := newMemory()
	other := r.image("linux/s390x", "x")
	several := r.index("", descriptor(other, "linux/s390x", ""), descriptor(r.image("linux/amd64", "y"), "linux/amd64", ""))
	for tag, m := range map[string]Manifest{
		"1.0-linux-notes": other, "1.0-rc1-linux-s390x": other, "1.0": r.index(""), "1": other, "1.0-linux-arm64": other,
		"1.0-linux-riscv64": several, "1.0-linux-ppc64le": r.image("", "z"), "1.0-jammy": other, "1.0-linux-s390x-linux-s390x": other,
		"1.0-linux-386": r.add([]byte(`not JSON`), types.OCIImageIndex),
	} {
		r.tag(tag, m)
	}
	add, m := r.addition("linux/amd64", "new")
	res := appendTo(t, r, request(add))
	wantHeld(t, r, map[string]Manifest{"linux/amd64": m})
	wantNote(t, res.Notes, "'1.0-linux-arm64' does not count as an announcement: it holds linux/s390x")
	wantNote(t, res.Notes, "'1.0-linux-riscv64' does not count as an announcement: it holds an index of several platforms")
	wantNote(t, res.Notes, "'1.0-linux-ppc64le' does not count as an announcement: its image's config names no platform")
	for _, op := range r.log {
		if strings.Contains(op, "notes") || strings.Contains(op, "rc1") || strings.Contains(op, "jammy") {
			t.Errorf("a tag that is no announcement was read: %s", op)
		}
	}
	riscv, _ := r.addition("linux/riscv64", "new")
	_, err := Append(context.Background(), r, request(riscv))
	wantFault(t, err, fault.Conflict, "'1.0-linux-riscv64' is used for something else")
	if r.tags["1.0-linux-riscv64"] != several.Digest.String() {
		t.Error("somebody's tag was written over")
	}

	// Tag '1' must not take what belongs to '1.0', '1-2' or '1.0-rc1'.
	r.tag("1-2-linux-s390x", other)
	req := request(add)
	req.Tag = "1"
	r.tags["1"] = r.index("").Digest.String()
	appendTo(t, r, req)
	if got := r.held(t, "1"); len(got) != 1 {
		t.Errorf("tag '1' holds %v", got)
	}
}

func TestTagLimit(t *testing.T) {
	t.Parallel()
	r := newMemory()
	add, _ := r.addition("linux/amd64", "a")
	req := request(add)
	req.Tag = strings.Repeat("x", 120)
	_, err := Append(context.Background(), r, req)
	wantFault(t, err, fault.Usage, "132 characters", "--no-announce")
	if len(r.tags) != 0 {
		t.Error("something was written")
	}
	req.NoAnnounce = true
	appendTo(t, r, req)
}

func TestExpect(t *testing.T) {
	t.Parallel()
	r := newMemory()
	r.tag("1.0-linux-riscv64", r.image("linux/riscv64", "not expected"))
	arm := r.image("linux/arm64", "other job")
	r.tag("1.0-linux-arm64", arm)
	add, amd := r.addition("linux/amd64", "a")
	req := request(add)
	req.Expect = []platform.Platform{mustPlatform("linux/amd64"), mustPlatform("linux/arm64"), mustPlatform("linux/s390x")}
	r.hook = func(op, _ string) error {
		if op == "TAGS" {
			t.Error("tags were listed in spite of --expect")
		}
		return nil
	}
	res := appendTo(t, r, req)
	wantHeld(t, r, map[string]Manifest{"linux/amd64": amd, "linux/arm64": arm})
	wantNote(t, res.Notes, "'1.0' still lacks linux/s390x")
	wantNote(t, res.Notes, "linux/arm64 was taken from the announcement '1.0-linux-arm64' of another job")
	if len(res.Missing) != 1 || len(res.Collected) != 1 {
		t.Errorf("missing %v, collected %v", res.Missing, res.Collected)
	}
	mips, _ := r.addition("linux/mips", "a")
	req.Add = []Addition{mips}
	_, err := Append(context.Background(), r, req)
	wantFault(t, err, fault.Usage, "not among the expected platforms linux/amd64, linux/arm64, linux/s390x")
}

func TestNoAnnounce(t *testing.T) {
	t.Parallel()
	r := newMemory()
	r.tag("1.0-linux-amd64", r.image("linux/amd64", "announced earlier"))
	add, m := r.addition("linux/amd64", "a")
	req := request(add)
	req.NoAnnounce = true
	before := r.tags["1.0-linux-amd64"]
	res := appendTo(t, r, req)
	wantHeld(t, r, map[string]Manifest{"linux/amd64": m})
	wantNote(t, res.Notes, "nothing was announced: another job")
	wantNote(t, res.Notes, "'1.0-linux-amd64' still announces something else for linux/amd64")
	if r.tags["1.0-linux-amd64"] != before {
		t.Error("it announced")
	}
}

func TestRemoveAndBack(t *testing.T) {
	t.Parallel()
	r := newMemory()
	amd, a := r.addition("linux/amd64", "a")
	arm, b := r.addition("linux/arm64", "b")
	appendTo(t, r, request(amd, arm))
	rm := request()
	rm.Remove = []platform.Platform{mustPlatform("linux/arm64")}
	appendTo(t, r, rm)
	wantHeld(t, r, map[string]Manifest{"linux/amd64": a})
	marker, err := r.manifest(r.tags["1.0-linux-arm64"])
	if err != nil || artifactType(marker.Raw) != WithdrawnType {
		t.Fatalf("no marker: %s", marker.Raw)
	}
	list, err := Announcements(context.Background(), r, request())
	if err != nil || len(list) != 2 || !list[1].Withdrawn || !list[1].Held || list[1].PlatformName != "linux/arm64" || list[0].Withdrawn || !list[0].Held {
		t.Errorf("announcements %+v, %v", list, err)
	}
	appendTo(t, r, request(amd)) // nobody brings arm64 back
	wantHeld(t, r, map[string]Manifest{"linux/amd64": a})
	appendTo(t, r, request(arm)) // but a later announcement does
	wantHeld(t, r, map[string]Manifest{"linux/amd64": a, "linux/arm64": b})
	rm.Remove = []platform.Platform{mustPlatform("linux/s390x")}
	_, err = Append(context.Background(), r, rm)
	wantFault(t, err, fault.NotFound, "linux/s390x", "linux/amd64, linux/arm64")
}

func TestStartAfresh(t *testing.T) {
	t.Parallel()
	r := newMemory()
	amd, _ := r.addition("linux/amd64", "old")
	if _, err := StartAfresh(context.Background(), r, request(amd)); err != nil || len(r.tags) != 0 {
		t.Fatalf("announced without need: %v %v", r.tags, err)
	}
	arm, _ := r.addition("linux/arm64", "old")
	appendTo(t, r, request(amd, arm))
	fresh, m := r.addition("linux/amd64", "new")
	withdrawn, err := StartAfresh(context.Background(), r, request(fresh))
	if err != nil || len(withdrawn) != 1 || withdrawn[0].PlatformName != "linux/arm64" {
		t.Fatalf("withdrew %+v, %v", withdrawn, err)
	}
	r.tag("1.0", m)
	s390, s := r.addition("linux/s390x", "new")
	appendTo(t, r, request(s390))
	wantHeld(t, r, map[string]Manifest{"linux/amd64": m, "linux/s390x": s})
}

func TestIndexAnnotations(t *testing.T) {
	t.Parallel()
	r := newMemory()
	r.tag("1.0", r.index(`"annotations":{"a":"0","b":"0","c":"0"}`))
	add, _ := r.addition("linux/amd64", "a")
	req := request(add)
	req.Annotations = []manifest.Annotation{{Key: "a", Value: "1"}, {Key: "c", Delete: true}, {Key: "d", Value: "1"}}
	res := appendTo(t, r, req)
	i, err := manifest.Parse(res.Raw)
	if err != nil {
		t.Fatal(err)
	}
	if got := i.Annotations(); len(got) != 3 || got["a"] != "1" || got["b"] != "0" || got["d"] != "1" {
		t.Errorf("annotations %v", got)
	}
}

// TestCost is the number of requests that an append without contention takes.
func TestCost(t *testing.T) {
	t.Parallel()
	r := newMemory()
	for _, p := range []string{"linux/amd64", "linux/arm64", "linux/s390x"} {
		add, m := r.addition(p, "a")
		add.Manifest, add.Config = m.Raw, r.configOf(t, m)
		r.log = nil
		appendTo(t, r, request(add))
		t.Logf("%s: %d requests: %s", p, len(r.log), strings.Join(r.log, ", "))
		others := len(r.tags) - 2
		if want := 10 + 2*others; len(r.log) != want {
			t.Errorf("%d requests with %d other announcements, docs/append.md says %d", len(r.log), others, want)
		}
	}
}

// TestSeen: what Look saw is not read again before the announcement, but for a
// tag of which a listing says nothing.
func TestSeen(t *testing.T) {
	t.Parallel()
	for _, expect := range [][]platform.Platform{nil, {mustPlatform("linux/amd64"), mustPlatform("linux/arm64")}} {
		r := newMemory()
		first, _ := r.addition("linux/amd64", "a")
		appendTo(t, r, request(first))
		add, m := r.addition("linux/arm64", "b")
		add.Manifest, add.Config = m.Raw, r.configOf(t, m)
		req := request(add)
		req.Expect = expect
		var err error
		if req.Seen, err = Look(context.Background(), r, req); err != nil {
			t.Fatal(err)
		}
		r.log = nil
		res := appendTo(t, r, req)
		want := "PUT 1.0-linux-arm64"
		if expect == nil {
			want = "GET 1.0-linux-arm64"
		}
		if r.log[0] != want || len(res.Platforms) != 2 {
			t.Errorf("%v: %s", res.Platforms, strings.Join(r.log, ", "))
		}
	}
}

// TestSeenForeign: a tag of somebody else is found in what Look saw too.
func TestSeenForeign(t *testing.T) {
	t.Parallel()
	r := newMemory()
	foreign := r.index("", descriptor(r.image("linux/s390x", "x"), "linux/s390x", ""), descriptor(r.image("linux/386", "y"), "linux/386", ""))
	r.tag("1.0-linux-amd64", foreign)
	add, _ := r.addition("linux/amd64", "a")
	req := request(add)
	var err error
	if req.Seen, err = Look(context.Background(), r, req); err != nil {
		t.Fatal(err)
	}
	_, err = Append(context.Background(), r, req)
	wantFault(t, err, fault.Conflict, "is used for something else")
	if got := r.tags["1.0-linux-amd64"]; got != foreign.Digest.String() {
		t.Errorf("the tag now holds %s", got)
	}
}

// TestSeenUnlisted: the same where the registry lists nothing of it.
func TestSeenUnlisted(t *testing.T) {
	t.Parallel()
	r := newMemory()
	foreign := r.index("", descriptor(r.image("linux/s390x", "x"), "linux/s390x", ""), descriptor(r.image("linux/386", "y"), "linux/386", ""))
	add, _ := r.addition("linux/amd64", "a")
	req := request(add)
	var err error
	if req.Seen, err = Look(context.Background(), r, req); err != nil {
		t.Fatal(err)
	}
	r.tag("1.0-linux-amd64", foreign)
	_, err = Append(context.Background(), r, req)
	wantFault(t, err, fault.Conflict, "is used for something else")
	if got := r.tags["1.0-linux-amd64"]; got != foreign.Digest.String() {
		t.Errorf("the tag now holds %s", got)
	}
}

// TestNew: a tag that is to be made must not be there.
func TestNew(t *testing.T) {
	t.Parallel()
	r := newMemory()
	add, _ := r.addition("linux/amd64", "a")
	req := request(add)
	req.New = true
	appendTo(t, r, req)
	r.log = nil
	_, err := Append(context.Background(), r, req)
	wantFault(t, err, fault.Conflict, "the tag exists already")
	if !errors.Is(err, ErrExists) || strings.Contains(strings.Join(r.log, " "), "PUT") {
		t.Errorf("%v: %s", err, strings.Join(r.log, ", "))
	}
}

// TestUnite: under a lock the same union is made without a registry.
func TestUnite(t *testing.T) {
	t.Parallel()
	r := newMemory()
	old := r.image("linux/amd64", "old")
	add, _ := r.addition("linux/arm64", "new")
	config := func() ([]byte, error) { return r.configOf(t, old), nil }
	res, err := Unite(context.Background(), &old, config, Request{Tag: "1.0", Add: []Addition{add}})
	if err != nil {
		t.Fatal(err)
	}
	r.tag("1.0", old)
	if want := appendTo(t, r, request(add)); string(res.Raw) != string(want.Raw) {
		t.Errorf("under a lock\n%s\nin a registry\n%s", res.Raw, want.Raw)
	}
	_, err = Unite(context.Background(), nil, nil, Request{Tag: "1.0", Remove: []platform.Platform{mustPlatform("linux/s390x")}})
	wantFault(t, err, fault.NotFound, "linux/s390x")
	res, err = Unite(context.Background(), nil, nil, Request{Tag: "1.0", Add: []Addition{add}, Expect: []platform.Platform{mustPlatform("linux/arm64"), mustPlatform("linux/s390x")}})
	if err != nil || len(res.Missing) != 1 || len(res.Notes) != 1 {
		t.Errorf("missing %v, notes %q, %v", res.Missing, res.Notes, err)
	}
}
