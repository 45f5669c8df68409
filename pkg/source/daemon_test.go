package source_test

import (
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/daemon"
	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/source"
)

func connect(ctx context.Context) (source.Daemon, error) {
	c, err := daemon.New(ctx, os.Getenv)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func engine(t *testing.T) *daemon.Client {
	t.Helper()
	c, err := daemon.New(t.Context(), os.Getenv)
	if err != nil {
		t.Skipf("no Docker engine: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestDaemon opens an image that the engine was given, and one that it made.
func TestDaemon(t *testing.T) {
	t.Parallel()
	c := engine(t)
	on, _, err := c.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := image(on.String())
	tag := "multipack-test-" + strings.ToLower(rand.Text()) + ":1"
	f, err := os.Open(file(t, "x.tar", tarOf(t, dockerArchive(t, map[string]v1.Image{tag: want}, false))))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := c.Load(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Remove(context.Background(), tag); err != nil {
			t.Error(err)
		}
	})
	d := source.Deps{Daemon: connect, Gzip: zip}
	o := opened(t, d, "docker-daemon:"+tag)
	if !o.Volatile || o.Origin != (name.Repository{}) {
		t.Errorf("%+v", o)
	}
	savedLike(t, o, want)
	check(t, o.Artifact)
	savedLike(t, opened(t, d, "docker-daemon:docker.io/library/"+tag), want)
	savedLike(t, opened(t, d, "docker-daemon:"+must(want.ConfigName()).String()), want)

	one, err := source.OpenFor(t.Context(), source.New(d), parsed(t, "docker-daemon:"+tag), on)
	if err != nil {
		t.Fatal(err)
	}
	if one.Platform != on {
		t.Errorf("platform %v, want %v", one.Platform, on)
	}
	must(0, one.Done())
	if _, err := source.OpenFor(t.Context(), source.New(d), parsed(t, "docker-daemon:"+tag), plat("linux/s390x")); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), on.String()) {
		t.Errorf("another platform: %v", err)
	}
	if _, err := source.New(d).Open(t.Context(), parsed(t, "docker-daemon:multipack-test-absent")); !fault.Is(err, fault.NotFound) {
		t.Errorf("absent: %v", err)
	}
}

// TestDockerBuild opens what `docker build` and `docker save` write: shared
// layers are links there.
func TestDockerBuild(t *testing.T) {
	t.Parallel()
	c := engine(t)
	docker, err := exec.LookPath("docker")
	if err != nil {
		t.Skip("the docker command is not installed")
	}
	tag := "multipack-test-" + strings.ToLower(rand.Text()) + ":build"
	dir := t.TempDir()
	for name, text := range map[string]string{"Dockerfile": "FROM scratch\nCOPY a /a\nCOPY b /b\nCOPY a /a\nLABEL k=v\n", "a": rand.Text(), "b": "b"} {
		must(0, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	run := func(args ...string) {
		cmd := exec.CommandContext(t.Context(), docker, args...)
		cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("docker %v: %v: %s", args, err, out)
		}
	}
	run("build", "-q", "-t", tag, dir)
	t.Cleanup(func() {
		if err := c.Remove(context.Background(), tag); err != nil {
			t.Error(err)
		}
	})
	saved := filepath.Join(t.TempDir(), "saved.tar")
	run("save", "-o", saved, tag)
	id, _, err := c.Inspect(t.Context(), tag)
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"docker-daemon:" + tag, saved, "docker-archive:" + saved + ":" + tag} {
		img := opened(t, source.Deps{Daemon: connect, Gzip: zip}, ref).Artifact.(v1.Image)
		check(t, img)
		if got := must(img.ConfigName()).String(); got != id {
			t.Errorf("%s: image ID %s, want %s", ref, got, id)
		}
		if got := must(img.ConfigFile()).Config.Labels["k"]; got != "v" {
			t.Errorf("%s: label %q", ref, got)
		}
	}
}
