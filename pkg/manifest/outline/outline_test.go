package outline_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/outline"
	"github.com/multipack/multipack/testhelpers/imgtest"
)

// manifestsOnly fails the test when a config or a layer is opened.
type manifestsOnly struct {
	v1.Image
	t *testing.T
}

func (m manifestsOnly) RawConfigFile() ([]byte, error) {
	m.t.Error("a config was read")
	return m.Image.RawConfigFile()
}

func (m manifestsOnly) Layers() ([]v1.Layer, error) {
	m.t.Error("the layers were opened")
	return m.Image.Layers()
}

// children are opened by digest; those that are not there are missing.
type children map[v1.Hash]manifest.Artifact

func (c children) Child(h v1.Hash) (manifest.Artifact, error) {
	if a, ok := c[h]; ok {
		return a, nil
	}
	return nil, fault.As(fault.NotFound, errors.New("not there"))
}

// list is an index of the artifacts, with platforms where these are not "".
func list(t *testing.T, platforms []string, artifacts ...manifest.Artifact) (manifest.Index, children) {
	t.Helper()
	c := children{}
	var entries []string
	for n, a := range artifacts {
		h, err := a.Digest()
		if err != nil {
			t.Fatal(err)
		}
		size, err := a.Size()
		if err != nil {
			t.Fatal(err)
		}
		mt, err := a.MediaType()
		if err != nil {
			t.Fatal(err)
		}
		e := fmt.Sprintf(`{"mediaType":"%s","size":%d,"digest":"%s"`, mt, size, h)
		if os, arch, ok := strings.Cut(platforms[n], "/"); ok {
			e += fmt.Sprintf(`,"platform":{"os":"%s","architecture":"%s"}`, os, arch)
		}
		entries = append(entries, e+"}")
		c[h] = a
		if img, ok := a.(v1.Image); ok {
			c[h] = manifestsOnly{img, t}
		}
	}
	idx, err := manifest.Parse([]byte(`{"schemaVersion":2,"mediaType":"` + string(types.OCIImageIndex) + `","manifests":[` + strings.Join(entries, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return idx, c
}

func bind(t *testing.T, idx manifest.Index, c children) v1.ImageIndex {
	t.Helper()
	b, err := manifest.Bind(idx, c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func of(t *testing.T, a manifest.Artifact) outline.Outline {
	t.Helper()
	o, err := outline.Of(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestSharedLayers: what several images have is marked at the later ones, and
// counts once among the unique bytes.
func TestSharedLayers(t *testing.T) {
	t.Parallel()
	amd := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/amd64", Layers: 3, Shared: 2, LayerSize: 1000})
	arm := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/arm64", Layers: 3, Shared: 2, LayerSize: 1000})
	idx, c := list(t, []string{"linux/amd64", "linux/arm64"}, amd, arm)
	o := of(t, bind(t, idx, c))
	var marks []string
	var shared int64
	for _, e := range o.Root.Entries {
		if e.Kind != outline.Image || len(e.Layers) != 3 || e.Config == nil {
			t.Fatalf("%+v", e)
		}
		for _, l := range e.Layers {
			marks = append(marks, l.SharedWith)
			if l.SharedWith != "" {
				shared += l.Size
			}
		}
	}
	if strings.Join(marks, " ") != "   linux/amd64 linux/amd64 " {
		t.Errorf("%q", marks)
	}
	if o.TotalBytes-o.UniqueBytes != shared || shared < 2000 || o.Blobs != 1+2+2+4 || o.Root.Bytes != o.UniqueBytes {
		t.Errorf("%d in all, %d unique, %d shared, %d blobs, %d at the root", o.TotalBytes, o.UniqueBytes, shared, o.Blobs, o.Root.Bytes)
	}
}

// TestKinds: indexes, attestations, artifacts, what is repeated and what is missing
// are shown for what they are.
func TestKinds(t *testing.T) {
	t.Parallel()
	img := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/amd64"})
	gone := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/arm64"})
	inner, innerChildren := list(t, []string{"linux/amd64"}, img)
	attested := imgtest.Index(t, imgtest.IndexSpec{Images: []imgtest.ImageSpec{{Platform: "linux/s390x"}}, Attestations: true})
	idx, c := list(t, []string{"", "", "linux/amd64", "linux/other", "linux/arm64"}, bind(t, inner, innerChildren), attested, img, img, gone)
	goneDigest, err := gone.Digest()
	if err != nil {
		t.Fatal(err)
	}
	delete(c, goneDigest)
	o := of(t, bind(t, idx, c))
	e := o.Root.Entries
	if e[0].Kind != outline.Index || e[0].Entries[0].Platform != "linux/amd64" || e[0].Entries[0].Repeated {
		t.Errorf("%+v", e[0])
	}
	if at := e[1].Entries[1]; at.Kind != outline.Attestation || at.AttestationOf != e[1].Entries[0].Digest || len(at.Layers) != 1 {
		t.Errorf("%+v", at)
	}
	if !e[2].Repeated || !e[3].Repeated || e[2].Bytes != e[0].Entries[0].Bytes || len(e[2].Layers) != 0 {
		t.Errorf("%+v", e[2])
	}
	if !e[4].Missing || e[4].Config != nil {
		t.Errorf("%+v", e[4])
	}
	if want := o.UniqueBytes + 2*e[2].Bytes; o.TotalBytes != want {
		t.Errorf("%d bytes in all, want %d", o.TotalBytes, want)
	}
	single := of(t, manifestsOnly{img, t})
	if single.Root.Kind != outline.Image || single.Blobs != 3 || single.TotalBytes != single.UniqueBytes {
		t.Errorf("%+v", single)
	}
	if _, err := json.Marshal(o); err != nil {
		t.Error(err)
	}
}

// TestForeignLayers: what is to be had from other addresses only is no part of
// what the registry holds.
func TestForeignLayers(t *testing.T) {
	t.Parallel()
	img := imgtest.Image(t, imgtest.ImageSpec{Platform: "windows/amd64", Foreign: true})
	o := of(t, img)
	layers := o.Root.Layers
	if len(layers) != 2 || layers[0].Elsewhere || !layers[1].Elsewhere || o.Blobs != 3 {
		t.Errorf("%+v", o)
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := outline.Of(ctx, imgtest.Image(t, imgtest.ImageSpec{})); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
