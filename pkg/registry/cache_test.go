package registry_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/registry"
	"github.com/multipack/multipack/testhelpers/regtest"
)

// manyPlatforms pushes an index of n images to a/b:v1.
func manyPlatforms(t *testing.T, r *regtest.Registry, n int) {
	t.Helper()
	c := newClient(t, registry.Config{})
	var children [][]byte
	for i := range n {
		children = append(children, imageOf(t, c, tagOf(r, "a/b", fmt.Sprint("child", i)), content(uint64(i), 100)))
	}
	if err := c.PutManifest(t.Context(), tagOf(r, "a/b", "v1"), indexOf(children...), types.OCIImageIndex); err != nil {
		t.Fatal(err)
	}
	r.Reset()
}

// readAll reads every manifest and config of a/b:v1, by a client of its own, and
// gives the number of requests that it took.
func readAll(t *testing.T, r *regtest.Registry, cache registry.Cache) (configs [][]byte, requests int) {
	t.Helper()
	r.Reset()
	got, err := newClient(t, registry.Config{}).Cached(cache).Open(t.Context(), tagOf(r, "a/b", "v1"))
	if err != nil {
		t.Fatal(err)
	}
	index := got.(v1.ImageIndex)
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range m.Manifests {
		img, err := index.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		config, err := img.RawConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		configs = append(configs, config)
	}
	if r.Count("", "/blobs/uploads/") != 0 {
		t.Error("something was written")
	}
	return configs, r.Count("", "")
}

func sameConfigs(t *testing.T, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d configs, want %d", len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("config %d: %s, want %s", i, got[i], want[i])
		}
	}
}

func TestCacheSparesChildrenAndConfigs(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, start func(...regtest.Option) *regtest.Registry) {
		r := start()
		manyPlatforms(t, r, 50)
		dir := t.TempDir()
		// The index, and a manifest and a config for each platform.
		want, n := readAll(t, r, registry.NewFileCache(dir, 1<<20))
		if n != 101 {
			t.Errorf("%d requests for 50 platforms, want 101:\n%s", n, lines(r.Requests()))
		}
		again, n := readAll(t, r, registry.NewFileCache(dir, 1<<20))
		if n != 1 {
			t.Errorf("%d requests on the second look, want 1:\n%s", n, lines(r.Requests()))
		}
		sameConfigs(t, again, want)
		if _, n := readAll(t, r, nil); n != 101 {
			t.Errorf("%d requests without a cache, want 101", n)
		}
	})
}

// What a tag names is the registry's word, every time.
func TestCacheIsNoneForTags(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	manyPlatforms(t, r, 3)
	cache := registry.NewFileCache(t.TempDir(), 1<<20)
	readAll(t, r, cache)
	c := newClient(t, registry.Config{})
	other := imageOf(t, c, tagOf(r, "a/b", "other"), content(99, 10))
	if err := c.PutManifest(t.Context(), tagOf(r, "a/b", "v1"), indexOf(other), types.OCIImageIndex); err != nil {
		t.Fatal(err)
	}
	if configs, _ := readAll(t, r, cache); len(configs) != 1 {
		t.Errorf("%d platforms, want the new one", len(configs))
	}
	// A digest that the registry lacks is missing, whatever the cache has.
	for _, ref := range []string{"a/b:v1", "a/elsewhere@" + sum(other).String()} {
		if ref == "a/b:v1" {
			if err := c.Delete(t.Context(), tagOf(r, "a/b", "v1")); err != nil {
				t.Fatal(err)
			}
		}
		_, err := c.Cached(cache).Open(t.Context(), mustRef(t, r.Host()+"/"+ref))
		wantKind(t, err, fault.NotFound)
	}
}

// A damaged cache costs requests, and heals.
func TestBrokenCacheCostsTimeOnly(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	manyPlatforms(t, r, 3)
	for name, damage := range map[string]func(file string) error{
		"flipped": func(file string) error {
			data, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			data[len(data)/2] ^= 1
			return os.WriteFile(file, data, 0o600)
		},
		"cut":     func(file string) error { return os.Truncate(file, 10) },
		"emptied": func(file string) error { return os.Truncate(file, 0) },
		"removed": os.Remove,
		"a folder": func(file string) error {
			if err := os.Remove(file); err != nil {
				return err
			}
			return os.Mkdir(file, 0o700)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			want, whole := readAll(t, r, registry.NewFileCache(dir, 1<<20))
			files, err := filepath.Glob(filepath.Join(dir, "*"))
			if err != nil || len(files) != 6 {
				t.Fatalf("the cache holds %v, %v", files, err)
			}
			for _, file := range files {
				if err := damage(file); err != nil {
					t.Fatal(err)
				}
			}
			got, n := readAll(t, r, registry.NewFileCache(dir, 1<<20))
			sameConfigs(t, got, want)
			if n != whole {
				t.Errorf("%d requests, want %d", n, whole)
			}
			if _, n := readAll(t, r, registry.NewFileCache(dir, 1<<20)); name != "a folder" && n != 1 {
				t.Errorf("%d requests afterwards: it did not heal", n)
			}
		})
	}
}

// liar answers every question with the same content.
type liar struct{ data []byte }

func (l liar) Get(v1.Hash) ([]byte, bool) { return l.data, true }
func (l liar) Put(v1.Hash, []byte)        {}

func TestLyingCacheIsNotBelieved(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	manyPlatforms(t, r, 2)
	want, _ := readAll(t, r, nil)
	for _, data := range [][]byte{nil, []byte("{}"), want[0]} {
		got, _ := readAll(t, r, liar{data})
		sameConfigs(t, got, want)
	}
}
