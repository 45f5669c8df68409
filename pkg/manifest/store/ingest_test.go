package store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/fsx"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/store"
)

func TestIngestDepth(t *testing.T) {
	t.Parallel()
	ctx, s := t.Context(), open(t.TempDir())
	x, img := tag("x"), image("linux/amd64", 1000)
	d := describe(img, "linux/amd64")
	if err := s.Ingest(ctx, x, img, false); err != nil {
		t.Fatal(err)
	}
	l := must(s.Create(ctx, x, index(d), store.CreateOptions{}))
	kept := must(l.Child(d.Digest)).(v1.Image)
	if string(must(kept.RawManifest())) != string(must(img.RawManifest())) || must(kept.ConfigName()) != must(img.ConfigName()) {
		t.Error("another image")
	}
	if c := must(kept.ConfigFile()); c.Architecture != "amd64" {
		t.Errorf("%+v", c)
	}
	if _, err := must(kept.Layers())[0].Compressed(); !fault.Is(err, fault.NotFound) {
		t.Errorf("a layer that stays where it is: %v", err)
	}
	if l.IsComplete(d.Digest) {
		t.Error("complete without layers")
	}
	if err := s.Ingest(ctx, x, img, true); err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(must(l.Child(d.Digest)).(v1.Image)); err != nil || !l.IsComplete(d.Digest) {
		t.Errorf("%v", err)
	}
	if _, err := l.Child(hash("none")); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	rc, err := l.Blob(must(img.ConfigName()))
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	if got := must(io.ReadAll(rc)); !bytes.Equal(got, must(img.RawConfigFile())) {
		t.Errorf("%s", got)
	}
	if n, ok := l.HasBlob(d.Digest); !ok || n != d.Size {
		t.Errorf("%d %v", n, ok)
	}
}

func TestIngestNested(t *testing.T) {
	t.Parallel()
	ctx, s := t.Context(), open(t.TempDir())
	x := tag("x")
	idx := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image("linux/amd64", 500)}, mutate.IndexAddendum{Add: image("linux/arm64", 500)})
	if err := s.Ingest(ctx, x, idx, true); err != nil {
		t.Fatal(err)
	}
	d := describe(idx, "")
	l := must(s.Create(ctx, x, index(d), store.CreateOptions{}))
	if err := validate.Index(must(l.Bind())); err != nil || !l.IsComplete(d.Digest) {
		t.Errorf("%v", err)
	}
	if p := must(store.Open(filepath.Dir(filepath.Dir(l.Dir())), store.Options{Now: later(2 * time.Hour)}).Prune(ctx, store.PruneOptions{})); p.Blobs != 0 {
		t.Errorf("pruned what a nested index needs: %+v", p)
	}
	if !l.IsComplete(d.Digest) {
		t.Error("not complete after a prune")
	}
}

// lying gives other content than its digests say.
type lying struct{ v1.Image }

func (l lying) RawConfigFile() ([]byte, error) { return []byte("{}"), nil }

type truncated struct{ v1.Image }

func (l truncated) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	inner, err := l.Image.LayerByDigest(h)
	return short{inner}, err
}

type short struct{ v1.Layer }

func (s short) Compressed() (io.ReadCloser, error) {
	rc, err := s.Layer.Compressed()
	if err != nil {
		return nil, err
	}
	return io.NopCloser(io.LimitReader(rc, 100)), nil
}

func TestIngestVerifies(t *testing.T) {
	t.Parallel()
	ctx, root := t.Context(), t.TempDir()
	s, img := open(root), image("linux/amd64", 1000)
	for _, bad := range []v1.Image{truncated{img}, lying{img}} {
		err := s.Ingest(ctx, tag("x"), bad, true)
		if err == nil || !strings.Contains(err.Error(), "sha256:") {
			t.Errorf("%T: %v", bad, err)
		}
	}
	for _, f := range files(t, root) {
		if strings.HasSuffix(f, must(img.Digest()).Hex) || strings.HasSuffix(f, must(img.ConfigName()).Hex) {
			t.Errorf("written although it is wrong, or what it points at is: %s", f)
		}
	}
	noTemps(t, root)
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.Ingest(ctx, tag("x"), img, true); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestIngestRepairsTornBlobs(t *testing.T) {
	t.Parallel()
	ctx, s := t.Context(), open(t.TempDir())
	x, img := tag("x"), image("linux/amd64", 200<<10)
	d := describe(img, "linux/amd64")
	if err := s.Ingest(ctx, x, img, true); err != nil {
		t.Fatal(err)
	}
	l := must(s.Create(ctx, x, index(d), store.CreateOptions{}))
	layer := must(must(img.Layers())[0].Digest())
	torn := filepath.Join(l.Dir(), "blobs", "sha256", layer.Hex)
	for _, damage := range []func() error{
		func() error { return os.Truncate(torn, 5) },
		func() error {
			text := must(os.ReadFile(torn))
			text[10] ^= 1
			return os.WriteFile(torn, text, 0o644)
		},
		func() error { return os.Remove(torn) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if err := s.Ingest(ctx, x, img, true); err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(must(l.Child(d.Digest)).(v1.Image)); err != nil {
			t.Error(err)
		}
	}
	// What is whole is not written again.
	steps := 0
	counting := store.Open(filepath.Dir(filepath.Dir(l.Dir())), store.Options{FS: fsx.FS{Hook: func(step, _ string) error {
		if step != fsx.StepRead {
			steps++
		}
		return nil
	}}})
	if err := counting.Ingest(ctx, x, img, true); err != nil || steps != 0 {
		t.Errorf("%d steps, %v", steps, err)
	}
}

func TestListsShareLayers(t *testing.T) {
	t.Parallel()
	ctx, root := t.Context(), t.TempDir()
	s, img := open(root), image("linux/amd64", 200<<10)
	layer := must(must(img.Layers())[0].Digest())
	var infos []os.FileInfo
	for _, n := range []string{"x", "y"} {
		if err := s.Ingest(ctx, tag(n), img, true); err != nil {
			t.Fatal(err)
		}
		l := must(s.Create(ctx, tag(n), index(describe(img, "")), store.CreateOptions{}))
		infos = append(infos, must(os.Stat(filepath.Join(l.Dir(), "blobs", "sha256", layer.Hex))))
	}
	if !os.SameFile(infos[0], infos[1]) {
		t.Error("one layer takes the space of two")
	}
	noTemps(t, root)
	// A prune drops it only when the last list let it go.
	if err := s.Remove(ctx, tag("x")); err != nil {
		t.Fatal(err)
	}
	old := store.Open(root, store.Options{Now: later(2 * time.Hour)})
	if p := must(old.Prune(ctx, store.PruneOptions{})); p.Blobs != 0 {
		t.Errorf("%+v", p)
	}
	if err := s.Remove(ctx, tag("y")); err != nil {
		t.Fatal(err)
	}
	if p := must(old.Prune(ctx, store.PruneOptions{})); p.Blobs != 2 || len(files(t, root)) != 0 {
		t.Errorf("%+v, left %v", p, files(t, root))
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	ctx, root := t.Context(), t.TempDir()
	s := open(root)
	l, amd, arm := twoPlatforms(ctx, t, s, tag("x"))
	if err := s.Ingest(ctx, tag("never-created"), amd, true); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(ctx, tag("x"), func(i manifest.Index) (manifest.Index, error) {
		i, _, err := i.Remove(manifest.ByDigest(must(arm.Digest())))
		return i, err
	}); err != nil {
		t.Fatal(err)
	}
	before := files(t, root)
	if p := must(s.Prune(ctx, store.PruneOptions{})); p.Blobs != 0 || len(files(t, root)) != len(before) {
		t.Errorf("young blobs: %+v", p)
	}
	old := store.Open(root, store.Options{Now: later(2 * time.Hour)})
	dry := must(old.Prune(ctx, store.PruneOptions{DryRun: true}))
	if dry.Blobs != 8 || len(files(t, root)) != len(before) {
		t.Errorf("dry run: %+v", dry)
	}
	if done := must(old.Prune(ctx, store.PruneOptions{})); done != dry || len(files(t, root)) != len(before)-9 {
		t.Errorf("%+v, dry %+v, left %v", done, dry, files(t, root))
	}
	l = must(s.Load(ctx, l.Name))
	if err := validate.Image(must(l.Child(must(amd.Digest()))).(v1.Image)); err != nil {
		t.Error(err)
	}
	noTemps(t, root)
}

func TestPruneKeepsWhatItCannotRead(t *testing.T) {
	t.Parallel()
	ctx, root := t.Context(), t.TempDir()
	s := open(root)
	bad, _, _ := twoPlatforms(ctx, t, s, tag("bad"))
	if err := s.Ingest(ctx, tag("good"), image("linux/amd64", 10), true); err != nil {
		t.Fatal(err)
	}
	must(s.Create(ctx, tag("good"), index(), store.CreateOptions{}))
	if err := os.WriteFile(filepath.Join(bad.Dir(), "index.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	had := len(files(t, bad.Dir()))
	p, err := store.Open(root, store.Options{Now: later(2 * time.Hour)}).Prune(ctx, store.PruneOptions{})
	if err == nil || p.Blobs == 0 || len(files(t, bad.Dir())) != had {
		t.Errorf("%+v %v", p, err)
	}
}

func TestForeignLayersMayStayAway(t *testing.T) {
	t.Parallel()
	ctx, s := t.Context(), open(t.TempDir())
	img := must(mutate.Append(image("windows/amd64", 10), mutate.Addendum{
		Layer: must(image("windows/amd64", 10).Layers())[0], MediaType: types.DockerForeignLayer, URLs: []string{"https://example.com/layer"},
	}))
	if err := s.Ingest(ctx, tag("x"), missingForeign{img}, true); err != nil {
		t.Error(err)
	}
}

// missingForeign does not hold its last layer.
type missingForeign struct{ v1.Image }

func (m missingForeign) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	if mf := must(m.Manifest()); mf.Layers[len(mf.Layers)-1].Digest == h {
		return nil, errors.New("not here")
	}
	return m.Image.LayerByDigest(h)
}
