package publish_test

import (
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/testhelpers/imgtest"
	"github.com/multipack/multipack/testhelpers/regtest"
)

// lose removes the content of a digest from a registry's storage.
func lose(t *testing.T, storage string, h v1.Hash) {
	t.Helper()
	if err := os.Remove(filepath.Join(storage, "docker", "registry", "v2", "blobs", "sha256", h.Hex[:2], h.Hex, "data")); err != nil {
		t.Fatal(err)
	}
}

func TestMendSendsWhatTheRegistryLost(t *testing.T) {
	t.Parallel()
	storage := t.TempDir()
	reg := regtest.Distribution(t, regtest.Storage(storage))
	idx := imgtest.Index(t, family("a"))
	target := to(t, reg.Host()+"/acme/bp:1.0")
	must(t, publisher(t), idx, target)
	m, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	img, err := idx.Image(m.Manifests[1].Digest)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	lose(t, storage, digest(t, layers[1]))
	lose(t, storage, config)
	lose(t, storage, m.Manifests[0].Digest)

	target.NoTag = true
	reg.Reset()
	must(t, publisher(t), idx, target)
	if w := writes(reg); len(w) != 0 {
		t.Errorf("what is there was not believed: %v", w)
	}
	p := publisher(t)
	p.Mend = true
	r := must(t, p, idx, target)
	if n := uploads(reg); n != 2 {
		t.Errorf("%d blobs were sent, want the layer and the config", n)
	}
	if n := reg.Count("PUT", "/manifests/"); n != 1 {
		t.Errorf("%d manifests were sent, want the lost one", n)
	}
	if r.Images[0].Action != "uploaded" || r.Images[1].Action != "exists" || r.Images[1].Layers[1].Action != "uploaded" || r.Images[1].Layers[0].Action != "exists" {
		t.Errorf("the report lists %+v", r.Images)
	}
	checkRemote(t, reg, "acme/bp", "1.0", idx)
}
