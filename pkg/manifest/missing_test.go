package manifest_test

import (
	"context"
	"errors"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/testhelpers/imgtest"
)

// distant is an image whose content is to be had, or not.
type distant struct {
	v1.Image
	err error
}

func (d distant) Available(context.Context) error { return d.err }

func TestMissing(t *testing.T) {
	t.Parallel()
	idx := imgtest.Index(t, imgtest.IndexSpec{
		Images: imgtest.Of("x", "linux/amd64", "linux/arm64", "linux/s390x").Images,
		Nested: []imgtest.IndexSpec{imgtest.Of("a", "linux/riscv64"), imgtest.Of("b", "linux/386")},
	})
	parsed := must(manifest.Parse(must(idx.RawManifest())))
	entries := parsed.Entries()
	all := children{}
	for n, e := range entries {
		h := e.Descriptor.Digest
		if e.IsIndex {
			all[h] = must(idx.ImageIndex(h))
		} else {
			all[h] = distant{Image: must(idx.Image(h))}
		}
		if n == 1 {
			all[h] = distant{must(idx.Image(h)), fault.New(fault.NotFound, "gone")}
		}
	}
	delete(all, entries[0].Descriptor.Digest)
	// The second nested index is there, what is in it is not.
	hollow := entries[4].Descriptor.Digest
	all[hollow] = must(manifest.Bind(must(manifest.Parse(must(all[hollow].RawManifest()))), children{}))
	got, err := manifest.Missing(t.Context(), must(manifest.Bind(parsed, all)))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[0].String() != entries[0].String() || got[1].String() != entries[1].String() || got[2].Descriptor.Digest != hollow {
		t.Errorf("%v", got)
	}
	if got, err := manifest.Missing(t.Context(), idx); err != nil || got != nil {
		t.Errorf("%v, %v", got, err)
	}
	all[entries[1].Descriptor.Digest] = distant{must(idx.Image(entries[1].Descriptor.Digest)), errors.New("no answer")}
	if _, err := manifest.Missing(t.Context(), must(manifest.Bind(parsed, all))); err == nil {
		t.Error("a failure to look is no failure")
	}
}
