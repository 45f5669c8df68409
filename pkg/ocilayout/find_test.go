package ocilayout_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/ocilayout"
)

func TestFind(t *testing.T) {
	t.Parallel()
	imgs := map[string]v1.Image{}
	both := func(full, tag string) layout.Option {
		return layout.WithAnnotations(map[string]string{ocilayout.ImageNameAnnotation: full, ocilayout.RefNameAnnotation: tag})
	}
	dir := ggcrLayout(t, func(p layout.Path) {
		for _, c := range []struct {
			key string
			opt layout.Option
		}{
			{"alpine", both("docker.io/library/alpine:3.16", "3.16")},
			{"busybox", both("docker.io/library/busybox:3.16", "3.16")},
			{"full", named(ocilayout.RefNameAnnotation, "r.example:5000/team/app:1.0")},
			{"tag", named(ocilayout.RefNameAnnotation, "stable")},
			{"latest", both("docker.io/library/redis:latest", "latest")},
			{"shadow", named(ocilayout.RefNameAnnotation, "alpine:3.16")},
			{"twice1", named(ocilayout.RefNameAnnotation, "twice")},
			{"twice2", named(ocilayout.RefNameAnnotation, "twice")},
			{"none", layout.WithAnnotations(nil)},
		} {
			imgs[c.key] = image(t, "amd64")
			must(0, p.AppendImage(imgs[c.key], c.opt))
		}
		must(0, p.AppendImage(imgs["tag"], named(ocilayout.RefNameAnnotation, "stable")))
	})
	l := open(t, dir)
	for tag, want := range map[string]string{
		"alpine:3.16":                         "alpine", // the full name goes before the ref name of "shadow"
		"library/alpine:3.16":                 "alpine",
		"docker.io/library/alpine:3.16":       "alpine",
		"index.docker.io/library/alpine:3.16": "alpine",
		"r.example:5000/team/app:1.0":         "full",
		"stable":                              "tag", // listed twice, one digest
		"latest":                              "latest",
		"redis":                               "latest",
		"library/redis":                       "latest",
	} {
		d, err := l.Find(tag, "")
		if err != nil || d.Digest != must(imgs[want].Digest()) {
			t.Errorf("Find(%q) = %v, %v; want %s", tag, d.Digest, err, want)
		}
	}
	for tag, kind := range map[string]fault.Kind{
		"3.16": fault.Usage, "twice": fault.Usage, "": fault.Usage,
		"nope": fault.NotFound, "alpine:3.17": fault.NotFound, "team/app:1.0": fault.NotFound, "app": fault.NotFound,
	} {
		_, err := l.Find(tag, "")
		if !fault.Is(err, kind) {
			t.Errorf("Find(%q): %v, want a %v error", tag, err, kind)
			continue
		}
		if kind == fault.Usage && (fault.HintOf(err) == "" || strings.Count(err.Error(), "sha256:") < 2) {
			t.Errorf("Find(%q): %v does not list the matches", tag, err)
		}
		if kind == fault.NotFound && !strings.Contains(err.Error(), "'docker.io/library/alpine:3.16'") {
			t.Errorf("Find(%q): %v does not list what there is", tag, err)
		}
	}
}

func TestFindSingle(t *testing.T) {
	t.Parallel()
	idx := index(t)
	child := must(idx.IndexManifest()).Manifests[0]
	side := ggcrLayout(t, func(p layout.Path) {
		must(0, p.AppendDescriptor(child))
		must(0, p.AppendIndex(idx, named(ocilayout.RefNameAnnotation, "x")))
	})
	l := open(t, side)
	if d, err := l.Find("", ""); err != nil || d.Digest != must(idx.Digest()) {
		t.Errorf("an index and its child side by side: %v, %v", d.Digest, err)
	}
	none := open(t, ggcrLayout(t, func(layout.Path) {}))
	if _, err := none.Find("", ""); !fault.Is(err, fault.NotFound) {
		t.Errorf("an empty layout: %v", err)
	}
}

func TestSelf(t *testing.T) {
	t.Parallel()
	plat := func(arch string) layout.Option {
		return layout.WithPlatform(v1.Platform{OS: "linux", Architecture: arch})
	}
	img := func(p layout.Path, arch string, opts ...layout.Option) {
		must(0, p.AppendImage(image(t, arch), opts...))
	}
	for name, c := range map[string]struct {
		add  func(p layout.Path)
		want bool
	}{
		"platforms":    {func(p layout.Path) { img(p, "amd64", plat("amd64")); img(p, "arm64", plat("arm64")) }, true},
		"one":          {func(p layout.Path) { img(p, "amd64", plat("amd64")) }, false},
		"alike":        {func(p layout.Path) { img(p, "amd64", plat("amd64")); img(p, "amd64", plat("amd64")) }, false},
		"no platforms": {func(p layout.Path) { img(p, "amd64"); img(p, "arm64") }, false},
		"named": {func(p layout.Path) {
			img(p, "amd64", plat("amd64"), named(ocilayout.RefNameAnnotation, "a"))
			img(p, "arm64", plat("arm64"))
		}, false},
		"nested": {func(p layout.Path) { must(0, p.AppendIndex(index(t))) }, false},
	} {
		l := open(t, ggcrLayout(t, c.add))
		if _, ok := l.Self(); ok != c.want {
			t.Errorf("%s: %v", name, ok)
		}
	}

	// A whole index written as index.json, as the single-file .cnb has it.
	idx := mutate.Annotations(index(t), map[string]string{"k": "v"}).(v1.ImageIndex)
	dir := t.TempDir()
	must(layout.Write(dir, empty.Index))
	must(layout.Write(dir, idx))
	must(0, os.WriteFile(filepath.Join(dir, "index.json"), must(idx.RawManifest()), 0o644))
	l := open(t, dir)
	self, ok := l.Self()
	if !ok || must(self.Digest()) != must(idx.Digest()) {
		t.Fatalf("Self: %v", ok)
	}
	check(t, self)
	for _, digest := range []string{"", must(idx.Digest()).String()} {
		if a := must(l.Resolve("", digest)); must(a.Digest()) != must(idx.Digest()) {
			t.Errorf("Resolve(%q) gives %v", digest, must(a.Digest()))
		}
	}
	child := must(idx.IndexManifest()).Manifests[1].Digest
	if a := must(l.Resolve("", child.String())); must(a.Digest()) != child {
		t.Errorf("a child by digest gives %v", must(a.Digest()))
	}
}
