package store_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fsx"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/store"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func tag(s string) name.Tag { return must(reference.ParseListName(s)) }

func hash(seed string) v1.Hash {
	h, _, err := v1.SHA256(strings.NewReader(seed))
	return must(h, err)
}

func desc(seed, plat string) v1.Descriptor {
	d := v1.Descriptor{MediaType: types.OCIManifestSchema1, Size: 7, Digest: hash(seed)}
	if plat != "" {
		d.Platform = must(platform.Parse(plat)).V1()
	}
	return d
}

func index(ds ...v1.Descriptor) manifest.Index {
	return must(manifest.New(types.OCIImageIndex).Add(ds...))
}

func adding(ds ...v1.Descriptor) func(manifest.Index) (manifest.Index, error) {
	return func(i manifest.Index) (manifest.Index, error) { return i.Add(ds...) }
}

// image is a real image of two layers for a platform.
func image(plat string, layerSize int64) v1.Image {
	img := must(random.Image(layerSize, 2))
	c := must(img.ConfigFile()).DeepCopy()
	p := must(platform.Parse(plat))
	c.OS, c.Architecture, c.Variant = p.OS, p.Arch, p.Variant
	return mutate.MediaType(must(mutate.ConfigFile(img, c)), types.OCIManifestSchema1)
}

func describe(a manifest.Artifact, plat string) v1.Descriptor {
	d := v1.Descriptor{MediaType: must(a.MediaType()), Size: must(a.Size()), Digest: must(a.Digest())}
	if plat != "" {
		d.Platform = must(platform.Parse(plat)).V1()
	}
	return d
}

func raw(i manifest.Index) string { return string(must(i.Raw())) }

// files lists what is under dir, slash-separated and sorted.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			out = append(out, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return out
}

// noTemps fails where a temporary or lock file was left.
func noTemps(t *testing.T, root string) {
	t.Helper()
	for _, f := range files(t, root) {
		if fsx.IsTemp(filepath.Base(f)) || strings.HasSuffix(f, ".lock") {
			t.Errorf("left behind: %s", f)
		}
	}
}

// TestMain lets the test binary be a process that works on a store: see processes_test.go.
func TestMain(m *testing.M) {
	if job := os.Getenv("STORE_TEST_JOB"); job != "" {
		if err := runJob(context.Background(), strings.Split(job, "|")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func later(by time.Duration) func() time.Time {
	return func() time.Time { return time.Now().Add(by) }
}

func open(root string) *store.Store { return store.Open(root, store.Options{}) }
