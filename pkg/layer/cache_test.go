//go:build unix

package layer_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/pkg/layer"
	"github.com/multipack/multipack/pkg/tree"
	"github.com/multipack/multipack/pkg/tree/load"
)

// settled is a folder's tree as if all of its files had been written long ago:
// the time of a file's last change cannot be set.
func settled(t testing.TB, root string) tree.Tree {
	t.Helper()
	tr := open(t, root)
	for i := range tr.Entries {
		tr.Entries[i].Durable = true
	}
	return tr
}

func cached(t testing.TB, c layer.Cache) *layer.Maker {
	return maker(t, layer.Options{Cache: c})
}

func fixtureLayer(t testing.TB, m *layer.Maker, tr tree.Tree) v1.Layer {
	t.Helper()
	l, err := m.Module(t.Context(), "buildpacks", "golden/fixture", "1.2.3", tr, "linux")
	must(t, err)
	return l
}

func TestCacheSparesReading(t *testing.T) {
	t.Parallel()
	root, dir := fixture(t), t.TempDir()
	want := fixtureLayer(t, cached(t, layer.NewFileCache(dir, 10)), settled(t, root))
	wantSize, err := want.Size()
	must(t, err)

	tr := settled(t, root)
	read := 0
	for i := range tr.Entries {
		if inner := tr.Entries[i].Open; inner != nil {
			tr.Entries[i].Open = func() (io.ReadCloser, error) { read++; return inner() }
		}
	}
	l := fixtureLayer(t, cached(t, layer.NewFileCache(dir, 10)), tr)
	equal(t, "digest", digest(t, l), digest(t, want))
	equal(t, "diffID", diffID(t, l), diffID(t, want))
	if size, err := l.Size(); err != nil || size != wantSize {
		t.Errorf("size %d, %v, want %d", size, err, wantSize)
	}
	if read != 0 {
		t.Errorf("%d files were read", read)
	}
	rc, err := l.Compressed()
	must(t, err)
	data, err := io.ReadAll(rc)
	must(t, err)
	equal(t, "content", hexSum(data), digest(t, want))
	if read == 0 {
		t.Error("content came from nowhere")
	}
}

// A change that leaves size and time of writing alone is still a change.
func TestCacheNoticesTouchedUpFiles(t *testing.T) {
	t.Parallel()
	f := folder{t, t.TempDir()}
	f.file("data", 0o644, []byte("one"))
	file := filepath.Join(f.root, "data")
	old := time.Unix(1600000000, 5)
	must(t, os.Chtimes(file, old, old))
	dir := t.TempDir()
	before := digest(t, fixtureLayer(t, cached(t, layer.NewFileCache(dir, 10)), settled(t, f.root)))
	must(t, os.WriteFile(file, []byte("two"), 0o644))
	must(t, os.Chtimes(file, old, old))
	after := fixtureLayer(t, cached(t, layer.NewFileCache(dir, 10)), settled(t, f.root))
	if digest(t, after) == before {
		t.Error("the cache answered for a changed file")
	}
}

// A file written just before it is listed could be written again unnoticed.
func TestCacheDoesNotRememberFreshFiles(t *testing.T) {
	t.Parallel()
	f := folder{t, t.TempDir()}
	f.file("data", 0o644, []byte("one"))
	future := time.Now().Add(time.Hour)
	must(t, os.Chtimes(filepath.Join(f.root, "data"), future, future))
	dir := t.TempDir()
	digest(t, fixtureLayer(t, cached(t, layer.NewFileCache(dir, 10)), open(t, f.root)))
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("remembered: %v, %v", files, err)
	}
}

// An archive's content is its identity, wherever and whenever it lies.
func TestCacheKnowsArchivesByContent(t *testing.T) {
	t.Parallel()
	tr, dir := open(t, fixture(t)), t.TempDir()
	digest(t, fixtureLayer(t, cached(t, layer.NewFileCache(dir, 10)), open(t, archive(t, "x.tgz", tr, nil))))
	again, err := load.Open(t.Context(), archive(t, "copy.tgz", tr, nil), load.Options{Dir: t.TempDir()})
	must(t, err)
	must(t, again.Close()) // nothing of it can be read any more
	m := cached(t, layer.NewFileCache(dir, 10))
	equal(t, "diffID", diffID(t, fixtureLayer(t, m, again.Tree)), goldenLinux)
}

// wrong is a cache that answers with what is not so.
type wrong struct {
	answer layer.Known
	put    map[string]layer.Known
}

func (w *wrong) Get(string) (layer.Known, bool) { return w.answer, true }
func (w *wrong) Put(key string, k layer.Known)  { w.put[key] = k }

func TestWrongCacheHeals(t *testing.T) {
	t.Parallel()
	tr := settled(t, fixture(t))
	h := v1.Hash{Algorithm: "sha256", Hex: hexSum([]byte("wrong"))}
	c := &wrong{answer: layer.Known{DiffID: h, Digest: h, Size: 1}, put: map[string]layer.Known{}}
	m := cached(t, c)
	l := fixtureLayer(t, m, tr)
	equal(t, "digest by the cache", digest(t, l), h.Hex)
	if _, err := l.Compressed(); !errors.Is(err, layer.ErrStale) {
		t.Errorf("got %v, want ErrStale", err)
	}
	if len(c.put) != 1 {
		t.Errorf("the wrong entry was not replaced: %v", c.put)
	}
	// The second try is right, though the cache still answers wrongly.
	l = fixtureLayer(t, m, tr)
	equal(t, "diffID", diffID(t, l), goldenLinux)
	rc, err := l.Compressed()
	must(t, err)
	must(t, rc.Close())
}

func TestFileCache(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "when", "needed")
	c := layer.NewFileCache(dir, 8)
	entry := func(i int) (string, layer.Known) {
		h := v1.Hash{Algorithm: "sha256", Hex: hexSum([]byte{byte(i)})}
		return fmt.Sprintf("key%d", i), layer.Known{DiffID: h, Digest: h, Size: int64(i)}
	}
	if _, ok := c.Get("key0"); ok {
		t.Error("an empty cache answered")
	}
	for i := range 30 {
		key, k := entry(i)
		c.Put(key, k)
		past := time.Now().Add(time.Duration(i-100) * time.Minute)
		must(t, os.Chtimes(filepath.Join(dir, key+".json"), past, past))
		if got, ok := c.Get(key); !ok || got != k {
			t.Fatalf("%s: got %v, %v", key, got, ok)
		}
		must(t, os.Chtimes(filepath.Join(dir, key+".json"), past, past))
	}
	files, err := os.ReadDir(dir)
	must(t, err)
	if len(files) > 8 || len(files) < 6 {
		t.Errorf("%d files, want about 8", len(files))
	}
	key, k := entry(29)
	if got, ok := layer.NewFileCache(dir, 8).Get(key); !ok || got != k {
		t.Errorf("the newest is gone: %v, %v", got, ok)
	}
	// A file that was damaged, or that belongs to another key, is no answer.
	data, err := os.ReadFile(filepath.Join(dir, key+".json"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "other.json"), data, 0o600))
	if _, ok := c.Get("other"); ok {
		t.Error("answered with another key's entry")
	}
	data[len(data)/2] ^= 1
	must(t, os.WriteFile(filepath.Join(dir, key+".json"), data, 0o600))
	if _, ok := c.Get(key); ok {
		t.Error("answered with a damaged entry")
	}
}
