package buildpack_test

import (
	"encoding/json"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/platform"
)

func TestValidateReportsEverythingInOrder(t *testing.T) {
	t.Parallel()
	main := existing(t, composite("main", "1", "dep@1", "gone@2", "unsaid", "gone@2"), "m")
	deps := []buildpack.Module{
		existing(t, composite("dep", "1", "lost@1"), "d"),
		existing(t, component("z", "1")+"[[stacks]]\nid = \"s1\"\n", "z"),
		existing(t, component("spare", "1")+"[[stacks]]\nid = \"s2\"\n", "s"),
	}
	err := buildpack.Validate(main, deps)
	want := `validating buildpack 'main@1': buildpack 'main@1' references buildpack 'gone@2' which is not present
buildpack 'main@1' must specify a version when referencing buildpack 'unsaid': buildpack 'unsaid' does not have a version defined
buildpack 'dep@1' references buildpack 'lost@1' which is not present
buildpack 'z@1' is not used by buildpack 'main@1'
buildpack 'spare@1' is not used by buildpack 'main@1'
no compatible stacks among provided buildpacks`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestMainIsNoDependencyOfItself(t *testing.T) {
	t.Parallel()
	err := buildpack.Validate(existing(t, composite("main", "1", "main@1"), "m"), nil)
	if err == nil || !strings.Contains(err.Error(), "references buildpack 'main@1' which is not present") {
		t.Errorf("got %v", err)
	}
}

func TestStacksAreFolded(t *testing.T) {
	t.Parallel()
	const id = "[[stacks]]\nid = "
	for name, c := range map[string]struct {
		deps []string
		want string
	}{
		"all any":       {[]string{"", ""}, `[{"id":"*"}]`},
		"one any":       {[]string{"", id + "\"x\"\nmixins = [\"b\", \"a\"]\n"}, `[{"id":"x","mixins":["b","a"]}]`},
		"union":         {[]string{id + "\"x\"\nmixins = [\"b\", \"a\"]\n" + id + "\"y\"\n", id + "\"y\"\n" + id + "\"x\"\nmixins = [\"c\", \"a\"]\n"}, `[{"id":"y"},{"id":"x","mixins":["a","b","c"]}]`},
		"any has mixin": {[]string{id + "\"*\"\nmixins = [\"m\"]\n", id + "\"*\"\n"}, `[{"id":"*"}]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var deps []buildpack.Module
			for i, text := range c.deps {
				name := string(rune('a' + i))
				deps = append(deps, existing(t, component(name, "1")+text, name))
			}
			img := pack(t, existing(t, composite("m", "1", "a@1", "b@1"), "m"), deps, buildpack.Options{Maker: layersOnly{t}})
			var meta struct{ Stacks json.RawMessage }
			if err := json.Unmarshal([]byte(imageLabels(t, img)[buildpack.MetadataLabel]), &meta); err != nil {
				t.Fatal(err)
			}
			if string(meta.Stacks) != c.want {
				t.Errorf("got %s, want %s", meta.Stacks, c.want)
			}
		})
	}
}

func labelled(t *testing.T, labels map[string]string) v1.Image {
	t.Helper()
	img, err := mutate.Config(empty.Image, v1.Config{Labels: labels})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestFromImageErrors(t *testing.T) {
	t.Parallel()
	meta := `{"id":"a","version":"1","stacks":null}`
	for name, c := range map[string]struct {
		labels map[string]string
		want   string
		kind   fault.Kind
	}{
		"no labels":  {nil, "could not find label 'io.buildpacks.buildpackage.metadata'", fault.NotFound},
		"no layers":  {map[string]string{buildpack.MetadataLabel: meta}, "reading package 'a@1': could not find label 'io.buildpacks.buildpack.layers'", fault.NotFound},
		"bad label":  {map[string]string{buildpack.MetadataLabel: "{"}, "label 'io.buildpacks.buildpackage.metadata' is no valid JSON", fault.Failed},
		"no layer":   {map[string]string{buildpack.MetadataLabel: meta, buildpack.BuildpackLayersLabel: `{"a":{"1":{"api":"0.1","layerDiffID":"sha256:00"}}}`}, "module 'a@1': its layer 'sha256:00' is not in the image", fault.Failed},
		"no main":    {map[string]string{buildpack.MetadataLabel: meta, buildpack.BuildpackLayersLabel: `{}`}, "label 'io.buildpacks.buildpack.layers' has no 'a@1'", fault.Failed},
		"bad api":    {map[string]string{buildpack.MetadataLabel: meta, buildpack.BuildpackLayersLabel: `{"a":{"1":{"api":"x"}}}`}, "module 'a@1': invalid api version 'x'", fault.Failed},
		"bad module": {map[string]string{buildpack.MetadataLabel: meta, buildpack.ExtensionLayersLabel: `{"a":{"../1":{"api":"0.1"}}}`}, "'../1' cannot be part of a path", fault.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := buildpack.FromImage(labelled(t, c.labels))
			if err == nil || !strings.Contains(err.Error(), c.want) || !fault.Is(err, c.kind) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestFromImageOfAnExtension(t *testing.T) {
	t.Parallel()
	p, err := buildpack.FromImage(pack(t, loadModule(t, "ext"), nil, buildpack.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	if p.Kind != buildpack.KindExtension || p.Main.FullName() != "acme/ext@2.0" || p.Platform.String() != "linux/amd64" || len(p.Deps) != 0 {
		t.Errorf("got %+v", p)
	}
}

func TestMissingPlatforms(t *testing.T) {
	t.Parallel()
	if err := buildpack.CheckMissing([]buildpack.MissingPlatform{{Dependency: "x"}}); err != nil {
		t.Errorf("got %v", err)
	}
	err := buildpack.CheckMissing([]buildpack.MissingPlatform{
		{Dependency: "docker://x", Wanted: []platform.Target{target(t, "linux/arm64"), target(t, "linux/s390x")}, Found: []platform.Platform{{OS: "linux", Arch: "amd64"}}},
		{Dependency: "y.cnb"},
		{Dependency: "z.cnb", Wanted: []platform.Target{target(t, "linux/arm64")}},
	})
	want := "resolving the dependencies: dependency 'docker://x' has no 'linux/arm64', 'linux/s390x' (found: linux/amd64)\ndependency 'z.cnb' has no 'linux/arm64' (found: none)"
	if err == nil || err.Error() != want || !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
	if m, ok := buildpack.Missing(err); !ok || len(m.Dependencies) != 2 {
		t.Errorf("got %+v", m)
	}
}

func TestFitOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		target string
		image  platform.Platform
		want   buildpack.Fit
	}{
		{"linux/amd64", platform.Platform{OS: "linux", Arch: "amd64"}, buildpack.Fits},
		{"linux/amd64", platform.Platform{OS: "linux", Arch: "arm64"}, buildpack.Unfit},
		{"linux/amd64", platform.Platform{OS: "windows", Arch: "amd64"}, buildpack.Unfit},
		{"linux/amd64", platform.Platform{OS: "linux"}, buildpack.Unsaid},
		{"linux/amd64", platform.Platform{OS: "windows"}, buildpack.Unfit},
		{"linux/arm64", platform.Platform{OS: "linux", Arch: "arm64", Variant: "v8"}, buildpack.Fits},
		{"linux/arm/v6", platform.Platform{OS: "linux", Arch: "arm"}, buildpack.Fits},
		{"linux/arm/v6", platform.Platform{OS: "linux", Arch: "arm", Variant: "v7"}, buildpack.Unfit},
		{"linux/amd64:ubuntu@22.04", platform.Platform{OS: "linux", Arch: "amd64"}, buildpack.Fits},
		{"linux/amd64:ubuntu@22.04", platform.Platform{OS: "linux", Arch: "amd64", OSVersion: "24.04"}, buildpack.Unfit},
		{"linux/amd64", platform.Platform{OS: "linux", Arch: "amd64", OSVersion: "24.04"}, buildpack.Fits},
	} {
		if got := buildpack.FitOf(target(t, c.target), c.image); got != c.want {
			t.Errorf("FitOf(%s, %s) = %d, want %d", c.target, c.image, got, c.want)
		}
	}
}
