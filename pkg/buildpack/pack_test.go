package buildpack_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/tree"
)

// The golden labels are what pack 0.40.5 wrote for the same folders: diff ids
// and all.
func TestLabelsAreThoseOfPack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		golden, main string
		deps         []string
		options      buildpack.Options
	}{
		{"a", "a", nil, buildpack.Options{Labels: map[string]string{"user": "<v>&"}}},
		{"b", "b", nil, buildpack.Options{}},
		{"nt", "notarget", nil, buildpack.Options{}},
		{"ext", "ext", nil, buildpack.Options{}},
		{"comp", "comp", []string{"a", "b"}, buildpack.Options{}},
		{"compflat", "comp", []string{"a", "b"}, buildpack.Options{Flatten: true}},
		{"compflatx", "comp", []string{"a", "b"}, buildpack.Options{Flatten: true, FlattenExclude: []string{"acme/b@1.0.0"}}},
		{"nested", "nested", []string{"comp", "a", "b", "notarget"}, buildpack.Options{}},
	} {
		t.Run(c.golden, func(t *testing.T) {
			t.Parallel()
			var deps []buildpack.Module
			for _, d := range c.deps {
				deps = append(deps, loadModule(t, d))
			}
			img := pack(t, loadModule(t, c.main), deps, c.options)
			if diff := cmp.Diff(golden(t, c.golden), imageLabels(t, img)); diff != "" {
				t.Error(diff)
			}
			if err := validate.Image(img); err != nil {
				t.Error(err)
			}
		})
	}
}

// A dependency that comes out of a package keeps its layer object and gives the
// same labels as its folder.
func TestModulesOfPackagesAreTakenOver(t *testing.T) {
	t.Parallel()
	inner := pack(t, loadModule(t, "comp"), []buildpack.Module{loadModule(t, "a"), loadModule(t, "b")}, buildpack.Options{})
	pkg, err := buildpack.FromImage(inner)
	if err != nil {
		t.Fatal(err)
	}
	pkg = pkg.From("comp.cnb")
	var names []string
	for _, m := range pkg.Modules() {
		names = append(names, m.FullName()+" "+m.From)
	}
	if want := []string{"acme/comp@9.9.9 comp.cnb", "acme/a@1.0.0 comp.cnb", "acme/b@1.0.0 comp.cnb"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	img := pack(t, loadModule(t, "nested"), append(pkg.Modules(), loadModule(t, "notarget")), buildpack.Options{})
	if diff := cmp.Diff(golden(t, "nested"), imageLabels(t, img)); diff != "" {
		t.Error(diff)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range pkg.Modules() {
		if !slices.Contains(layers, m.Content.Layer) {
			t.Errorf("the layer of %s is not the very one of the package", m.FullName())
		}
	}
}

func TestFlattenedPackagesKeepTheirOneLayer(t *testing.T) {
	t.Parallel()
	flat := pack(t, loadModule(t, "comp"), []buildpack.Module{loadModule(t, "a"), loadModule(t, "b")}, buildpack.Options{Flatten: true})
	pkg, err := buildpack.FromImage(flat)
	if err != nil {
		t.Fatal(err)
	}
	img := pack(t, loadModule(t, "nested"), append(pkg.Modules(), loadModule(t, "notarget")), buildpack.Options{})
	layers, _ := img.Layers()
	if len(layers) != 3 {
		t.Errorf("got %d layers, want the flattened one, nested and notarget", len(layers))
	}
	if err := validate.Image(img); err != nil {
		t.Error(err)
	}
}

func TestFlattenNeedsTheTreesOfLayers(t *testing.T) {
	t.Parallel()
	a := loadModule(t, "a")
	pkg, err := buildpack.FromImage(pack(t, a, nil, buildpack.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	o := buildpack.Options{Maker: newMaker(t), Flatten: true}
	deps := []buildpack.Module{pkg.Main, loadModule(t, "b")}
	_, err = buildpack.Pack(t.Context(), loadModule(t, "comp"), deps, target(t, "linux/amd64"), o)
	if err == nil || !strings.Contains(err.Error(), "flattening 'acme/a@1.0.0': it exists only as a layer") {
		t.Errorf("got %v", err)
	}
	o.Unpack = func(_ context.Context, m buildpack.Module) (tree.Tree, error) {
		if m.FullName() != "acme/a@1.0.0" {
			return tree.Tree{}, errors.New("asked for another module")
		}
		return a.Content.Tree, nil
	}
	img := pack(t, loadModule(t, "comp"), deps, o)
	if diff := cmp.Diff(golden(t, "compflat"), imageLabels(t, img)); diff != "" {
		t.Error(diff)
	}
}

func TestFlattenExcludeIsChecked(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]fault.Kind{"acme/a": fault.Usage, "a@b@c": fault.Usage, "acme/x@1": fault.NotFound} {
		o := buildpack.Options{Maker: newMaker(t), Flatten: true, FlattenExclude: []string{name}}
		_, err := buildpack.Pack(t.Context(), loadModule(t, "comp"), []buildpack.Module{loadModule(t, "a"), loadModule(t, "b")}, target(t, "linux/amd64"), o)
		if !fault.Is(err, kind) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// The bytes are pinned: no change of a library or of this code may move a digest unseen.
func TestConfigAndManifestBytes(t *testing.T) {
	t.Parallel()
	main := existing(t, component("acme/a", "1.0.0"), "layer of a")
	o := buildpack.Options{Maker: layersOnly{t}, Annotations: map[string]string{"b": "2", "a": "<1>"}, Labels: map[string]string{"z": "1"}}
	img, err := buildpack.Pack(t.Context(), main, nil, target(t, "linux/arm/v7:ubuntu@22.04"), o)
	if err != nil {
		t.Fatal(err)
	}
	config, _ := img.RawConfigFile()
	manifest, _ := img.RawManifest()
	diffID := main.Content.DiffID.String()
	wantConfig := `{"architecture":"arm","created":"1980-01-01T00:00:01Z","history":[{"created":"1980-01-01T00:00:01Z"}],"os":"linux",` +
		`"rootfs":{"type":"layers","diff_ids":["` + diffID + `"]},` +
		`"config":{"Labels":{"io.buildpacks.buildpack.layers":"{\"acme/a\":{\"1.0.0\":{\"api\":\"0.10\",\"layerDiffID\":\"` + diffID + `\"}}}",` +
		`"io.buildpacks.buildpackage.metadata":"{\"id\":\"acme/a\",\"version\":\"1.0.0\",\"stacks\":[{\"id\":\"*\"}]}","z":"1"}},"os.version":"22.04","variant":"v7"}`
	if diff := cmp.Diff(wantConfig, string(config)); diff != "" {
		t.Error(diff)
	}
	name, _ := img.ConfigName()
	wantManifest := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",` +
		`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":576,"digest":"` + name.String() + `"},` +
		`"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":10,"digest":"` + diffID + `"}],` +
		`"annotations":{"a":"\u003c1\u003e","b":"2"}}`
	if diff := cmp.Diff(wantManifest, string(manifest)); diff != "" {
		t.Error(diff)
	}
	digest, _ := img.Digest()
	if want := "sha256:3ec67221941af67a33b577bbb5bcb1eb1ac2977afc89b9ea82a09d4478f780cf"; digest.String() != want {
		t.Errorf("digest %s, want %s", digest, want)
	}
	if err := validate.Image(img, validate.Fast); err != nil {
		t.Error(err)
	}
}

// pack 0.40.5 published the folder testdata/a with a config of this digest. The
// config does not depend on how layers are compressed, so ours must be the same.
func TestConfigIsThatOfPack(t *testing.T) {
	t.Parallel()
	o := buildpack.Options{Maker: newMaker(t), Labels: map[string]string{"z": "1"}}
	img, err := buildpack.Pack(t.Context(), loadModule(t, "a"), nil, target(t, "linux/arm/v6"), o)
	if err != nil {
		t.Fatal(err)
	}
	name, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	if want := "sha256:070d726b57a7257cd0d6adefd0d52796ad16622810938d55cbf20687643faa76"; name.String() != want {
		raw, _ := img.RawConfigFile()
		t.Errorf("got %s, want %s: %s", name, want, raw)
	}
}

func TestDigestDependsOnContentAlone(t *testing.T) {
	t.Parallel()
	var digests []string
	for _, jobs := range []int{1, 7} {
		for _, names := range [][]string{{"a", "b"}, {"b", "a"}, {"a", "b", "a"}} {
			var deps []buildpack.Module
			for _, n := range names {
				deps = append(deps, loadModule(t, n))
			}
			img := pack(t, loadModule(t, "comp"), deps, buildpack.Options{Jobs: jobs})
			digest, err := img.Digest()
			if err != nil {
				t.Fatal(err)
			}
			digests = append(digests, digest.String())
		}
	}
	if len(slices.Compact(digests)) != 1 {
		t.Errorf("digests differ: %v", digests)
	}
}

func TestCreated(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 2, 3, 4, 5, 6, 0, time.FixedZone("x", 3600))
	img := pack(t, existing(t, component("a", "1"), "a"), nil, buildpack.Options{Maker: layersOnly{t}, Created: at})
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if !config.Created.Equal(at) || !config.History[0].Created.Equal(at) {
		t.Errorf("created %v, history %v", config.Created, config.History)
	}
}

func TestWindowsBeginsWithItsBase(t *testing.T) {
	t.Parallel()
	maker := newMaker(t)
	img, err := buildpack.Pack(t.Context(), loadModule(t, "b"), nil, target(t, "windows/amd64"), buildpack.Options{Maker: maker})
	if err != nil {
		t.Fatal(err)
	}
	base, err := maker.WindowsBase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want, err := base.DiffID()
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if len(config.RootFS.DiffIDs) != 2 || config.RootFS.DiffIDs[0] != want || len(config.History) != 2 {
		t.Errorf("got %v", config.RootFS.DiffIDs)
	}
}

func TestOneModuleOfTwoContents(t *testing.T) {
	t.Parallel()
	main := existing(t, composite("acme/c", "1", "acme/a@1"), "c")
	one, two, again := existing(t, component("acme/a", "1"), "one"), existing(t, component("acme/a", "1"), "two"), existing(t, component("acme/a", "1"), "one")
	one.From, two.From, again.From = "first.cnb", "docker://second", "third"
	o := buildpack.Options{Maker: layersOnly{t}}
	_, err := buildpack.Pack(t.Context(), main, []buildpack.Module{one, two}, target(t, "linux/amd64"), o)
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "'acme/a@1' is in 'first.cnb' and, with another content, in 'docker://second'") {
		t.Errorf("got %v", err)
	}
	img := pack(t, main, []buildpack.Module{one, again}, o)
	if layers, _ := img.Layers(); len(layers) != 2 {
		t.Errorf("got %d layers, want 2", len(layers))
	}
	o.Flatten = true
	if _, err := buildpack.Pack(t.Context(), main, []buildpack.Module{one, two}, target(t, "linux/amd64"), o); !fault.Is(err, fault.Conflict) {
		t.Errorf("flattened: got %v", err)
	}
}

func TestLayersOfAnImageAreFound(t *testing.T) {
	t.Parallel()
	a := existing(t, component("a", "1"), "a")
	img := pack(t, a, nil, buildpack.Options{Maker: layersOnly{t}})
	digest, _ := a.Content.Layer.Digest()
	if l, err := img.LayerByDigest(digest); err != nil || l != a.Content.Layer {
		t.Errorf("by digest: %v, %v", l, err)
	}
	if l, err := img.LayerByDiffID(a.Content.DiffID); err != nil || l != a.Content.Layer {
		t.Errorf("by diff id: %v, %v", l, err)
	}
	config, _ := img.ConfigName()
	if _, err := img.LayerByDigest(config); err != nil {
		t.Errorf("the config is no blob: %v", err)
	}
	if _, err := img.LayerByDigest(v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
}

func TestPackAllKeepsTheOrderAndJoinsErrors(t *testing.T) {
	t.Parallel()
	root := loadTree(t, filepath.Join("testdata", "a"))
	d, err := buildpack.Load(root)
	if err != nil {
		t.Fatal(err)
	}
	targets := []platform.Target{target(t, "linux/arm64/v8"), target(t, "linux/amd64"), target(t, "linux/arm/v6")}
	plan, err := buildpack.NewPlan(d, root, targets, []string{})
	if err != nil {
		t.Fatal(err)
	}
	var builds []buildpack.PlatformBuild
	for _, item := range plan.Items {
		builds = append(builds, buildpack.PlatformBuild{Target: item.Target, Main: item.Module()})
	}
	o := buildpack.Options{Maker: newMaker(t), Jobs: 3, Annotations: map[string]string{"k": "v"}}
	images, err := buildpack.PackAll(t.Context(), builds, o)
	if err != nil {
		t.Fatal(err)
	}
	want := []v1.Platform{{OS: "linux", Architecture: "arm64"}, {OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm", Variant: "v6"}}
	for i, img := range images {
		digest, err := img.Image.Digest()
		if err != nil {
			t.Fatal(err)
		}
		if !img.Descriptor.Platform.Equals(want[i]) || img.Descriptor.Digest != digest || img.Descriptor.Annotations["k"] != "v" {
			t.Errorf("descriptor %d is %+v", i, img.Descriptor)
		}
	}
	builds[0].Main = buildpack.Module{Descriptor: descriptor(t, composite("x", "1", "gone@1"))}
	builds[2].Main = buildpack.Module{Descriptor: descriptor(t, composite("y", "1", "lost@1"))}
	_, err = buildpack.PackAll(t.Context(), builds, o)
	if err == nil || !strings.Contains(err.Error(), "gone@1") || !strings.Contains(err.Error(), "lost@1") {
		t.Errorf("got %v", err)
	}
}

// What pack's labels have no place for stands beside them, and comes back.
func TestNothingOfAComponentIsLost(t *testing.T) {
	t.Parallel()
	a := loadModule(t, "a")
	inner := pack(t, loadModule(t, "comp"), []buildpack.Module{a, loadModule(t, "b")}, buildpack.Options{})
	if diff := cmp.Diff(golden(t, "comp"), imageLabels(t, inner)); diff != "" {
		t.Errorf("the labels are not pack's: %s", diff)
	}
	pkg, err := buildpack.FromImage(inner)
	if err != nil {
		t.Fatal(err)
	}
	outer := pack(t, loadModule(t, "nested"), append(pkg.Modules(), loadModule(t, "notarget")), buildpack.Options{})
	again, err := buildpack.FromImage(outer)
	if err != nil {
		t.Fatal(err)
	}
	for _, deps := range [][]buildpack.Module{pkg.Deps, again.Deps} {
		i := slices.IndexFunc(deps, func(m buildpack.Module) bool { return m.FullName() == a.FullName() })
		if diff := cmp.Diff(a.Descriptor.Info, deps[i].Descriptor.Info); diff != "" {
			t.Error(diff)
		}
	}
	fromFolders := pack(t, loadModule(t, "nested"), []buildpack.Module{loadModule(t, "comp"), a, loadModule(t, "b"), loadModule(t, "notarget")}, buildpack.Options{})
	one, _ := outer.Digest()
	if two, _ := fromFolders.Digest(); one != two {
		t.Errorf("from a package %s, from folders %s", one, two)
	}
}

// A module that a flattened package has, and that comes by itself too, is
// compared by its content; which layer is kept does not depend on the order.
func TestOneModuleFromAFlattenedPackageAndAlone(t *testing.T) {
	t.Parallel()
	a, b, comp := loadModule(t, "a"), loadModule(t, "b"), loadModule(t, "comp")
	flat, err := buildpack.FromImage(pack(t, comp, []buildpack.Module{a, b}, buildpack.Options{Flatten: true}))
	if err != nil {
		t.Fatal(err)
	}
	alone, err := buildpack.FromImage(pack(t, a, nil, buildpack.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	trees := map[string]tree.Tree{a.FullName(): a.Content.Tree, b.FullName(): b.Content.Tree, comp.FullName(): comp.Content.Tree}
	o := buildpack.Options{Unpack: func(_ context.Context, m buildpack.Module) (tree.Tree, error) { return trees[m.FullName()], nil }}
	rest := loadModule(t, "notarget")
	var digests []string
	for _, deps := range [][]buildpack.Module{
		slices.Concat(flat.From("flat").Modules(), alone.From("alone").Modules(), []buildpack.Module{rest}),
		slices.Concat([]buildpack.Module{rest, a}, alone.Modules(), flat.Modules()),
	} {
		img := pack(t, loadModule(t, "nested"), deps, o)
		if layers, _ := img.Layers(); len(layers) != 3 {
			t.Errorf("got %d layers, want the flattened one, nested and notarget", len(layers))
		}
		digest, _ := img.Digest()
		digests = append(digests, digest.String())
	}
	if digests[0] != digests[1] {
		t.Errorf("the order decides: %v", digests)
	}
	trees[a.FullName()] = b.Content.Tree
	o.Maker = newMaker(t)
	deps := slices.Concat(flat.From("flat").Modules(), alone.From("alone").Modules(), []buildpack.Module{rest})
	_, err = buildpack.Pack(t.Context(), loadModule(t, "nested"), deps, target(t, "linux/amd64"), o)
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "is in 'flat' and, with another content, in 'alone'") {
		t.Errorf("got %v", err)
	}
}

// Two compressions of one content are one module, whichever stands first.
func TestOneModuleInTwoCompressions(t *testing.T) {
	t.Parallel()
	a, b := loadModule(t, "a"), loadModule(t, "b")
	layer, err := newMaker(t).Module(t.Context(), "buildpacks", "acme/a", "1.0.0", a.Content.Tree, "linux")
	if err != nil {
		t.Fatal(err)
	}
	diffID, err := layer.DiffID()
	if err != nil {
		t.Fatal(err)
	}
	other, err := tarball.LayerFromOpener(layer.Uncompressed, tarball.WithCompressionLevel(9))
	if err != nil {
		t.Fatal(err)
	}
	foreign := buildpack.Module{Descriptor: a.Descriptor, Content: buildpack.Content{Layer: other, DiffID: diffID}, From: "foreign"}
	foreign.Descriptor.Info.Description = ""
	one := pack(t, loadModule(t, "comp"), []buildpack.Module{a, foreign, b}, buildpack.Options{})
	two := pack(t, loadModule(t, "comp"), []buildpack.Module{b, foreign, a}, buildpack.Options{})
	first, _ := one.Digest()
	if second, _ := two.Digest(); first != second {
		t.Errorf("the order decides: %s, %s", first, second)
	}
	pkg, err := buildpack.FromImage(one)
	if err != nil {
		t.Fatal(err)
	}
	if got := pkg.Deps[0].Descriptor.Info.Description; got != "Component <a>" {
		t.Errorf("the description is '%s'", got)
	}
}
