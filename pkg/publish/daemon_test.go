package publish_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/multipack/multipack/internal/daemon"
	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/testhelpers/imgtest"
)

// engine is the Docker engine of this machine; the test is skipped without one.
func engine(t *testing.T) (*daemon.Client, platform.Platform) {
	t.Helper()
	c, err := daemon.New(t.Context(), os.Getenv)
	if err != nil {
		t.Skipf("there is no Docker engine: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	p, whole, err := c.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if whole {
		t.Skip("this engine's store gives images other IDs")
	}
	return c, p
}

// image makes names that no other test and no other run uses.
func imageName(t *testing.T, c *daemon.Client, suffix string) string {
	t.Helper()
	name := fmt.Sprintf("multipack.test/%s-%d:%s", strings.ToLower(t.Name()), os.Getpid(), suffix)
	t.Cleanup(func() { _ = c.Remove(context.Background(), name) })
	return name
}

func connect(e publish.Engine) func(context.Context) (publish.Engine, error) {
	return func(context.Context) (publish.Engine, error) { return e, nil }
}

func TestEngineGetsThePlatformThatItRuns(t *testing.T) {
	t.Parallel()
	c, runs := engine(t)
	idx := imgtest.Index(t, imgtest.Of(imageName(t, c, "seed"), "linux/s390x", runs.String(), "windows/amd64"))
	first, second := imageName(t, c, "1"), imageName(t, c, "2")
	var mu sync.Mutex
	var chosen []platform.Platform
	p := &publish.Daemon{Engine: connect(c), Observe: func(e publish.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Kind == "resolve" {
			chosen = append(chosen, e.Platform)
		}
	}}
	target := to(t, "docker-daemon:"+first)
	target.Tags = append(target.Tags, ref(t, second))

	plan, err := p.Plan(t.Context(), idx, target)
	if err != nil || plan.Images[0].Action != publish.Planned {
		t.Errorf("the plan is %+v, %v", plan, err)
	}
	if _, _, err := c.Inspect(t.Context(), first); !fault.Is(err, fault.NotFound) {
		t.Errorf("after planning the image is there: %v", err)
	}
	r := must(t, p, idx, target)
	if len(r.Images) != 1 || r.Images[0].PlatformName != runs.String() || r.Digest != digestOf(t, idx, 1) || r.Images[0].Action != publish.Uploaded {
		t.Errorf("the report is %+v", r)
	}
	if len(chosen) != 2 || chosen[1].Normalize() != runs {
		t.Errorf("the choices are %v", chosen)
	}
	for _, name := range []string{first, second} {
		id, _, err := c.Inspect(t.Context(), name)
		if err != nil || id != r.Images[0].Config.String() {
			t.Errorf("'%s' has the ID %s, want %s: %v", name, id, r.Images[0].Config, err)
		}
	}
	if again := must(t, p, idx, target); again.Images[0].Action != publish.Exists {
		t.Errorf("the second report is %+v", again)
	}
}

func TestEngineTakesZstdAndForeignPlatforms(t *testing.T) {
	t.Parallel()
	c, _ := engine(t)
	img := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/s390x", Zstd: true, Seed: imageName(t, c, "seed"), Layers: 3, Shared: 1, LayerSize: 50_000})
	name := imageName(t, c, "1")
	r := must(t, &publish.Daemon{Engine: connect(c)}, img, to(t, "docker-daemon:"+name))
	id, p, err := c.Inspect(t.Context(), name)
	if err != nil || id != r.Images[0].Config.String() || p.Arch != "s390x" {
		t.Errorf("the engine has %s for %s: %v", id, p, err)
	}
}

func TestEngineWithoutItsPlatform(t *testing.T) {
	t.Parallel()
	c, _ := engine(t)
	name := imageName(t, c, "1")
	_, err := (&publish.Daemon{Engine: connect(c)}).Publish(t.Context(), imgtest.Index(t, imgtest.Of("a", "linux/s390x", "linux/riscv64")), to(t, "docker-daemon:"+name))
	if !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "linux/s390x, linux/riscv64") {
		t.Errorf("the error is %v", err)
	}
	if _, _, err := c.Inspect(t.Context(), name); !fault.Is(err, fault.NotFound) {
		t.Errorf("the name is taken: %v", err)
	}
}

func TestEngineGetsNoNameForABrokenImage(t *testing.T) {
	t.Parallel()
	c, runs := engine(t)
	name := imageName(t, c, "1")
	img := imgtest.Image(t, imgtest.ImageSpec{Platform: runs.String(), Seed: name, LayerSize: 100_000})
	_, err := (&publish.Daemon{Engine: connect(c)}).Publish(t.Context(), failing{img}, to(t, "docker-daemon:"+name))
	if err == nil || !strings.Contains(err.Error(), errBroken.Error()) {
		t.Errorf("the error is %v", err)
	}
	if _, _, err := c.Inspect(t.Context(), name); !fault.Is(err, fault.NotFound) {
		t.Errorf("the name is taken: %v", err)
	}
}

func TestDockerLoadsTheArchives(t *testing.T) {
	t.Parallel()
	c, runs := engine(t)
	dir := t.TempDir()
	idx := imgtest.Index(t, imgtest.Of(imageName(t, c, "seed"), "linux/s390x", runs.String(), "windows/amd64"))
	img, err := idx.Image(digestOf(t, idx, 1))
	if err != nil {
		t.Fatal(err)
	}
	want, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	oci, docker := imageName(t, c, "oci"), imageName(t, c, "docker")
	must(t, &publish.Archive{DockerLoad: true, Host: runs}, idx, to(t, "oci-archive:"+dir+"/oci.tar:"+oci))
	must(t, &publish.DockerArchive{}, img, to(t, "docker-archive:"+dir+"/docker.tar:"+docker))
	for file, name := range map[string]string{"oci.tar": oci, "docker.tar": docker} {
		f, err := os.Open(dir + "/" + file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := c.Load(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		if id, _, err := c.Inspect(t.Context(), name); err != nil || id != want.String() {
			t.Errorf("%s: '%s' has the ID %s, want %s: %v", file, name, id, want, err)
		}
	}
	// docker load keeps the other platform too, without a name.
	other, err := idx.Image(digestOf(t, idx, 0))
	if err != nil {
		t.Fatal(err)
	}
	if id, err := other.ConfigName(); err == nil {
		_ = c.Remove(t.Context(), id.String())
	}
}

// indexStore stands for an engine with the containerd image store, which keeps
// what it is given as an OCI layout; no such engine runs everywhere the tests do.
type indexStore struct {
	archive []byte
	tags    [][2]string
}

func (s *indexStore) Version(context.Context) (platform.Platform, bool, error) {
	return platform.Platform{OS: "linux", Arch: "amd64"}, true, nil
}

func (s *indexStore) Load(_ context.Context, r io.Reader) (err error) {
	s.archive, err = io.ReadAll(r)
	return err
}

func (s *indexStore) Tag(_ context.Context, src, dst string) error {
	s.tags = append(s.tags, [2]string{src, dst})
	return nil
}

func (s *indexStore) Inspect(_ context.Context, name string) (string, platform.Platform, error) {
	return "", platform.Platform{}, fault.New(fault.NotFound, "looking up '%s': there is none", name)
}

func TestStoreThatTakesAnIndexGetsAllOfIt(t *testing.T) {
	t.Parallel()
	store := &indexStore{}
	idx := imgtest.Index(t, imgtest.Of("a", "linux/s390x", "linux/riscv64"))
	target := to(t, "docker-daemon:acme/x:1")
	target.Tags = append(target.Tags, ref(t, "acme/x:2"))
	r := must(t, &publish.Daemon{Engine: connect(store)}, idx, target)
	if len(r.Images) != 2 || r.Digest != digest(t, idx) {
		t.Errorf("the report is %+v", r)
	}
	file := t.TempDir() + "/loaded.tar"
	if err := os.WriteFile(file, store.archive, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := digest(t, resolve(t, file, "docker.io/acme/x:1")); got != digest(t, idx) {
		t.Errorf("the engine was given %s", got)
	}
	if bytes.Contains(store.archive, []byte("/oci-layout")) {
		t.Error("the layout's files have a leading '/', which containerd does not know")
	}
	if len(store.tags) != 1 || store.tags[0] != [2]string{"docker.io/acme/x:1", "docker.io/acme/x:2"} {
		t.Errorf("the further tags are %v", store.tags)
	}
}
