package publish_test

import (
	"fmt"
	"testing"

	"github.com/multipack/multipack/testhelpers/imgtest"
	"github.com/multipack/multipack/testhelpers/regtest"
)

// TestLargeIndexCostsNoRequestPerChild changes one of many entries.
func TestLargeIndexCostsNoRequestPerChild(t *testing.T) {
	t.Parallel()
	reg := regtest.New(t)
	spec := imgtest.IndexSpec{}
	for n := range 20 {
		spec.Images = append(spec.Images, imgtest.ImageSpec{Platform: fmt.Sprintf("windows/amd64:10.0.20348.%d", n), Seed: "a", Layers: 1, LayerSize: 50})
	}
	must(t, publisher(t), imgtest.Index(t, spec), to(t, reg.Host()+"/acme/bp:1"))
	spec.Images[7].Seed = "b"
	changed := imgtest.Index(t, spec)

	reg.Reset()
	must(t, publisher(t), changed, to(t, reg.Host()+"/acme/bp:1"))
	if n := reg.Count("HEAD", "/manifests/"); n != 2 {
		t.Errorf("%d manifests were looked up, want the index and the child that changed: %v", n, reg.Requests())
	}
	checkRemote(t, reg, "acme/bp", "1", changed)

	reg.Reset()
	mending := publisher(t)
	mending.Mend = true
	spec.Images[8].Seed = "b"
	must(t, mending, imgtest.Index(t, spec), to(t, reg.Host()+"/acme/bp:1"))
	if n := reg.Count("HEAD", "/manifests/"); n != 21 {
		t.Errorf("who mends takes nothing for granted, but looked up %d manifests of 21", n)
	}
}

// TestWhatWasReadThereIsNotLookedUp pushes twice with one client.
func TestWhatWasReadThereIsNotLookedUp(t *testing.T) {
	t.Parallel()
	reg := regtest.New(t)
	p := publisher(t)
	spec := family("a")
	must(t, p, imgtest.Index(t, spec), to(t, reg.Host()+"/acme/bp:1"))
	spec.Images = spec.Images[:2]
	smaller := imgtest.Index(t, spec)
	reg.Reset()
	must(t, p, smaller, to(t, reg.Host()+"/acme/bp:2"))
	if n := len(reg.Requests()); n != 2 {
		t.Errorf("got %d requests, want a HEAD of the index and its PUT: %v", n, reg.Requests())
	}
	checkRemote(t, reg, "acme/bp", "2", smaller)
}
