package commands

import (
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/testhelpers/imgtest"
)

func TestEachPlatformIsAStep(t *testing.T) {
	t.Parallel()
	var images []buildpack.PlatformImage
	var blobs [][]v1.Hash
	for _, name := range []string{"linux/amd64", "linux/arm64"} {
		targets, err := platform.ParseTarget(name)
		if err != nil {
			t.Fatal(err)
		}
		img := imgtest.Image(t, imgtest.ImageSpec{Platform: name, Layers: 2, Shared: 1})
		m, err := img.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, buildpack.PlatformImage{Target: targets[0], Image: img})
		blobs = append(blobs, []v1.Hash{m.Layers[0].Digest, m.Layers[1].Digest, m.Config.Digest})
	}
	step := platformSteps(images)
	for i, want := range []string{"linux/amd64", "linux/arm64"} {
		for j, digest := range blobs[i] {
			want := want
			if j == 0 {
				want = shared
			}
			if got := step(publish.Event{Ref: "there", Descriptor: v1.Descriptor{Digest: digest}}); got != want {
				t.Errorf("blob %d of platform %d is a step of '%s', want '%s'", j, i, got, want)
			}
		}
	}
	if got := step(publish.Event{Ref: "there"}); got != "there" {
		t.Errorf("what is no blob is a step of '%s'", got)
	}
}
