package store_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/fsx"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/store"
)

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	ctx, root := t.Context(), t.TempDir()
	s := open(root)
	x := tag("x")
	if ok, err := s.Exists(ctx, x); ok || err != nil {
		t.Fatalf("%v %v", ok, err)
	}
	made, err := s.Create(ctx, x, index(desc("a", "linux/amd64")), store.CreateOptions{Origins: []store.Origin{{Digest: hash("a"), Ref: "alpine:3.16"}, {Digest: hash("other"), Ref: "y"}}})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Update(ctx, tag("docker.io/library/x:latest"), adding(desc("b", "linux/arm64")), store.Origin{Digest: hash("b"), Ref: "busybox"}, store.Origin{Digest: hash("a"), Ref: "own"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Load(ctx, tag("x:latest"))
	if err != nil {
		t.Fatal(err)
	}
	want := index(desc("a", "linux/amd64"), desc("b", "linux/arm64"))
	if raw(l.Index) != raw(want) || l.Digest() != must(want.Digest()) || l.Name != x || l.Modified.IsZero() || l.Dir() != made.Dir() {
		t.Errorf("%+v", l)
	}
	if a, b := l.Origins(hash("a")), l.Origins(hash("b")); strings.Join(a, " ") != "alpine:3.16 own" || strings.Join(b, " ") != "busybox" {
		t.Errorf("origins %q %q", a, b)
	}
	e, err := l.Index.SelectOne(must(manifest.ParseSelector("docker.io/library/busybox")).From(l.Origins))
	if err != nil || e.Descriptor.Digest != hash("b") {
		t.Errorf("%v %v", e, err)
	}
	// Only the blob of the index that counts is left; nothing else changed hands.
	if got := strings.Join(files(t, l.Dir()), " "); got != "blobs/sha256/"+l.Digest().Hex+" index.json oci-layout" {
		t.Errorf("files: %s", got)
	}
	noTemps(t, root)
	// An origin goes with its entry.
	if err := s.Update(ctx, x, func(i manifest.Index) (manifest.Index, error) {
		i, _, err := i.Remove(manifest.ByDigest(hash("a")))
		return i, err
	}); err != nil {
		t.Fatal(err)
	}
	if l = must(s.Load(ctx, x)); l.Origins(hash("a")) != nil {
		t.Errorf("%q", l.Origins(hash("a")))
	}
	if err := s.Remove(ctx, x); err != nil {
		t.Fatal(err)
	}
	if got := files(t, root); len(got) != 0 {
		t.Errorf("after removal: %v", got)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	ctx, s := t.Context(), open(t.TempDir())
	names := []string{"a/b:c", "a_b-c", "a-b_c", "a/b-c", "localhost:5000/a/b:c", "x", "x:1", strings.Repeat("long/", 30) + "name"}
	for _, n := range names {
		if _, err := s.Create(ctx, tag(n), index(desc(n, "")), store.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range names {
		if l := must(s.Load(ctx, tag(n))); raw(l.Index) != raw(index(desc(n, ""))) || l.Name != tag(n) {
			t.Errorf("%s is another list: %s", n, l.Name)
		}
	}
	all, err := s.List(ctx)
	if err != nil || len(all) != len(names) || all[0].Name != tag("a/b-c") || all[len(all)-1].Name != tag("localhost:5000/a/b:c") {
		t.Errorf("%v %v", all, err)
	}
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	ctx, root := t.Context(), t.TempDir()
	s := open(root)
	_, err := s.Load(ctx, tag("buildpack"))
	if !fault.Is(err, fault.NotFound) || !strings.Contains(fault.HintOf(err), "create buildpack") {
		t.Errorf("%v / %s", err, fault.HintOf(err))
	}
	if err := errors.Join(s.Update(ctx, tag("x"), adding()), s.Remove(ctx, tag("x"))); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
	if got := files(t, root); len(got) != 0 {
		t.Errorf("looking made files: %v", got)
	}
	if all, err := s.List(ctx); len(all) != 0 || err != nil {
		t.Errorf("%v %v", all, err)
	}
	for _, n := range []string{"buildpacks:1", "acme/java", "something-else"} {
		must(s.Create(ctx, tag(n), index(), store.CreateOptions{}))
	}
	for want, near := range map[string]string{"buildpack:1": "did you mean 'buildpacks:1'?", "buildpacks:2": "'buildpacks:1'", "acme/jave": "'acme/java:latest'"} {
		_, err := s.Load(ctx, tag(want))
		if !fault.Is(err, fault.NotFound) || !strings.Contains(fault.HintOf(err), near) || strings.Contains(fault.HintOf(err), "else") {
			t.Errorf("%s: %v / %s", want, err, fault.HintOf(err))
		}
	}
}

func TestConflictAndReplace(t *testing.T) {
	t.Parallel()
	ctx, s := t.Context(), open(t.TempDir())
	x := tag("x")
	must(s.Create(ctx, x, index(desc("a", "")), store.CreateOptions{Origins: []store.Origin{{Digest: hash("a"), Ref: "a"}}}))
	_, err := s.Create(ctx, x, index(), store.CreateOptions{})
	if !fault.Is(err, fault.Conflict) || !strings.Contains(fault.HintOf(err), "--replace") {
		t.Errorf("%v / %s", err, fault.HintOf(err))
	}
	docker := must(manifest.New(types.DockerManifestList).Add(desc("a", "")))
	l, err := s.Create(ctx, x, docker, store.CreateOptions{Replace: true})
	if err != nil || raw(must(s.Load(ctx, x)).Index) != raw(docker) || l.Origins(hash("a")) != nil {
		t.Errorf("%v", err)
	}
	// The format is remembered for good.
	if err := s.Update(ctx, x, func(i manifest.Index) (manifest.Index, error) {
		i, _ = i.Convert(manifest.FormatOCI)
		return i, nil
	}); err == nil || !strings.Contains(err.Error(), "docker") {
		t.Errorf("%v", err)
	}
	why := errors.New("why")
	if err := s.Update(ctx, x, func(i manifest.Index) (manifest.Index, error) { return manifest.Index{}, why }); !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
	if raw(must(s.Load(ctx, x)).Index) != raw(docker) {
		t.Error("a failed update changed the list")
	}
}

func TestCorruptIsAnError(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	x := tag("x")
	for what, damage := range map[string]func(l store.List) error{
		"empty index.json":     func(l store.List) error { return os.WriteFile(filepath.Join(l.Dir(), "index.json"), nil, 0o644) },
		"truncated index.json": func(l store.List) error { return os.Truncate(filepath.Join(l.Dir(), "index.json"), 40) },
		"foreign index.json": func(l store.List) error {
			return os.WriteFile(filepath.Join(l.Dir(), "index.json"), []byte(`{"schemaVersion":2,"manifests":[]}`), 0o644)
		},
		"directory index.json": func(l store.List) error {
			path := filepath.Join(l.Dir(), "index.json")
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o755))
		},
		"index blob missing": func(l store.List) error { return os.Remove(filepath.Join(l.Dir(), "blobs", "sha256", l.Digest().Hex)) },
		"index blob torn": func(l store.List) error {
			return os.Truncate(filepath.Join(l.Dir(), "blobs", "sha256", l.Digest().Hex), 10)
		},
		"other list's folder": func(l store.List) error {
			path := filepath.Join(l.Dir(), "index.json")
			text := must(os.ReadFile(path))
			return os.WriteFile(path, []byte(strings.Replace(string(text), "library/x:", "library/y:", 1)), 0o644)
		},
	} {
		s := open(t.TempDir())
		l := must(s.Create(ctx, x, index(desc("a", "")), store.CreateOptions{}))
		must(s.Create(ctx, tag("sound"), index(), store.CreateOptions{}))
		if err := damage(l); err != nil {
			t.Fatal(err)
		}
		_, err := s.Load(ctx, x)
		if err == nil || fault.Is(err, fault.NotFound) || fault.HintOf(err) == "" || !strings.Contains(err.Error(), "'x:latest'") && !strings.Contains(err.Error(), "'x'") {
			t.Errorf("%s: Load: %v / %s", what, err, fault.HintOf(err))
		}
		if err := s.Update(ctx, x, adding(desc("b", ""))); err == nil || fault.HintOf(err) == "" {
			t.Errorf("%s: Update: %v", what, err)
		}
		if _, err := s.Create(ctx, x, index(), store.CreateOptions{}); err == nil {
			t.Errorf("%s: Create took it for nothing", what)
		}
		if all, err := s.List(ctx); what != "other list's folder" && (err == nil || len(all) != 1) {
			t.Errorf("%s: List: %v %v", what, all, err)
		}
		if what != "directory index.json" {
			if _, err := s.Create(ctx, x, index(), store.CreateOptions{Replace: true}); err != nil {
				t.Errorf("%s: Replace: %v", what, err)
			}
		}
		if err := s.Remove(ctx, x); err != nil {
			t.Errorf("%s: Remove: %v", what, err)
		}
	}
}

func TestUnreadableIsAnError(t *testing.T) {
	t.Parallel()
	ctx, root := t.Context(), t.TempDir()
	x := tag("x")
	must(open(root).Create(ctx, x, index(), store.CreateOptions{}))
	s := store.Open(root, store.Options{FS: fsx.FS{Hook: func(step, path string) error {
		if step == fsx.StepRead && filepath.Base(path) == "index.json" {
			return fs.ErrPermission
		}
		return nil
	}}})
	_, err := s.Load(ctx, x)
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(fault.HintOf(err), "permissions") {
		t.Errorf("%v / %s", err, fault.HintOf(err))
	}
	if err := s.Update(ctx, x, adding(desc("a", ""))); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v", err)
	}
}

// twoPlatforms is a list of two real images, kept whole.
func twoPlatforms(ctx context.Context, t *testing.T, s *store.Store, n name.Tag) (store.List, v1.Image, v1.Image) {
	t.Helper()
	amd, arm := image("linux/amd64", 1000), image("linux/arm64", 1000)
	for _, img := range []v1.Image{amd, arm} {
		if err := s.Ingest(ctx, n, img, true); err != nil {
			t.Fatal(err)
		}
	}
	l, err := s.Create(ctx, n, index(describe(amd, "linux/amd64"), describe(arm, "linux/arm64")), store.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return l, amd, arm
}

func TestReadableByGoContainerregistry(t *testing.T) {
	t.Parallel()
	ctx, s := t.Context(), open(t.TempDir())
	l, _, _ := twoPlatforms(ctx, t, s, tag("acme/app:1"))
	top, err := layout.ImageIndexFromPath(l.Dir())
	if err != nil {
		t.Fatal(err)
	}
	first := must(top.IndexManifest()).Manifests[0]
	idx, err := top.ImageIndex(first.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(validate.Index(idx), validate.Index(must(l.Bind()))); err != nil {
		t.Error(err)
	}
	if string(must(idx.RawManifest())) != raw(l.Index) || first.Annotations["io.containerd.image.name"] != "docker.io/acme/app:1" {
		t.Errorf("%+v", first)
	}
}

func TestReadableBySkopeo(t *testing.T) {
	t.Parallel()
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Skip("skopeo is not installed")
	}
	ctx, s := t.Context(), open(t.TempDir())
	l, amd, arm := twoPlatforms(ctx, t, s, tag("acme/app:1"))
	from := "oci:" + l.Dir() + ":1"
	out, err := exec.CommandContext(ctx, skopeo, "inspect", "--raw", from).Output()
	if err != nil || string(out) != raw(l.Index) {
		t.Errorf("inspect: %v\n%s", err, out)
	}
	for arch, img := range map[string]v1.Image{"amd64": amd, "arm64": arm} {
		to := t.TempDir()
		out, err := exec.CommandContext(ctx, skopeo, "--insecure-policy", "--override-arch", arch, "--override-os", "linux", "copy", from, "dir:"+to).CombinedOutput()
		if err != nil {
			t.Errorf("copy: %v\n%s", err, out)
			continue
		}
		if got := must(os.ReadFile(filepath.Join(to, "manifest.json"))); string(got) != string(must(img.RawManifest())) {
			t.Errorf("%s: copied %s", arch, got)
		}
	}
	to := t.TempDir()
	if out, err := exec.CommandContext(ctx, skopeo, "--insecure-policy", "copy", "--all", from, "oci:"+to+":all").CombinedOutput(); err != nil {
		t.Errorf("copy --all: %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(to, "blobs", "sha256", l.Digest().Hex)); err != nil {
		t.Errorf("the index is another one: %v", err)
	}
}
