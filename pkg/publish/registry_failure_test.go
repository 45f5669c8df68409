package publish_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/testhelpers/imgtest"
	"github.com/multipack/multipack/testhelpers/regtest"
)

// Whichever request fails, the tag either still points at what it pointed at,
// or everything under it is there.
func TestNoFailureMovesATagToSomethingPartial(t *testing.T) {
	t.Parallel()
	old, next := imgtest.Index(t, family("old")), imgtest.Index(t, family("next"))
	failures, done := 0, false
	for n := 0; !done; n++ {
		reg := regtest.New(t)
		must(t, publisher(t), old, to(t, reg.Host()+"/acme/bp:1"))
		hit := false
		reg.Inject(regtest.Fault{Path: "^/v2/acme/", Skip: n, Status: http.StatusForbidden, Hit: func() { hit = true }})
		_, err := publisher(t).Publish(t.Context(), next, to(t, reg.Host()+"/acme/bp:1"))
		reg.Heal()
		if err == nil {
			checkRemote(t, reg, "acme/bp", "1", next)
			done = !hit
			continue
		}
		failures++
		if !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), reg.Host()+"/acme/bp") {
			t.Errorf("request %d refused: the error is %v", n, err)
		}
		if got := tagged(t, reg, "acme/bp", "1"); got != digest(t, old) {
			t.Fatalf("request %d refused: the tag points at %s", n, got)
		}
		must(t, publisher(t), next, to(t, reg.Host()+"/acme/bp:1"))
		checkRemote(t, reg, "acme/bp", "1", next)
	}
	if failures < 10 {
		t.Errorf("only %d refusals made the push fail", failures)
	}
}

func TestBrokenUploadIsTriedAgain(t *testing.T) {
	t.Parallel()
	reg := regtest.New(t)
	reg.Inject(regtest.Fault{Method: "PUT", Path: "/blobs/uploads/", CutUpload: 100, Times: 2})
	idx := imgtest.Index(t, family("a"))
	must(t, publisher(t), idx, to(t, reg.Host()+"/acme/bp:1"))
	checkRemote(t, reg, "acme/bp", "1", idx)
}

func TestRefusedUploadIsNotToldAsDone(t *testing.T) {
	t.Parallel()
	reg := regtest.New(t)
	reg.Inject(regtest.Fault{Method: "PUT", Path: "/blobs/uploads/", Status: 500, Times: -1})
	p := publisher(t)
	p.Observe = func(e publish.Event) {
		if e.Kind == "upload" && e.Done == e.Total {
			t.Errorf("blob %s was told to be uploaded", e.Descriptor.Digest)
		}
	}
	if _, err := p.Publish(t.Context(), imgtest.Index(t, family("a")), to(t, reg.Host()+"/acme/bp:1")); err == nil {
		t.Error("it succeeded")
	}
}

func TestUnresolvableChildIsFoundBeforeTheFirstWrite(t *testing.T) {
	t.Parallel()
	reg := regtest.New(t)
	whole := imgtest.Index(t, family("a"))
	missing := errors.New("the child is gone")
	_, err := publisher(t).Publish(t.Context(), sparse{whole, digestOf(t, whole, 1), missing}, to(t, reg.Host()+"/acme/bp:1"))
	if !errors.Is(err, missing) {
		t.Errorf("the error is %v", err)
	}
	if w := writes(reg); len(w) > 0 {
		t.Errorf("there were writes: %v", w)
	}
}

// anIndex has a name that is not one of its methods'.
type anIndex = v1.ImageIndex

// sparse is an index one of whose children cannot be read.
type sparse struct {
	anIndex
	gone v1.Hash
	err  error
}

func (s sparse) Image(h v1.Hash) (v1.Image, error) {
	if h == s.gone {
		return nil, s.err
	}
	return s.anIndex.Image(h)
}

func digestOf(t testing.TB, idx v1.ImageIndex, child int) v1.Hash {
	t.Helper()
	m, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	return m.Manifests[child].Digest
}

func TestImmutableTagThatIsRightIsNoConflict(t *testing.T) {
	t.Parallel()
	reg := regtest.New(t, regtest.Immutable("1"))
	a, b := imgtest.Image(t, imgtest.ImageSpec{Seed: "a"}), imgtest.Image(t, imgtest.ImageSpec{Seed: "b"})
	must(t, publisher(t), a, to(t, reg.Host()+"/acme/bp:1"))
	must(t, publisher(t), a, to(t, reg.Host()+"/acme/bp:1"))
	if _, err := publisher(t).Publish(t.Context(), b, to(t, reg.Host()+"/acme/bp:1")); !fault.Is(err, fault.Conflict) {
		t.Errorf("the error is %v", err)
	}
}

func TestFailedTagSaysWhichWereWritten(t *testing.T) {
	t.Parallel()
	reg := regtest.New(t, regtest.Deny("PUT", "/manifests/second$"))
	target := to(t, reg.Host()+"/acme/bp:first")
	target.Tags = append(target.Tags, target.Ref.WithTag("second"), target.Ref.WithTag("third"))
	_, err := publisher(t).Publish(t.Context(), imgtest.Image(t, imgtest.ImageSpec{}), target)
	if !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "written already: '"+reg.Host()+"/acme/bp:first'") {
		t.Errorf("the error is %v", err)
	}
	if got := tagged(t, reg, "acme/bp", "third"); got != (v1.Hash{}) {
		t.Errorf("the tag after the refused one points at %s", got)
	}
}

func TestWrongUseTouchesNothing(t *testing.T) {
	t.Parallel()
	reg := regtest.New(t)
	img := imgtest.Image(t, imgtest.ImageSpec{})
	other := to(t, reg.Host()+"/acme/bp:1")
	other.Tags = append(other.Tags, ref(t, reg.Host()+"/acme/else:1"))
	targets := map[string]publish.Target{
		"another digest":     to(t, reg.Host()+"/acme/bp@sha256:"+strings.Repeat("0", 64)),
		"another repository": other,
		"no registry":        to(t, "oci:/nowhere"),
	}
	for name, target := range targets {
		if _, err := publisher(t).Publish(t.Context(), img, target); !fault.Is(err, fault.Usage) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	if len(reg.Requests()) > 0 {
		t.Errorf("there were requests: %v", reg.Requests())
	}
}

func TestCancelledPublishLeavesTheTag(t *testing.T) {
	t.Parallel()
	reg := regtest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reg.Inject(regtest.Fault{Method: "PUT", Path: "/manifests/sha256:", Hang: true, Times: -1, Hit: cancel})
	_, err := publisher(t).Publish(ctx, imgtest.Index(t, family("a")), to(t, reg.Host()+"/acme/bp:1"))
	if err == nil {
		t.Fatal("there is no error")
	}
	if got := tagged(t, reg, "acme/bp", "1"); got != (v1.Hash{}) {
		t.Errorf("the tag points at %s", got)
	}
}
