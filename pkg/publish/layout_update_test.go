package publish_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/testhelpers/imgtest"
	"github.com/multipack/multipack/testhelpers/regtest"
)

// adding is the update that puts one image for a platform into an index.
func adding(t testing.TB, p string) publish.Update {
	t.Helper()
	img := imgtest.Image(t, imgtest.ImageSpec{Platform: p, Seed: p, Shared: 1, Layers: 2})
	brought, err := manifest.Around(img)
	if err != nil {
		t.Fatal(err)
	}
	return publish.Update{
		Images: []manifest.Artifact{img},
		Change: func(_ reference.Ref, current manifest.Artifact) (manifest.Index, error) {
			i := manifest.New(types.OCIImageIndex)
			if current != nil {
				raw, err := current.RawManifest()
				if err != nil {
					return i, err
				}
				if i, err = manifest.Parse(raw); err != nil {
					return i, err
				}
			}
			return i.Merge(brought)
		},
	}
}

func TestUpdatesOfOneNameLoseNothing(t *testing.T) {
	t.Parallel()
	for _, tag := range []string{"", ":v1", ":docker.io/library/bp:1"} {
		dir := filepath.Join(t.TempDir(), "out")
		platforms := []string{"linux/amd64", "linux/arm64", "linux/s390x", "linux/ppc64le", "linux/riscv64", "linux/386", "linux/arm/v6", "linux/arm/v7"}
		var wg sync.WaitGroup
		for _, p := range platforms {
			wg.Go(func() {
				if _, err := (&publish.Layout{}).Update(t.Context(), adding(t, p), to(t, "oci:"+dir+tag)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		name := ""
		if tag != "" {
			name = tag[1:]
		}
		m, err := resolve(t, dir, name).(v1.ImageIndex).IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Manifests) != len(platforms) {
			t.Errorf("'%s' holds %d platforms, want %d", tag, len(m.Manifests), len(platforms))
		}
	}
}

func TestUpdateReportsAndPlans(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	p := &publish.Layout{}
	target := to(t, "oci:"+dir+":v1")
	target.Tags = []reference.Ref{target.Ref.WithTag("v2")}
	must(t, p, imgtest.Index(t, imgtest.Of("a", "linux/amd64")), to(t, "oci:"+dir+":v1"))
	before := snapshot(t, dir)
	plan, err := p.PlanUpdate(t.Context(), adding(t, "linux/arm64"), target)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range snapshot(t, dir) {
		if before[name] != content {
			t.Errorf("planning changed '%s'", name)
		}
	}
	r, err := p.Update(t.Context(), adding(t, "linux/arm64"), target)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Digest != r.Digest || plan.Also[0].Digest != r.Also[0].Digest || !plan.DryRun || plan.Action != publish.Planned {
		t.Errorf("planned %+v, done %+v", plan, r)
	}
	if r.Name != "oci:"+dir+"@"+digest(t, resolve(t, dir, "v1")).String() || fmt.Sprint(r.Tags, r.Also[0].Tags) != "[v1] [v2]" {
		t.Errorf("the report is %+v", r)
	}
	if len(r.Images) != 2 || r.Images[0].Action != publish.Exists || r.Images[1].Layers[0].Action != publish.Uploaded || r.Images[1].PlatformName != "linux/arm64" {
		t.Errorf("the images are %+v", r.Images)
	}
	if len(r.Also[0].Images) != 1 {
		t.Errorf("v2 holds %+v", r.Also[0].Images)
	}

	failing := adding(t, "linux/s390x")
	failing.Change = func(reference.Ref, manifest.Artifact) (manifest.Index, error) { return manifest.Index{}, errBroken }
	if _, err := p.Update(t.Context(), failing, target); !errors.Is(err, errBroken) {
		t.Errorf("the error is %v", err)
	}
	if got := digest(t, resolve(t, dir, "v1")); got != r.Digest {
		t.Errorf("after a failure v1 is %s", got)
	}
}

func TestUpdateOfAmbiguousName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := &publish.Layout{}
	must(t, p, imgtest.Index(t, imgtest.Of("a", "linux/amd64")), to(t, "oci:"+dir+":docker.io/library/x:1"))
	must(t, p, imgtest.Index(t, imgtest.Of("b", "linux/amd64")), to(t, "oci:"+dir+":other"))
	u := adding(t, "linux/arm64")
	if _, err := p.Update(t.Context(), u, to(t, "oci:"+dir+":x:1")); err != nil { // the same name, spelled otherwise
		t.Fatal(err)
	}
	path := filepath.Join(dir, "index.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(raw, []byte(`"other"`), []byte(`"docker.io/library/x:1"`)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Update(t.Context(), u, to(t, "oci:"+dir+":x:1")); !fault.Is(err, fault.Conflict) {
		t.Errorf("the error is %v", err)
	}
}

func TestBeforeTags(t *testing.T) {
	t.Parallel()
	reg := regtest.New(t)
	idx := imgtest.Index(t, imgtest.Of("a", "linux/amd64"))
	target := to(t, reg.Host()+"/acme/bp:1")
	b := &publish.BeforeTags{Next: publisher(t), Do: func(context.Context) error {
		if reg.Count("PUT", "/manifests/sha256:") != 1 || reg.Count("PUT", "/manifests/1$") != 0 {
			t.Error("it is not the moment between content and tag")
		}
		return errBroken
	}}
	if _, err := b.Publish(t.Context(), idx, target); !errors.Is(err, errBroken) {
		t.Errorf("the error is %v", err)
	}
	if got := tagged(t, reg, "acme/bp", "1"); got != (v1.Hash{}) {
		t.Errorf("the tag points at %s", got)
	}
	b.Do = func(context.Context) error { return nil }
	must(t, b, idx, target)
	checkRemote(t, reg, "acme/bp", "1", idx)
}
