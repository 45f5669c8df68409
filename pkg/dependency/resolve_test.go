package dependency_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/dependency"
	"github.com/multipack/multipack/pkg/layer"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/registry"
	"github.com/multipack/multipack/pkg/source"
	"github.com/multipack/multipack/pkg/tree/load"
	"github.com/multipack/multipack/testhelpers/imgtest"
	"github.com/multipack/multipack/testhelpers/regtest"
)

// lab is a folder with dependencies in it, and what is needed to open them.
type lab struct {
	dir    string
	client *registry.Client
	maker  *layer.Maker
}

func newLab(t *testing.T) *lab {
	t.Helper()
	client, err := registry.New(registry.Config{Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	maker := layer.NewMaker(layer.Options{Dir: t.TempDir(), Workers: 2})
	t.Cleanup(func() { _ = maker.Close() })
	return &lab{dir: t.TempDir(), client: client, maker: maker}
}

func (l *lab) resolver() *dependency.Resolver {
	return &dependency.Resolver{
		Opener: source.New(source.Deps{Registry: l.client}),
		Load: func(ctx context.Context, uri string) (*load.Loaded, error) {
			return load.Open(ctx, uri, load.Options{Dir: l.dir, Retries: 1})
		},
		Index: func(ctx context.Context) (*dependency.Index, error) {
			return dependency.OpenIndex(ctx, dependency.IndexOptions{Registry: filepath.Join(l.dir, "index")})
		},
		Kind: buildpack.KindBuildpack, Stat: source.Stat,
	}
}

// component writes a buildpack's folder with a program for each platform, none
// for a buildpack that is the same on all.
func (l *lab) component(t *testing.T, id, version string, platforms ...string) string {
	t.Helper()
	dir := filepath.Join(l.dir, filepath.Base(id))
	writeFile(t, filepath.Join(dir, "buildpack.toml"), fmt.Sprintf("api = \"0.10\"\n[buildpack]\nid = %q\nversion = %q\ndescription = \"About %s\"\n", id, version, id))
	for _, p := range append(platforms, ".") {
		if p == "." && len(platforms) > 0 {
			break
		}
		for _, name := range []string{"build", "detect"} {
			writeFile(t, filepath.Join(dir, filepath.FromSlash(p), "bin", name), "#!/bin/sh\n# "+p+"\n")
		}
	}
	return dir
}

// composite writes a composite's folder; deps are the lines of its package.toml, if any.
func (l *lab) composite(t *testing.T, id string, refs []string, deps ...string) string {
	t.Helper()
	dir := filepath.Join(l.dir, filepath.Base(id))
	text := fmt.Sprintf("api = \"0.10\"\n[buildpack]\nid = %q\nversion = \"1.0.0\"\n[[order]]\n", id)
	for _, ref := range refs {
		name, version, _ := strings.Cut(ref, "@")
		text += fmt.Sprintf("[[order.group]]\nid = %q\nversion = %q\n", name, version)
	}
	writeFile(t, filepath.Join(dir, "buildpack.toml"), text)
	if len(deps) > 0 {
		writeFile(t, filepath.Join(dir, "package.toml"), "[buildpack]\nuri = \".\"\n[[dependencies]]\nuri = \""+strings.Join(deps, "\"\n[[dependencies]]\nuri = \"")+"\"\n")
	}
	return dir
}

func targets(t *testing.T, all ...string) []platform.Target {
	t.Helper()
	var out []platform.Target
	for _, s := range all {
		one, err := platform.ParseTarget(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, one...)
	}
	return out
}

var both = []string{"linux/amd64", "linux/arm64"}

func (l *lab) resolve(t *testing.T, r *dependency.Resolver, want []platform.Target, uris ...string) (*dependency.Resolution, error) {
	t.Helper()
	var config buildpack.PackageConfig
	for _, uri := range uris {
		config.Dependencies = append(config.Dependencies, buildpack.Dependency{URI: uri})
	}
	locators, err := dependency.ParseAll(config, l.dir, source.Stat)
	if err != nil {
		return nil, err
	}
	found, err := r.Resolve(t.Context(), locators, want)
	if err == nil {
		t.Cleanup(func() { _ = found.Close() })
	}
	return found, err
}

// names are the modules for a target, with where they come from.
func names(found *dependency.Resolution, target int) []string {
	var out []string
	for _, m := range found.Modules(target) {
		out = append(out, m.FullName())
	}
	return out
}

// packaged packs a folder for targets as an index.
func (l *lab) packaged(t *testing.T, dir string, platforms []string, o buildpack.Options, deps ...buildpack.Module) v1.ImageIndex {
	t.Helper()
	loaded, err := load.Open(t.Context(), dir, load.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := buildpack.Load(loaded.Tree)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := buildpack.NewPlan(d, loaded.Tree, targets(t, platforms...), nil)
	if err != nil {
		t.Fatal(err)
	}
	var builds []buildpack.PlatformBuild
	for _, item := range plan.Items {
		builds = append(builds, buildpack.PlatformBuild{Target: item.Target, Main: item.Module(), Deps: deps})
	}
	o.Maker = l.maker
	images, err := buildpack.PackAll(t.Context(), builds, o)
	if err != nil {
		t.Fatal(err)
	}
	index := manifest.New(types.OCIImageIndex)
	children := children{}
	for _, img := range images {
		if index, err = index.Add(img.Descriptor); err != nil {
			t.Fatal(err)
		}
		children[img.Descriptor.Digest] = img.Image
	}
	bound, err := manifest.Bind(index, children)
	if err != nil {
		t.Fatal(err)
	}
	return bound
}

type children map[v1.Hash]manifest.Artifact

func (c children) Child(h v1.Hash) (manifest.Artifact, error) { return c[h], nil }

// put writes an artifact to a destination of any kind.
func (l *lab) put(t *testing.T, a manifest.Artifact, cnb publish.CNB, to string) {
	t.Helper()
	ref, err := reference.Parse(to, source.Stat)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := publish.New(publish.Deps{Registry: l.client, CNB: cnb}).Publish(t.Context(), a, publish.Target{Ref: ref}); err != nil {
		t.Fatal(err)
	}
}

// Whatever a dependency comes as, it is the same module with the same content.
func TestEveryKindOfDependency(t *testing.T) {
	t.Parallel()
	l, r := newLab(t), regtest.New(t)
	dir := l.component(t, "acme/a", "1.0.0", both...)
	idx := l.packaged(t, dir, both, buildpack.Options{})
	l.put(t, idx, publish.CNB{Single: true}, filepath.Join(l.dir, "all.cnb"))
	l.put(t, idx, publish.CNB{}, "oci-layout://"+filepath.Join(l.dir, "layout")+":1.0")
	l.put(t, idx, publish.CNB{}, "oci-archive:"+filepath.Join(l.dir, "archive.tar"))
	l.put(t, idx, publish.CNB{}, r.Host()+"/acme/a:1.0.0")
	digest, err := idx.Digest()
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(l.dir, "index", "1", "acme_a"), fmt.Sprintf(`{"ns":"acme","name":"a","version":"1.0.0","yanked":false,"addr":"%s/acme/a@%s"}`, r.Host(), digest))
	writeTar(t, filepath.Join(l.dir, "a.tgz"), dir, true)
	writeTar(t, filepath.Join(l.dir, "a.tar"), dir, false)
	server := httptest.NewServer(http.FileServer(http.Dir(l.dir)))
	t.Cleanup(server.Close)

	want := l.diffIDs(t, targets(t, both...), "a")
	for _, uri := range []string{
		"./a", dir, "file://" + filepath.ToSlash(dir), "a.tgz", "a.tar", "file://" + filepath.ToSlash(filepath.Join(l.dir, "a.tgz")),
		server.URL + "/a.tgz", "all.cnb", "./all.cnb", server.URL + "/all.cnb", "layout", "./layout:1.0", "oci:layout:1.0", "oci-layout://layout",
		"oci-archive:archive.tar", "archive.tar", r.Host() + "/acme/a:1.0.0", "docker://" + r.Host() + "/acme/a:1.0.0",
		r.Host() + "/acme/a@" + digest.String(), "urn:cnb:registry:acme/a@1.0.0", "urn:cnb:registry:acme/a", "acme/a@1.0.0",
	} {
		if got := l.diffIDs(t, targets(t, both...), uri); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", uri, got, want)
		}
	}
}

// diffIDs are those of a dependency's one module for each target, made where they have to be.
func (l *lab) diffIDs(t *testing.T, want []platform.Target, uri string) []string {
	t.Helper()
	found, err := l.resolve(t, l.resolver(), want, uri)
	if err != nil {
		t.Errorf("%s: %v", uri, err)
		return nil
	}
	var out []string
	for i, target := range want {
		modules := found.Modules(i)
		if len(modules) != 1 || modules[0].FullName() != "acme/a@1.0.0" || modules[0].From != uri || modules[0].Descriptor.Info.Description != "About acme/a" {
			t.Errorf("%s: got %+v", uri, modules)
			return nil
		}
		img, err := buildpack.Pack(t.Context(), modules[0], nil, target, buildpack.Options{Maker: l.maker})
		if err != nil {
			t.Fatal(err)
		}
		digest, err := img.Digest()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, digest.String())
	}
	if len(out) == 2 && out[0] == out[1] {
		t.Errorf("%s: both platforms have one content", uri)
	}
	return out
}

// writeTar archives a folder as `tar` does: with a leading "./".
func writeTar(t *testing.T, file, dir string, zip bool) {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		h, err := tar.FileInfoHeader(info, "")
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		h.Name, h.Format = "./"+filepath.ToSlash(rel), tar.FormatUSTAR
		h.AccessTime, h.ChangeTime, h.ModTime = time.Time{}, time.Time{}, time.Time{}
		if err := w.WriteHeader(h); err != nil || e.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err == nil {
			_, err = w.Write(raw)
		}
		return err
	})
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	if zip {
		var zipped bytes.Buffer
		z := gzip.NewWriter(&zipped)
		_, err := z.Write(buf.Bytes())
		if err = errors.Join(err, z.Close()); err != nil {
			t.Fatal(err)
		}
		buf = zipped
	}
	writeFile(t, file, buf.String())
}

// One report names every dependency and every platform, and what is there.
func TestMissingPlatforms(t *testing.T) {
	t.Parallel()
	l, r := newLab(t), regtest.New(t)
	l.component(t, "acme/folder", "1.0.0", "linux/amd64", "linux/arm64")
	l.component(t, "acme/everywhere", "1.0.0")
	own := l.component(t, "acme/own", "1.0.0")
	writeFile(t, filepath.Join(own, "buildpack.toml"), "api = \"0.10\"\n[buildpack]\nid = \"acme/own\"\nversion = \"1.0.0\"\n[[targets]]\nos = \"linux\"\narch = \"amd64\"\npath = \"bin\"\n")
	plain := imgtest.Buildpack(t, imgtest.BuildpackSpec{ID: "acme/plain", Version: "1.0.0", Platform: "linux/arm64"})
	if err := remote.Write(r.Repo("acme/plain").Tag("1"), plain); err != nil {
		t.Fatal(err)
	}
	_, err := l.resolve(t, l.resolver(), targets(t, "linux/amd64", "linux/arm64", "linux/s390x"),
		"./everywhere", "./folder", r.Host()+"/acme/plain:1", "./own")
	want := fmt.Sprintf(`resolving the dependencies: dependency './folder' has no 'linux/s390x' (found: linux/amd64, linux/arm64)
dependency '%s/acme/plain:1' has no 'linux/amd64', 'linux/s390x' (found: linux/arm64)
dependency './own' has no 'linux/arm64', 'linux/s390x' (found: linux/amd64)`, r.Host())
	if !fault.Is(err, fault.NotFound) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	_, err = l.resolve(t, l.resolver(), targets(t, "linux/s390x"), "./folder", r.Host()+"/acme/plain:1")
	if hint := fault.HintOf(err); !strings.Contains(hint, "'--platform linux/arm64'") {
		t.Errorf("the hint is '%s'", hint)
	}
}

// A package that does not say its architecture is taken everywhere; whoever asks
// for no architecture gets what there is, but not one of several.
func TestArchitecturesThatAreNotSaid(t *testing.T) {
	t.Parallel()
	l, r := newLab(t), regtest.New(t)
	if err := remote.Write(r.Repo("silent").Tag("1"), imgtest.Buildpack(t, imgtest.BuildpackSpec{ID: "acme/silent", Version: "1.0.0"})); err != nil {
		t.Fatal(err)
	}
	found, err := l.resolve(t, l.resolver(), targets(t, both...), r.Host()+"/silent:1")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(found.Silent, []string{r.Host() + "/silent:1"}) || !slices.Equal(names(found, 1), []string{"acme/silent@1.0.0"}) {
		t.Errorf("got %q, %q", names(found, 1), found.Silent)
	}
	dir := l.component(t, "acme/a", "1.0.0", both...)
	l.put(t, l.packaged(t, dir, both, buildpack.Options{}), publish.CNB{Single: true}, filepath.Join(l.dir, "two.cnb"))
	l.put(t, l.packaged(t, dir, both[:1], buildpack.Options{}), publish.CNB{Single: true}, filepath.Join(l.dir, "one.cnb"))
	unsaid := []platform.Target{buildpack.DefaultTarget("")}
	if _, err := l.resolve(t, l.resolver(), unsaid, "one.cnb"); err != nil {
		t.Error(err)
	}
	_, err = l.resolve(t, l.resolver(), unsaid, "two.cnb")
	if !fault.Is(err, fault.NotFound) || !strings.Contains(fault.HintOf(err), "--platform linux/amd64,linux/arm64") {
		t.Errorf("got %v (%s)", err, fault.HintOf(err))
	}
}

// The image that says the most of what is asked for is taken, and none for
// another variant or version.
func TestVariantsAndVersions(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	has := []string{"linux/amd64/v3", "linux/amd64", "linux/arm/v6", "linux/arm64:12", "linux/arm64", "windows/amd64:10.0.1"}
	dir := l.component(t, "acme/a", "1.0.0", "linux/amd64/v3", "linux/amd64", "linux/arm/v6", "linux/arm64", "windows/amd64")
	l.put(t, l.packaged(t, dir, has[:3], buildpack.Options{}), publish.CNB{Single: true}, filepath.Join(l.dir, "x.cnb"))
	for asked, ok := range map[string]bool{
		"linux/amd64": true, "linux/amd64/v3": true, "linux/amd64/v2": true, "linux/arm/v6": true, "linux/arm/v7": false, "linux/arm64": false,
		"linux/amd64:ubuntu@24.04": true, "windows/amd64": false,
	} {
		found, err := l.resolve(t, l.resolver(), targets(t, asked), "x.cnb")
		if ok != (err == nil) {
			t.Errorf("%s: got %v", asked, err)
		}
		if err != nil {
			continue
		}
		want := "# linux/amd64\n"
		switch asked {
		case "linux/amd64/v3":
			want = "# linux/amd64/v3\n"
		case "linux/arm/v6":
			want = "# linux/arm/v6\n"
		}
		if got := buildProgram(t, found.Modules(0)[0]); !strings.HasSuffix(got, want) {
			t.Errorf("%s: got '%s'", asked, got)
		}
	}
}

// buildProgram is the text of bin/build in a module's layer.
func buildProgram(t *testing.T, m buildpack.Module) string {
	t.Helper()
	u := &dependency.Unpacker{Dir: t.TempDir()}
	defer u.Close()
	content, err := u.Tree(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := content.ReadFile("bin/build")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestFailuresAreReportedTogether(t *testing.T) {
	t.Parallel()
	l, r := newLab(t), regtest.New(t)
	l.component(t, "acme/folder", "1.0.0", "linux/arm64")
	writeFile(t, filepath.Join(l.dir, "none", "README"), "no buildpack")
	writeFile(t, filepath.Join(l.dir, "ext", "extension.toml"), "api = \"0.10\"\n[extension]\nid = \"acme/e\"\nversion = \"1\"\n")
	if err := remote.Write(r.Repo("image").Tag("1"), imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/amd64"})); err != nil {
		t.Fatal(err)
	}
	_, err := l.resolve(t, l.resolver(), targets(t, "linux/amd64"), "./none", r.Host()+"/gone:1", r.Host()+"/image:1", "./ext", "acme/gone", "acme/lost", "./folder")
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
	at := 0
	for _, want := range []string{
		"resolving the dependency './none': reading '" + filepath.Join(l.dir, "none") + "': it has neither a buildpack.toml nor an extension.toml",
		"resolving the dependency '" + r.Host() + "/gone:1': ",
		"resolving the dependency '" + r.Host() + "/image:1': it is no packaged buildpack: reading a package: could not find label 'io.buildpacks.buildpackage.metadata'",
		"resolving the dependency './ext': it is of kind 'extension', 'buildpack' is wanted",
		"resolving the dependency 'acme/gone': opening CNB registry",
		"dependency './folder' has no 'linux/amd64' (found: linux/arm64)",
	} {
		i := strings.Index(err.Error()[at:], want)
		if i < 0 {
			t.Fatalf("'%s' is not, or not there, in\n%v", want, err)
		}
		at += i
	}
	if strings.Contains(err.Error(), "acme/lost") {
		t.Errorf("what is wrong with the registry is told twice:\n%v", err)
	}
}

// A composite's folder brings what its own package.toml names, where that would
// be missing otherwise.
func TestCompositeFoldersBringTheirDependencies(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.component(t, "acme/a", "1.0.0")
	l.component(t, "acme/b", "1.0.0", both...)
	l.composite(t, "acme/inner", []string{"acme/a@1.0.0", "acme/b@1.0.0"}, "../a", "../b")
	l.composite(t, "acme/outer", []string{"acme/inner@1.0.0"}, "../inner")
	for _, c := range []struct {
		uris []string
		want []string
	}{
		{[]string{"./inner"}, []string{"acme/inner@1.0.0", "acme/a@1.0.0", "acme/b@1.0.0"}},
		{[]string{"./outer"}, []string{"acme/outer@1.0.0", "acme/inner@1.0.0", "acme/a@1.0.0", "acme/b@1.0.0"}},
		{[]string{"./outer", "./inner"}, []string{"acme/outer@1.0.0", "acme/inner@1.0.0", "acme/a@1.0.0", "acme/b@1.0.0"}},
		{[]string{"./b", "./inner", "./a"}, []string{"acme/b@1.0.0", "acme/inner@1.0.0", "acme/a@1.0.0"}},
		{[]string{"./b", "./inner"}, []string{"acme/b@1.0.0", "acme/inner@1.0.0", "acme/a@1.0.0"}},
	} {
		found, err := l.resolve(t, l.resolver(), targets(t, both...), c.uris...)
		if err != nil {
			t.Errorf("%q: %v", c.uris, err)
			continue
		}
		if got := names(found, 1); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.uris, got, c.want)
		}
	}
	l.composite(t, "acme/self", []string{"acme/never@1.0.0"}, "../self", "../a")
	found, err := l.resolve(t, l.resolver(), targets(t, both...), "./self")
	if err != nil || !slices.Equal(names(found, 0), []string{"acme/self@1.0.0", "acme/a@1.0.0"}) {
		t.Errorf("got %v", err)
	}
	l.composite(t, "acme/bad", []string{"acme/x@1.0.0"}, "../missing")
	if _, err = l.resolve(t, l.resolver(), targets(t, both...), "./bad"); !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), filepath.Join("bad", "package.toml")) {
		t.Errorf("got %v", err)
	}
	_, err = l.resolve(t, l.resolver(), targets(t, "linux/s390x"), "./inner")
	if err == nil || !strings.Contains(err.Error(), "dependency '../b of ./inner' has no 'linux/s390x'") {
		t.Errorf("got %v", err)
	}
}
