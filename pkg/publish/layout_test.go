package publish_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/ocilayout"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/testhelpers/imgtest"
)

// resolve opens what a layout or archive holds under a tag and checks all of it.
func resolve(t testing.TB, path, tag string) manifest.Artifact {
	t.Helper()
	l, err := ocilayout.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	a, err := l.Resolve(tag, "")
	if err != nil {
		t.Fatal(err)
	}
	switch a := a.(type) {
	case v1.ImageIndex:
		err = validate.Index(a)
	case v1.Image:
		err = validate.Image(a)
	}
	if err != nil {
		t.Error(err)
	}
	return a
}

func TestFreshLayoutIsReadByEverybody(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	idx := imgtest.Index(t, family("a"))
	var tagged []string
	r := must(t, &publish.Layout{Observe: func(e publish.Event) {
		if e.Kind == "tag" { // the last step, of one goroutine
			tagged = append(tagged, e.Ref)
		}
	}}, idx, to(t, "oci:"+dir))
	if len(tagged) != 1 || tagged[0] != "oci:"+dir {
		t.Errorf("the entry was told of as %v", tagged)
	}
	if r.Name != "oci:"+dir+"@"+digest(t, idx).String() || r.Images[0].Layers[0].Action != publish.Uploaded {
		t.Errorf("the report is %+v", r)
	}
	if got := digest(t, resolve(t, dir, "")); got != digest(t, idx) {
		t.Errorf("without a tag %s is read", got)
	}
	theirs, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := theirs.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Manifests) != 1 || m.Manifests[0].Annotations != nil {
		t.Errorf("index.json holds %+v", m.Manifests)
	}
	if again := must(t, &publish.Layout{}, idx, to(t, "oci:"+dir)); again.Action != publish.Exists || again.Images[0].Layers[0].Action != publish.Exists {
		t.Errorf("the second report is %+v", again)
	}
}

func TestSkopeoReadsLayoutsAndArchives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	img := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/arm64"})
	idx := imgtest.Index(t, imgtest.Of("a", "linux/amd64", "linux/arm64"))
	must(t, &publish.Layout{}, img, to(t, "oci:"+dir+"/plain"))
	must(t, &publish.Layout{}, idx, to(t, "oci:"+dir+"/tagged:v1"))
	must(t, &publish.Layout{}, img, to(t, "oci:"+dir+"/tagged:v2"))
	must(t, &publish.Archive{}, img, to(t, "oci-archive:"+dir+"/plain.tar"))
	must(t, &publish.Archive{DockerLoad: true}, idx, to(t, "oci-archive:"+dir+"/index.tar:v1"))
	must(t, &publish.DockerArchive{}, img, to(t, "docker-archive:"+dir+"/docker.tar:acme/x:1"))
	for from, arch := range map[string]string{
		"oci:" + dir + "/plain": "arm64", "oci:" + dir + "/tagged:v1": "amd64", "oci:" + dir + "/tagged:v2": "arm64",
		"oci-archive:" + dir + "/plain.tar": "arm64", "oci-archive:" + dir + "/index.tar:v1": "amd64", "docker-archive:" + dir + "/docker.tar": "arm64",
	} {
		out := run(t, "skopeo", "--override-os=linux", "--override-arch="+arch, "inspect", from)
		if !strings.Contains(out, `"Architecture": "`+arch+`"`) {
			t.Errorf("skopeo reads of %s:\n%s", from, out)
		}
	}
	if got := run(t, "skopeo", "inspect", "--raw", "oci:"+dir+"/tagged:v1"); got != raw(t, idx) {
		t.Errorf("skopeo reads the index as\n%s", got)
	}
}

func raw(t testing.TB, a manifest.Artifact) string {
	t.Helper()
	b, err := a.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSameNameIsReplacedAndOthersAreKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	image := func(seed string) v1.Image {
		return imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/amd64", Seed: seed})
	}
	p := &publish.Layout{}
	must(t, p, image("1"), to(t, "oci:"+dir+":v1"))
	must(t, p, image("2"), to(t, "oci:"+dir+":docker.io/acme/x:v1"))
	must(t, p, image("3"), to(t, "oci:"+dir))
	must(t, p, image("4"), to(t, "oci:"+dir+":v1"))
	must(t, p, image("5"), to(t, "oci:"+dir+":acme/x:v1"))
	must(t, p, image("6"), to(t, "oci:"+dir))

	l, err := ocilayout.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var got []string
	for _, d := range l.Descriptors() {
		got = append(got, fmt.Sprint(d.Annotations[ocilayout.RefNameAnnotation], " ", d.Annotations[ocilayout.ImageNameAnnotation], " ", d.Digest))
	}
	want := []string{
		"v1  " + digest(t, image("4")).String(),
		"acme/x:v1 docker.io/acme/x:v1 " + digest(t, image("5")).String(),
		"  " + digest(t, image("6")).String(),
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("index.json holds\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSeveralNamelessEntriesAreAConflict(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, err := layout.Write(dir, imgtest.Index(t, imgtest.IndexSpec{}))
	if err != nil {
		t.Fatal(err)
	}
	a, b := imgtest.Image(t, imgtest.ImageSpec{Seed: "a"}), imgtest.Image(t, imgtest.ImageSpec{Seed: "b"})
	for _, img := range []v1.Image{a, b} {
		if err := path.AppendImage(img); err != nil {
			t.Fatal(err)
		}
	}
	p := &publish.Layout{}
	_, err = p.Publish(t.Context(), imgtest.Image(t, imgtest.ImageSpec{Seed: "c"}), to(t, "oci:"+dir))
	if !fault.Is(err, fault.Conflict) || fault.HintOf(err) == "" {
		t.Errorf("the error is %v", err)
	}
	must(t, p, a, to(t, "oci:"+dir)) // it is there: nothing to choose
	must(t, p, imgtest.Image(t, imgtest.ImageSpec{Seed: "c"}), to(t, "oci:"+dir+":c"))
}

func TestConcurrentWritersOfOneLayoutLoseNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			img := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/amd64", Seed: fmt.Sprint(i), Layers: 2, Shared: 1})
			if _, err := (&publish.Layout{}).Publish(t.Context(), img, to(t, fmt.Sprintf("oci:%s:v%d", dir, i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i := range 8 {
		resolve(t, dir, fmt.Sprintf("v%d", i))
	}
}

func TestLayoutWithTagsAndChildTags(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	idx := imgtest.Index(t, imgtest.Of("a", "linux/amd64", "linux/arm64"))
	target := to(t, "oci:"+dir+":v1")
	target.Tags = append(target.Tags, target.Ref.WithTag("v2"))
	target.ChildTags = []publish.ChildTag{{Digest: digestOf(t, idx, 1), Tag: "v1-linux-arm64"}}
	r := must(t, &publish.Layout{}, idx, target)
	if got := strings.Join(append(r.ChildTags, r.Tags...), " "); got != "v1-linux-arm64 v1 v2" {
		t.Errorf("the report lists %s", got)
	}
	for tag, want := range map[string]v1.Hash{"v1": digest(t, idx), "v2": digest(t, idx), "v1-linux-arm64": digestOf(t, idx, 1)} {
		if got := digest(t, resolve(t, dir, tag)); got != want {
			t.Errorf("%s is %s", tag, got)
		}
	}
}

// failing is an image whose layer cannot be read to its end.
type failing struct{ v1.Image }

var errBroken = errors.New("the layer is broken")

func (f failing) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	l, err := f.Image.LayerByDigest(h)
	return brokenLayer{l}, err
}

type brokenLayer struct{ v1.Layer }

func (l brokenLayer) Compressed() (io.ReadCloser, error) {
	rc, err := l.Layer.Compressed()
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(rc, 20), brokenReader{}), rc}, nil
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errBroken }

func TestFailureLeavesWhatWasThere(t *testing.T) {
	t.Parallel()
	good := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/amd64", Seed: "good"})
	bad := failing{imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/amd64", Seed: "bad"})}
	dir := t.TempDir()
	for _, c := range []struct {
		to string
		p  publish.Publisher
	}{
		{"oci:" + dir + "/layout", &publish.Layout{}},
		{"oci-archive:" + dir + "/a.tar", &publish.Archive{}},
		{"docker-archive:" + dir + "/d.tar", &publish.DockerArchive{}},
		{dir + "/x.cnb", &publish.CNB{}},
	} {
		must(t, c.p, good, to(t, c.to))
		before := snapshot(t, dir)
		if _, err := c.p.Publish(t.Context(), bad, to(t, c.to)); !errors.Is(err, errBroken) {
			t.Errorf("%s: the error is %v", c.to, err)
		}
		after := snapshot(t, dir)
		for name, content := range before {
			if after[name] != content {
				t.Errorf("%s: '%s' has changed", c.to, name)
			}
		}
		for name := range after {
			if strings.Contains(name, "tmp") {
				t.Errorf("%s: '%s' was left behind", c.to, name)
			}
		}
	}
}

// snapshot is every file below dir.
func snapshot(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, relErr := filepath.Rel(dir, path)
		out[rel] = string(b)
		return errors.Join(err, relErr)
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
