package acceptance

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/multipack/multipack/testhelpers/regtest"
)

// packLab is a folder, a registry, and pack itself: what multipack makes is
// held against what pack makes of the same input.
type packLab struct {
	dir, home string
	r         *regtest.Registry
}

func newPackLab(t *testing.T) *packLab {
	t.Helper()
	if _, err := exec.LookPath("pack"); err != nil {
		t.Skip("there is no pack program")
	}
	l := &packLab{dir: t.TempDir(), home: t.TempDir(), r: regtest.New(t)}
	l.pack(t, ".", "config", "experimental", "true")
	return l
}

// run runs a program in a folder of the lab and gives its stdout.
func (l *packLab) run(t *testing.T, program, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = filepath.Join(l.dir, dir)
	cmd.Env = append(os.Environ(), "PACK_HOME="+filepath.Join(l.home, "pack"), "HOME="+l.home, "MULTIPACK_CACHE="+filepath.Join(l.home, "cache"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", filepath.Base(program), strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

func (l *packLab) pack(t *testing.T, dir string, args ...string) string {
	t.Helper()
	return l.run(t, "pack", dir, args...)
}

func (l *packLab) multipack(t *testing.T, dir string, args ...string) string {
	t.Helper()
	return l.run(t, binary, dir, append([]string{"--quiet"}, args...)...)
}

func (l *packLab) write(t *testing.T, files map[string]string) {
	t.Helper()
	for path, text := range files {
		path = filepath.Join(l.dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "REGISTRY", l.r.Host())), mode); err != nil {
			t.Fatal(err)
		}
	}
}

// platformOf is as much of an image as pack and multipack have to agree on.
type platformOf struct {
	Platform string
	Labels   map[string]string
	// DiffIDs are sorted: pack's are in an order of chance.
	DiffIDs []string
}

func describePlatform(t *testing.T, config *v1.ConfigFile) platformOf {
	t.Helper()
	p := platformOf{Platform: config.OS + "/" + config.Architecture + "/" + config.Variant + ":" + config.OSVersion, Labels: config.Config.Labels}
	for _, h := range config.RootFS.DiffIDs {
		p.DiffIDs = append(p.DiffIDs, h.String())
	}
	slices.Sort(p.DiffIDs)
	return p
}

// published reads what is under a tag.
func (l *packLab) published(t *testing.T, tag string) []platformOf {
	t.Helper()
	ref, err := name.ParseReference(l.r.Host() + "/" + tag)
	if err != nil {
		t.Fatal(err)
	}
	desc, err := remote.Get(ref)
	if err != nil {
		t.Fatal(err)
	}
	images := []v1.Image{}
	if desc.MediaType.IsIndex() {
		idx, err := desc.ImageIndex()
		if err != nil {
			t.Fatal(err)
		}
		m, err := idx.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range m.Manifests {
			img, err := idx.Image(d.Digest)
			if err != nil {
				t.Fatal(err)
			}
			images = append(images, img)
		}
	} else {
		img, err := desc.Image()
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, img)
	}
	var out []platformOf
	for _, img := range images {
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, describePlatform(t, config))
	}
	return out
}

// filed reads a .cnb file of one platform.
func (l *packLab) filed(t *testing.T, path string) platformOf {
	t.Helper()
	f, err := os.Open(filepath.Join(l.dir, path))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	blobs := map[string][]byte{}
	for tr := tar.NewReader(f); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if blobs[strings.TrimPrefix(h.Name, "/")], err = io.ReadAll(tr); err != nil {
			t.Fatal(err)
		}
	}
	blob := func(h v1.Hash) []byte { return blobs["blobs/sha256/"+h.Hex] }
	var index v1.IndexManifest
	var manifest v1.Manifest
	var config v1.ConfigFile
	err = json.Unmarshal(blobs["index.json"], &index)
	if err == nil {
		err = json.Unmarshal(blob(index.Manifests[0].Digest), &manifest)
	}
	if err == nil {
		err = json.Unmarshal(blob(manifest.Config.Digest), &config)
	}
	if err != nil {
		t.Fatal(err)
	}
	return describePlatform(t, &config)
}

// both packages the same input with pack and with multipack and compares.
func (l *packLab) both(t *testing.T, dir, tag string, args ...string) {
	t.Helper()
	args = append([]string{"buildpack", "package"}, args...)
	l.pack(t, dir, append(slices.Clone(args), l.r.Host()+"/pack/"+tag, "--publish")...)
	l.multipack(t, dir, append(slices.Clone(args), l.r.Host()+"/multipack/"+tag, "--publish")...)
	if diff := cmp.Diff(l.published(t, "pack/"+tag), l.published(t, "multipack/"+tag)); diff != "" {
		t.Errorf("%s: pack (-) and multipack (+) differ: %s", tag, diff)
	}
}

// What is released as Paketo's tools do it: components laid out with a folder
// for each platform and the shared files copied into each, a composite whose
// package.toml names images and targets, everything run from its own folder.
func TestPaketoStyleRelease(t *testing.T) {
	t.Parallel()
	l := newPackLab(t)
	about := func(id, version string) string {
		return fmt.Sprintf(`api = "0.7"

[buildpack]
  description = "A Cloud Native Buildpack for <%[1]s> & more"
  homepage = "https://github.com/acme/%[1]s?a=1&b=2"
  id = "acme/%[1]s"
  keywords = ["java", "%[1]s"]
  name = "Acme's Buildpack for %[1]s"
  sbom-formats = ["application/vnd.cyclonedx+json"]
  version = "%[2]s"
  clear-env = true

  [[buildpack.licenses]]
    type = "Apache-2.0"
    uri = "https://github.com/acme/%[1]s/blob/main/LICENSE"
`, id, version)
	}
	files := map[string]string{}
	for _, id := range []string{"jre", "maven"} {
		files[id+"/buildpack.toml"] = about(id, "1.2.3") + "\n[[stacks]]\n  id = \"*\"\n\n[[targets]]\n  os = \"linux\"\n  arch = \"amd64\"\n\n[[targets]]\n  os = \"linux\"\n  arch = \"arm64\"\n\n[metadata]\n  pre-package = \"scripts/build.sh\"\n  include-files = [\"LICENSE\", \"README.md\"]\n"
		for _, arch := range []string{"amd64", "arm64"} {
			at := id + "/linux/" + arch + "/"
			files[at+"bin/build"], files[at+"bin/detect"] = "#!/bin/sh\necho "+id+" on "+arch+"\n", "#!/bin/sh\n"
			files[at+"LICENSE"], files[at+"README.md"] = "Apache-2.0\n", "# "+id+"\n"
		}
	}
	files["java/buildpack.toml"] = about("java", "9.9.9") + "\n[[order]]\n  [[order.group]]\n    id = \"acme/jre\"\n    version = \"1.2.3\"\n  [[order.group]]\n    id = \"acme/maven\"\n    optional = true\n    version = \"1.2.3\"\n"
	for _, maker := range []string{"pack", "multipack"} {
		files["java/"+maker+".toml"] = "[buildpack]\nuri = \".\"\n[platform]\nos = \"linux\"\n[[targets]]\nos = \"linux\"\narch = \"amd64\"\n[[targets]]\nos = \"linux\"\narch = \"arm64\"\n" +
			"[[dependencies]]\nuri = \"REGISTRY/" + maker + "/maven:1.2.3\"\n[[dependencies]]\nuri = \"REGISTRY/" + maker + "/jre:1.2.3\"\n"
	}
	l.write(t, files)
	l.both(t, "jre", "jre:1.2.3")
	l.both(t, "maven", "maven:1.2.3")
	// Each out of the other's components, and with one's own.
	l.both(t, "java", "java-of-pack:9.9.9", "--config", "pack.toml")
	l.both(t, "java", "java-of-multipack:9.9.9", "--config", "multipack.toml")
	l.both(t, "java", "java-flat:9.9.9", "--config", "multipack.toml", "--flatten")
	if text := l.pack(t, ".", "buildpack", "inspect", l.r.Host()+"/multipack/java-of-multipack:9.9.9"); !strings.Contains(text, "└ acme/maven@1.2.3") {
		t.Errorf("pack inspects:\n%s", text)
	}
}

// What is released as Heroku's tools do it: components and composites for one
// platform at a time, with the platform in every tag, joined at the end.
func TestHerokuStyleRelease(t *testing.T) {
	t.Parallel()
	l := newPackLab(t)
	files := map[string]string{}
	for _, arch := range []string{"amd64", "arm64"} {
		dir := "packaged/" + arch + "/"
		files[dir+"go/buildpack.toml"] = "api = \"0.10\"\n\n[buildpack]\nid = \"acme/go\"\nversion = \"4.0.2\"\nname = \"Go\"\n\n[[stacks]]\nid = \"*\"\n\n[[targets]]\nos = \"linux\"\narch = \"amd64\"\n\n[[targets]]\nos = \"linux\"\narch = \"arm64\"\n"
		files[dir+"go/bin/build"], files[dir+"go/bin/detect"] = "#!/bin/sh\necho go on "+arch+"\n", "#!/bin/sh\n"
		files[dir+"go/package.toml"] = "[buildpack]\nuri = \".\"\n"
		files[dir+"all/buildpack.toml"] = "api = \"0.10\"\n\n[buildpack]\nid = \"acme/all\"\nversion = \"4.0.2\"\n\n[[order]]\n\n[[order.group]]\nid = \"acme/go\"\nversion = \"4.0.2\"\n\n[metadata]\ntargets = [\"linux/amd64\", \"linux/arm64\"]\n"
		files[dir+"all/package.toml"] = "[buildpack]\nuri = \".\"\n\n[[dependencies]]\nuri = \"REGISTRY/pack/go:4.0.2_linux-" + arch + "\"\n"
		files[dir+"all/local.toml"] = "[buildpack]\nuri = \".\"\n\n[[dependencies]]\nuri = \"../go\"\n"
	}
	l.write(t, files)
	for _, arch := range []string{"amd64", "arm64"} {
		tag, target := ":4.0.2_linux-"+arch, "linux/"+arch
		l.both(t, ".", "go"+tag, "--target", target, "--config", "packaged/"+arch+"/go/package.toml")
		l.both(t, ".", "all"+tag, "--target", target, "--config", "packaged/"+arch+"/all/package.toml")
		// And as files, with the component from its folder.
		in := "packaged/" + arch + "/all"
		l.pack(t, in, "buildpack", "package", "pack.cnb", "--format", "file", "--target", target, "--config", "local.toml")
		want := l.filed(t, in+"/pack.cnb")
		if err := os.Rename(filepath.Join(l.dir, in, "pack.cnb"), filepath.Join(l.dir, arch+"-pack.cnb")); err != nil {
			t.Fatal(err)
		}
		l.multipack(t, in, "buildpack", "package", "../../../"+arch, "--format", "file", "--target", target, "--config", "local.toml")
		if diff := cmp.Diff(want, l.filed(t, arch+".cnb")); diff != "" {
			t.Errorf("%s: pack (-) and multipack (+) differ: %s", arch, diff)
		}
	}
	// Both ways in one step: all platforms out of the joined components.
	for _, what := range []string{"go", "all"} {
		l.multipack(t, ".", "manifest", "create", "--publish", l.r.Host()+"/joined/"+what+":4.0.2",
			l.r.Host()+"/pack/"+what+":4.0.2_linux-amd64", l.r.Host()+"/multipack/"+what+":4.0.2_linux-arm64")
		if n := len(l.published(t, "joined/"+what+":4.0.2")); n != 2 {
			t.Errorf("%s has %d platforms", what, n)
		}
	}
}

// pack takes what multipack makes as dependencies: images, files, composites.
func TestPackUsesWhatMultipackMakes(t *testing.T) {
	t.Parallel()
	l := newPackLab(t)
	l.write(t, map[string]string{
		"a/buildpack.toml":      "api = \"0.10\"\n[buildpack]\nid = \"acme/a\"\nversion = \"1.0.0\"\n",
		"a/bin/build":           "#!/bin/sh\n",
		"a/bin/detect":          "#!/bin/sh\n",
		"inner/buildpack.toml":  "api = \"0.10\"\n[buildpack]\nid = \"acme/inner\"\nversion = \"1.0.0\"\n[[order]]\n[[order.group]]\nid = \"acme/a\"\nversion = \"1.0.0\"\n",
		"inner/package.toml":    "[buildpack]\nuri = \".\"\n[[dependencies]]\nuri = \"../a\"\n",
		"outer/buildpack.toml":  "api = \"0.10\"\n[buildpack]\nid = \"acme/outer\"\nversion = \"1.0.0\"\n[[order]]\n[[order.group]]\nid = \"acme/inner\"\nversion = \"1.0.0\"\n",
		"outer-file.toml":       "[buildpack]\nuri = \"outer\"\n[[dependencies]]\nuri = \"inner.cnb\"\n",
		"outer-image.toml":      "[buildpack]\nuri = \"outer\"\n[[dependencies]]\nuri = \"REGISTRY/acme/inner:1\"\n",
		"outer-platforms.toml":  "[buildpack]\nuri = \"outer\"\n[[dependencies]]\nuri = \"inner-single.cnb\"\n",
		"outer-flattened.toml":  "[buildpack]\nuri = \"outer\"\n[[dependencies]]\nuri = \"REGISTRY/acme/flat:1\"\n",
		"outer/README":          "A composite of a composite.\n",
		"inner/docs/notes.text": "Notes.\n",
	})
	for _, args := range [][]string{
		{"inner", "--format", "file", "--target", "linux/amd64"},
		{"inner-single", "--format", "file", "--single-file", "--platform", "linux/amd64,linux/arm64"},
		{l.r.Host() + "/acme/inner:1", "--publish", "--platform", "linux/amd64,linux/arm64"},
		{l.r.Host() + "/acme/flat:1", "--publish", "--flatten", "--platform", "linux/amd64,linux/arm64"},
	} {
		l.multipack(t, ".", append([]string{"buildpack", "package", "--config", "inner/package.toml"}, args...)...)
	}
	for _, config := range []string{"file", "platforms"} {
		out := "out-" + config + ".cnb"
		l.pack(t, ".", "buildpack", "package", out, "--config", "outer-"+config+".toml", "--format", "file", "--target", "linux/amd64")
		l.multipack(t, ".", "buildpack", "package", "mine-"+out, "--config", "outer-"+config+".toml", "--format", "file", "--target", "linux/amd64")
		if diff := cmp.Diff(l.filed(t, out), l.filed(t, "mine-"+out)); diff != "" {
			t.Errorf("%s: pack (-) and multipack (+) differ: %s", config, diff)
		}
		if text := l.pack(t, ".", "buildpack", "inspect", "./mine-"+out); !strings.Contains(text, "└ acme/a@1.0.0") {
			t.Errorf("pack inspects:\n%s", text)
		}
	}
	// pack reads relative paths of the file against the working folder, which is its own here.
	l.both(t, ".", "outer-image:1", "--config", "outer-image.toml", "--target", "linux/amd64", "--target", "linux/arm64")
	// pack writes an empty layer for one of the modules of a flattened package; here both keep theirs.
	l.multipack(t, ".", "buildpack", "package", l.r.Host()+"/multipack/outer-flattened:1", "--config", "outer-flattened.toml", "--target", "linux/amd64", "--publish")
	if text := l.pack(t, ".", "buildpack", "inspect", l.r.Host()+"/multipack/outer-flattened:1"); !strings.Contains(text, "└ acme/a@1.0.0") {
		t.Errorf("pack inspects:\n%s", text)
	}
}
