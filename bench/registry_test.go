package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// What goes over the wire is counted, an incomplete index is noticed, and a
// reset leaves what was there before and nothing else.
func TestRegistry(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := startRegistry(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	push := func(seed, repo string) {
		t.Helper()
		images, err := plain(seed, 100<<10, linux("amd64", "arm64")...)
		if err != nil {
			t.Fatal(err)
		}
		idx, err := indexOf(images)
		if err != nil {
			t.Fatal(err)
		}
		if err := pushIndex(ctx, r.host+"/"+repo+":1", idx); err != nil {
			t.Fatal(err)
		}
	}
	push("seed", "seed/one")
	kept, err := r.content()
	if err != nil || len(kept) != 7 { // 2 × (layer, config, manifest), index
		t.Fatalf("%d blobs, %v", len(kept), err)
	}
	before := r.traffic()
	push("run", "w/0/tool/out")
	if d := r.traffic().minus(before); d.Requests["PUT"] != 7 || d.Up < 200<<10 || d.Up > 250<<10 || d.Down == 0 {
		t.Errorf("counted %+v", d)
	}

	out := r.host + "/w/0/tool/out:1"
	if err := checkIndex(ctx, out, 2, 1); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		images, layers int
		want           string
	}{{3, 1, "has 2 entries, not 3"}, {2, 2, "has 1 layers, not 2"}} {
		if err := checkIndex(ctx, out, c.images, c.layers); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}

	if err := r.reset("w/0/tool", kept); err != nil {
		t.Fatal(err)
	}
	if err := checkIndex(ctx, out, 2, 1); err == nil {
		t.Error("the run's index is still there")
	}
	if err := checkIndex(ctx, r.host+"/seed/one:1", 2, 1); err != nil {
		t.Error(err)
	}
}

// The components that the benchmark seeds carry a layer of the platform's
// folder, with buildpack.toml from the root.
func TestComponentPackage(t *testing.T) {
	t.Parallel()
	l := &lab{scale: 1, binaries: smallBinaries(t)}
	dir := t.TempDir()
	all, err := l.small(dir, 2, 70<<10, "linux/amd64", "linux/arm64")
	if err != nil {
		t.Fatal(err)
	}
	idx, err := all[1].packaged()
	if err != nil {
		t.Fatal(err)
	}
	m, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var digests []v1.Hash
	for _, d := range m.Manifests {
		digests = append(digests, d.Digest)
	}
	if len(digests) != 2 || digests[0] == digests[1] {
		t.Errorf("entries %v", digests)
	}
	img, err := idx.Image(digests[1])
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	label := config.Config.Labels["io.buildpacks.buildpack.layers"]
	if config.Architecture != "arm64" || !strings.Contains(label, config.RootFS.DiffIDs[0].String()) || !strings.Contains(label, "bench/part-01") {
		t.Errorf("%s, label %s", config.Architecture, label)
	}
	files, err := filepath.Glob(filepath.Join(dir, "01", "linux", "*", "bin", "*"))
	if err != nil || len(files) != 4 {
		t.Errorf("%v, %v", files, err)
	}
}
