package publish_test

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/ocilayout"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/testhelpers/imgtest"
	"github.com/multipack/multipack/testhelpers/regtest"
)

func TestOneFileForEachPlatform(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	spec := imgtest.Of("a", "linux/amd64", "linux/arm/v6", "linux/arm/v7", "windows/amd64:10.0.1")
	spec.Attestations = true
	idx := imgtest.Index(t, spec)
	r := must(t, &publish.CNB{}, idx, to(t, dir+"/bp-1.2.3.cnb"))
	want := []string{"bp-1.2.3-linux-amd64.cnb", "bp-1.2.3-linux-arm-v6.cnb", "bp-1.2.3-linux-arm-v7.cnb", "bp-1.2.3-windows-amd64-10.0.1.cnb"}
	if got := slices.Sorted(maps.Keys(snapshot(t, dir))); !slices.Equal(got, want) {
		t.Fatalf("there are %v, want %v", got, want)
	}
	for i, file := range want {
		if got := r.Images[i].Path; got != filepath.Join(dir, file) {
			t.Errorf("the report has the path %s", got)
		}
		if got := digest(t, resolve(t, filepath.Join(dir, file), "")); got != digestOf(t, idx, i) {
			t.Errorf("%s holds %s, not what a registry would", file, got)
		}
	}
}

func TestFileNames(t *testing.T) {
	t.Parallel()
	one := imgtest.Index(t, imgtest.Of("a", "linux/amd64"))
	two := imgtest.Index(t, imgtest.Of("a", "linux/amd64", "linux/arm64"))
	naming := func(stem string, p platform.Platform) string { return stem + "_" + p.Arch + ".cnb" }
	for _, c := range []struct {
		idx   v1.ImageIndex
		p     publish.CNB
		path  string
		files []string
	}{
		{one, publish.CNB{}, "bp.cnb", []string{"bp.cnb"}},
		{one, publish.CNB{}, "./bp-1.2.3", []string{"bp-1.2.3.cnb"}},
		{two, publish.CNB{}, "bp-1.2.3", []string{"bp-1.2.3-linux-amd64.cnb", "bp-1.2.3-linux-arm64.cnb"}},
		{two, publish.CNB{Name: naming}, "bp.cnb", []string{"bp_amd64.cnb", "bp_arm64.cnb"}},
		{two, publish.CNB{Single: true}, "bp.cnb", []string{"bp.cnb"}},
		{two, publish.CNB{Single: true}, "bp-1.2.3", []string{"bp-1.2.3.cnb"}},
	} {
		dir := t.TempDir()
		target := to(t, filepath.Join(dir, c.path))
		must(t, &c.p, c.idx, target)
		if got := slices.Sorted(maps.Keys(snapshot(t, dir))); !slices.Equal(got, c.files) {
			t.Errorf("%s: there are %v, want %v", c.path, got, c.files)
		}
	}
}

func TestTwoPlatformsInOneFileAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := &publish.CNB{Name: func(stem string, p platform.Platform) string { return stem + "-" + p.Arch + ".cnb" }}
	_, err := p.Publish(t.Context(), imgtest.Index(t, imgtest.Of("a", "linux/arm/v6", "linux/arm/v7")), to(t, dir+"/bp.cnb"))
	if !fault.Is(err, fault.Usage) || !strings.Contains(err.Error(), "linux/arm/v6") {
		t.Errorf("the error is %v", err)
	}
	if files := snapshot(t, dir); len(files) > 0 {
		t.Errorf("there are files: %v", slices.Collect(maps.Keys(files)))
	}
}

func TestAllFilesOrNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// The second platform's name is taken by a directory.
	if err := os.MkdirAll(dir+"/bp-linux-arm64.cnb/x", 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := (&publish.CNB{}).Publish(t.Context(), imgtest.Index(t, imgtest.Of("a", "linux/amd64", "linux/arm64")), to(t, dir+"/bp.cnb"))
	if err == nil || !strings.Contains(err.Error(), "bp-linux-arm64.cnb") {
		t.Errorf("the error is %v", err)
	}
	if files := snapshot(t, dir); len(files) > 0 {
		t.Errorf("there are files: %v", slices.Collect(maps.Keys(files)))
	}
}

func TestSingleFileIsTheIndexItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	spec := imgtest.Of("a", "linux/amd64", "linux/arm64")
	spec.Annotations = map[string]string{"a": "b"}
	idx := imgtest.Index(t, spec)
	r := must(t, &publish.CNB{Single: true}, idx, to(t, dir+"/bp.cnb"))
	l, err := ocilayout.Open(dir + "/bp.cnb")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if string(l.Index()) != raw(t, idx) {
		t.Errorf("index.json is\n%s", l.Index())
	}
	if got := digest(t, resolve(t, dir+"/bp.cnb", "")); got != digest(t, idx) || got != r.Digest {
		t.Errorf("the file is read as %s", got)
	}
	if r.Images[0].Path != dir+"/bp.cnb" || r.Images[1].Path != dir+"/bp.cnb" {
		t.Errorf("the paths are %s, %s", r.Images[0].Path, r.Images[1].Path)
	}
}

func TestFileHasTheRegistrysDigest(t *testing.T) {
	t.Parallel()
	dir, reg := t.TempDir(), regtest.New(t)
	img := imgtest.Buildpack(t, imgtest.BuildpackSpec{ID: "acme/bp", Version: "1.0.0", Platform: "linux/amd64"})
	pushed := must(t, publisher(t), img, to(t, reg.Host()+"/acme/bp:1"))
	saved := must(t, &publish.CNB{}, img, to(t, dir+"/bp.cnb"))
	if pushed.Digest != saved.Digest || saved.Digest != digest(t, resolve(t, dir+"/bp.cnb", "")) {
		t.Errorf("the registry has %s, the file %s", pushed.Digest, saved.Digest)
	}
}

func TestPackAndSkopeoReadTheFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	img := imgtest.Buildpack(t, imgtest.BuildpackSpec{ID: "acme/bp", Version: "1.0.0", Platform: "linux/arm64"})
	must(t, &publish.CNB{}, img, to(t, dir+"/bp.cnb"))
	if out := run(t, "skopeo", "--override-arch=arm64", "inspect", "oci-archive:"+dir+"/bp.cnb"); !strings.Contains(out, `"Architecture": "arm64"`) {
		t.Errorf("skopeo reads\n%s", out)
	}
	if _, err := exec.LookPath("pack"); err != nil {
		t.Skip("pack is not installed; skopeo has read the file")
	}
	if out := run(t, "pack", "buildpack", "inspect", dir+"/bp.cnb"); !strings.Contains(out, "acme/bp") || !strings.Contains(out, "1.0.0") {
		t.Errorf("pack reads\n%s", out)
	}
}

func TestPackageGoesToStandardOutput(t *testing.T) {
	t.Parallel()
	idx := imgtest.Index(t, imgtest.Of("a", "linux/amd64", "linux/arm64"))
	stdout := reference.Ref{Kind: reference.File, Path: "-", Given: "-"}
	dir := t.TempDir()
	must(t, &publish.CNB{Single: true}, idx, to(t, dir+"/all.cnb"))
	want, err := os.ReadFile(dir + "/all.cnb")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r := must(t, &publish.CNB{Single: true, Out: &out}, idx, publish.Target{Ref: stdout})
	if !bytes.Equal(out.Bytes(), want) || r.Images[1].Path != "-" {
		t.Errorf("%d bytes where the file has %d, path '%s'", out.Len(), len(want), r.Images[1].Path)
	}
	out.Reset()
	_, err = (&publish.CNB{Out: &out}).Publish(t.Context(), idx, publish.Target{Ref: stdout})
	if !fault.Is(err, fault.Usage) || out.Len() > 0 {
		t.Errorf("two files in one stream: %v, %d bytes", err, out.Len())
	}
}
