package announce

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
)

// TestBegin: what can be refused is refused before anything is written, and the
// content may come later.
func TestBegin(t *testing.T) {
	t.Parallel()
	r := newMemory()
	add, m := r.addition("linux/arm64", "a")
	add.Manifest, add.Config = m.Raw, r.configOf(t, m)
	r.tag("1.0", r.image("", "old"))
	_, err := Begin(context.Background(), r, request(add))
	wantFault(t, err, fault.Usage, "--existing-platform")
	for _, op := range r.log {
		if strings.HasPrefix(op, "PUT") {
			t.Errorf("it wrote: %s", op)
		}
	}
	delete(r.tags, "1.0")
	r.tag("1.0-linux-arm64", m)
	p, err := Begin(context.Background(), r, request(add))
	if err != nil {
		t.Fatal(err)
	}
	// While the content is on its way, another job announces something else.
	r.tag("1.0-linux-arm64", r.image("linux/arm64", "b"))
	if _, err := p.Append(context.Background()); err != nil {
		t.Fatal(err)
	}
	wantHeld(t, r, map[string]Manifest{"linux/arm64": m})
}

// TestRehearse: a dry run ends as the real run does, and writes nothing.
func TestRehearse(t *testing.T) {
	t.Parallel()
	r := newMemory()
	old := r.image("linux/amd64", "old")
	r.tag("1.0", old)
	r.tag("1.0-linux-s390x", r.image("linux/s390x", "announced"))
	add, _ := r.addition("linux/arm64", "new")
	requests := map[string]Request{"add": request(add), "remove": request(), "annotated": request(add)}
	remove := requests["remove"]
	remove.Remove = []platform.Platform{mustPlatform("linux/amd64")}
	requests["remove"] = remove
	annotated := requests["annotated"]
	annotated.Annotations = []manifest.Annotation{{Key: "k", Value: "v"}}
	requests["annotated"] = annotated
	for _, name := range []string{"add", "remove", "annotated"} {
		r.log = nil
		dry, err := Append(context.Background(), Rehearse(r), requests[name])
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range r.log {
			if strings.HasPrefix(op, "PUT") {
				t.Errorf("%s: the rehearsal wrote: %s", name, op)
			}
		}
		done := appendTo(t, r, requests[name])
		if string(dry.Raw) != string(done.Raw) || dry.Writes != done.Writes || !slices.Equal(dry.Announced, done.Announced) || !slices.Equal(dry.Notes, done.Notes) {
			t.Errorf("%s: rehearsed\n%s %v\nreal\n%s %v", name, dry.Raw, dry, done.Raw, done)
		}
	}
}

// TestDistroTags: what --append-image-name-suffix makes for a distribution is
// another name of the image that is announced, and nothing to talk about.
func TestDistroTags(t *testing.T) {
	t.Parallel()
	r := newMemory()
	add, m := r.addition("linux/amd64:24.04", "a")
	r.tag("1.0-linux-amd64-ubuntu-24.04", m)
	r.tag("1.0-linux-arm64-ubuntu-24.04", m)
	res := appendTo(t, r, request(add))
	wantHeld(t, r, map[string]Manifest{"linux/amd64:24.04": m})
	wantNote(t, res.Notes, "'1.0-linux-arm64-ubuntu-24.04' does not count")
	if len(res.Notes) != 1 {
		t.Errorf("notes %q", res.Notes)
	}
}
