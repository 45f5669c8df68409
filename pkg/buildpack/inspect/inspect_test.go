package inspect_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"go.yaml.in/yaml/v3"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/buildpack/inspect"
)

// labels are what pack wrote for a package of ../testdata.
func labels(t *testing.T, name string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "testdata", "golden", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]string
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// image is an image with labels and one layer; with says how its config differs.
func image(t *testing.T, labels map[string]string, with func(*v1.ConfigFile)) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, static.NewLayer([]byte("layer"), types.OCILayer))
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Config.Labels = "linux", "amd64", labels
	if with != nil {
		with(config)
	}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}

func read(t *testing.T, img v1.Image) inspect.Info {
	t.Helper()
	info, err := inspect.Image(img)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func info(t *testing.T, name string) inspect.Info {
	t.Helper()
	return read(t, image(t, labels(t, name), nil))
}

// The golden texts are pack 0.40.5's output for the same packages.
func TestRenderIsPacksText(t *testing.T) {
	t.Parallel()
	for file, c := range map[string]struct {
		name   string
		depth  int
		mixins bool
	}{
		"a": {"a", -1, false}, "comp": {"comp", -1, false}, "nested": {"nested", -1, false},
		"nested-depth0": {"nested", 0, false}, "nested-depth1": {"nested", 1, false},
		"nested-depth2": {"nested", 2, false}, "nested-depth3": {"nested", 3, false},
		"nested-mixins": {"nested", -1, true},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(filepath.Join("testdata", file+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := inspect.Render(info(t, c.name), inspect.Text{Ref: "./" + c.name + ".cnb", Location: inspect.LocalArchive, Depth: c.depth, Mixins: c.mixins})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRenderAnExtension(t *testing.T) {
	t.Parallel()
	got, err := inspect.Render(info(t, "ext"), inspect.Text{Ref: "acme/ext", Location: inspect.RemoteImage})
	if err != nil {
		t.Fatal(err)
	}
	want := "Inspecting extension: 'acme/ext'\n\nREMOTE IMAGE:\n\nExtension:\n" +
		"  ID              NAME                VERSION        HOMEPAGE\n" +
		"  acme/ext        An extension        2.0            https://example.com/ext\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRenderMarksCircles(t *testing.T) {
	t.Parallel()
	i := inspect.Info{ID: "a", Version: "1", Kind: buildpack.KindBuildpack, Modules: []inspect.Module{{ID: "a", Version: "1", Order: buildpack.Order{
		{Group: []buildpack.Ref{{ModuleInfo: buildpack.ModuleInfo{ID: "a", Version: "1"}, Optional: true}}},
	}}}}
	got, err := inspect.Render(i, inspect.Text{Ref: "x", Location: inspect.LocalImage, Depth: -1})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(got, " └ Group #1:\n    └ a@1    \n       └ Group #1:\n          └ a@1    (optional)[cyclic]\n") {
		t.Errorf("got %s", got)
	}
}

func TestRenderNeedsTheModulesOfTheOrder(t *testing.T) {
	t.Parallel()
	i := info(t, "nested")
	i.Modules = slices.DeleteFunc(i.Modules, func(m inspect.Module) bool { return m.ID == "acme/nt" })
	_, err := inspect.Render(i, inspect.Text{Depth: -1})
	if err == nil || !strings.Contains(err.Error(), "missing buildpack 'acme/nt@0.0.1' from layer metadata") {
		t.Errorf("got %v", err)
	}
}

func TestRenderShowsNoControlCharacters(t *testing.T) {
	t.Parallel()
	i := info(t, "a")
	i.Modules[0].Name = "red \x1b[31m\ttab\nline"
	got, err := inspect.Render(i, inspect.Text{Ref: "\x07", Location: inspect.LocalImage, Depth: -1})
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(got, "\x1b\x07\t") || !strings.Contains(got, `red \x1b[31m\ttab\nline`) {
		t.Errorf("got %q", got)
	}
}

func TestImageReadsAll(t *testing.T) {
	t.Parallel()
	all := labels(t, "a")
	img := image(t, all, nil)
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	diffID := config.RootFS.DiffIDs[0].String()
	var layers buildpack.Layers
	if err := json.Unmarshal([]byte(all[buildpack.BuildpackLayersLabel]), &layers); err != nil {
		t.Fatal(err)
	}
	all[buildpack.BuildpackLayersLabel] = strings.ReplaceAll(all[buildpack.BuildpackLayersLabel], layers["acme/a"]["1.0.0"].LayerDiffID, diffID)
	img = image(t, all, func(c *v1.ConfigFile) { c.Variant, c.OSVersion = "v3", "22.04" })
	got := read(t, img)
	digest, _ := img.Digest()
	name, _ := img.ConfigName()
	if got.Digest != digest.String() || got.ConfigDigest != name.String() || got.Platform != "linux/amd64/v3:22.04" || got.FullName() != "acme/a@1.0.0" {
		t.Errorf("got %+v", got)
	}
	if m := got.Modules[0]; m.Layer != diffID || m.Size != 5 || m.API != "0.10" || len(m.Targets) != 3 {
		t.Errorf("got %+v", m)
	}
	if len(got.Targets) != 3 || len(got.Licenses) != 2 || got.Licenses[0].Type != "Apache-2.0" {
		t.Errorf("got %+v", got)
	}
	if _, err := inspect.Image(image(t, nil, nil)); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
}

// The three structured formats hold the same document.
func TestStructuredFormatsAgree(t *testing.T) {
	t.Parallel()
	i := info(t, "nested")
	var decoded [3]any
	raw, err := json.Marshal(i)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &decoded[0]); err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(i)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &decoded[1]); err != nil {
		t.Fatal(err)
	}
	if text, err = toml.Marshal(i); err != nil {
		t.Fatal(err)
	}
	document := map[string]any{}
	if err := toml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	decoded[2] = document
	for n, d := range decoded {
		again, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		first, _ := json.Marshal(decoded[0])
		if diff := cmp.Diff(string(first), string(again)); diff != "" {
			t.Errorf("format %d: %s", n, diff)
		}
	}
}

func TestMatrixOfAlikePlatforms(t *testing.T) {
	t.Parallel()
	all := labels(t, "comp")
	other := maps.Clone(all)
	other[buildpack.BuildpackLayersLabel] = strings.ReplaceAll(other[buildpack.BuildpackLayersLabel], "layerDiffID\":\"sha256:3", "layerDiffID\":\"sha256:4")
	a, b := read(t, image(t, all, nil)), read(t, image(t, other, func(c *v1.ConfigFile) { c.Architecture = "arm64" }))
	m := inspect.NewMatrix([]inspect.Info{a, b})
	if m.Skew() || len(m.Rows) != 3 || !slices.Equal(m.Platforms, []string{"linux/amd64", "linux/arm64"}) {
		t.Errorf("got %+v", m)
	}
	if x, y := m.Rows[0].Cells[0], m.Rows[0].Cells[1]; x.DiffID == y.DiffID {
		t.Error("the test does not differ in a layer")
	}
	diff := inspect.Diff(a, b)
	if len(diff) != 1 || diff[0].What != "layer" || diff[0].Module != "acme/a@1.0.0" {
		t.Errorf("got %+v", diff)
	}
	if d := inspect.Diff(a, a); len(d) != 0 {
		t.Errorf("got %+v", d)
	}
}

func TestMatrixFindsEverySkew(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from, to string
		label    string
		want     inspect.Difference
		skewed   []string
	}{
		"api":     {`"api":"0.10"`, `"api":"0.9"`, buildpack.BuildpackLayersLabel, inspect.Difference{What: "api", Module: "acme/a@1.0.0", Values: []string{"0.10", "0.9"}}, []string{"acme/a"}},
		"targets": {`{"os":"linux","arch":"amd64"},`, ``, buildpack.BuildpackLayersLabel, inspect.Difference{What: "targets", Module: "acme/a@1.0.0", Values: []string{"linux/amd64, linux/arm64/v8:ubuntu@22.04;debian@12, linux/", "linux/arm64/v8:ubuntu@22.04;debian@12, linux/"}}, []string{"acme/a"}},
		"order":   {`,"optional":true`, ``, buildpack.BuildpackLayersLabel, inspect.Difference{What: "order", Module: "acme/comp@9.9.9", Values: []string{"acme/a@1.0.0, acme/b@1.0.0? | acme/b@1.0.0[test]", "acme/a@1.0.0, acme/b@1.0.0 | acme/b@1.0.0[test]"}}, []string{"acme/comp"}},
		"name":    {`"name":"Composite"`, `"name":"Other"`, buildpack.BuildpackLayersLabel, inspect.Difference{What: "name", Module: "acme/comp@9.9.9", Values: []string{"Composite", "Other"}}, []string{"acme/comp"}},
		"stacks":  {`{"id":"other"}`, `{"id":"another"}`, buildpack.MetadataLabel, inspect.Difference{What: "stacks", Values: []string{`[{"id":"io.buildpacks.stacks.jammy","mixins":["zlib","build:git"]},{"id":"other"}]`, `[{"id":"io.buildpacks.stacks.jammy","mixins":["zlib","build:git"]},{"id":"another"}]`}}, nil},
		"meta":    {`"name":"Composite"`, `"name":"Other"`, buildpack.MetadataLabel, inspect.Difference{What: "label", Label: buildpack.MetadataLabel, Values: []string{`{"name":"Composite"}`, `{"name":"Other"}`}}, nil},
		"label":   {"", "x", "own", inspect.Difference{What: "label", Label: "own", Values: []string{"", "x"}}, nil},
		"package": {`"version":"9.9.9"`, `"version":"9.9.8"`, buildpack.MetadataLabel, inspect.Difference{What: "package", Values: []string{"acme/comp@9.9.9", "acme/comp@9.9.8"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := labels(t, "comp")
			other := maps.Clone(all)
			if c.from == "" {
				other[c.label] = c.to
			} else {
				other[c.label] = strings.Replace(other[c.label], c.from, c.to, 1)
			}
			m := inspect.NewMatrix([]inspect.Info{read(t, image(t, all, nil)), read(t, image(t, other, nil))})
			if diff := cmp.Diff([]inspect.Difference{c.want}, m.Differences); diff != "" {
				t.Error(diff)
			}
			var skewed []string
			for _, row := range m.Rows {
				if row.Skew {
					skewed = append(skewed, row.ID)
				}
			}
			if !slices.Equal(skewed, c.skewed) {
				t.Errorf("skewed rows %v, want %v", skewed, c.skewed)
			}
		})
	}
}

func TestMatrixShowsVersionsThatDiffer(t *testing.T) {
	t.Parallel()
	all := labels(t, "comp")
	other := maps.Clone(all)
	other[buildpack.BuildpackLayersLabel] = strings.Replace(other[buildpack.BuildpackLayersLabel], `"acme/b":{"1.0.0"`, `"acme/b":{"1.0.1"`, 1)
	m := inspect.NewMatrix([]inspect.Info{read(t, image(t, all, nil)), read(t, image(t, other, nil))})
	want := []inspect.Difference{
		{What: "module", Module: "acme/b@1.0.0", Values: []string{"1.0.0", ""}},
		{What: "module", Module: "acme/b@1.0.1", Values: []string{"", "1.0.1"}},
	}
	if diff := cmp.Diff(want, m.Differences); diff != "" {
		t.Error(diff)
	}
	if len(m.Rows) != 4 || !m.Rows[1].Skew || !m.Rows[2].Skew || m.Rows[0].Skew || m.Rows[1].Cells[1].Present {
		t.Errorf("got %+v", m.Rows)
	}
}
