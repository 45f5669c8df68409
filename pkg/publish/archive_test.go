package publish_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/testhelpers/imgtest"
)

func TestArchiveHoldsTheWholeIndex(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	idx := imgtest.Index(t, family("a"))
	p := &publish.Archive{DockerLoad: true, Host: platform.Platform{OS: "linux", Arch: "arm64"}}
	must(t, p, idx, to(t, "oci-archive:"+dir+"/a.tar:acme/x:1"))
	if got := digest(t, resolve(t, dir+"/a.tar", "acme/x:1")); got != digest(t, idx) {
		t.Errorf("the archive holds %s", got)
	}
	var stream bytes.Buffer
	q := &publish.Archive{DockerLoad: true, Host: p.Host, Out: &stream}
	must(t, q, idx, publish.Target{Ref: ref(t, "-"), Tags: nil})
	if !bytes.Contains(stream.Bytes(), []byte("index.json")) {
		t.Error("nothing was written to standard output")
	}
	again := &publish.Archive{DockerLoad: true, Host: p.Host}
	must(t, again, idx, to(t, "oci-archive:"+dir+"/b.tar:acme/x:1"))
	files := snapshot(t, dir)
	if files["a.tar"] != files["b.tar"] {
		t.Error("the same index gave two different archives")
	}
}

func TestManifestJSONListsTheHostFirstAndNamesItAlone(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "a.tar")
	spec := imgtest.Of("a", "linux/amd64", "windows/amd64", "linux/arm64", "linux/arm64/v9")
	spec.Attestations = true
	p := &publish.Archive{DockerLoad: true, Host: platform.Platform{OS: "linux", Arch: "arm64"}}
	must(t, p, imgtest.Index(t, spec), to(t, "oci-archive:"+file+":docker.io/acme/x:1"))
	m, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(file) })
	if err != nil {
		t.Fatal(err)
	}
	if len(m) != 3 {
		t.Fatalf("manifest.json lists %d images, want the three of the host's os", len(m))
	}
	img := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/arm64", Seed: "a"})
	config, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	if m[0].Config != "blobs/sha256/"+config.Hex {
		t.Errorf("the first image's config is %s", m[0].Config)
	}
	if len(m[0].RepoTags) != 1 || m[0].RepoTags[0] != "acme/x:1" || m[1].RepoTags != nil || m[2].RepoTags != nil {
		t.Errorf("the names are %v, %v, %v", m[0].RepoTags, m[1].RepoTags, m[2].RepoTags)
	}
}

func TestDockerArchiveIsRead(t *testing.T) {
	t.Parallel()
	for kind, spec := range map[string]imgtest.ImageSpec{
		"gzip":   {Platform: "linux/amd64", Layers: 3, Shared: 1},
		"docker": {Platform: "linux/amd64", Docker: true},
		"zstd":   {Platform: "linux/amd64", Zstd: true, LayerSize: 100_000},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "d.tar")
			img := imgtest.Image(t, spec)
			must(t, &publish.DockerArchive{}, img, to(t, "docker-archive:"+file+":acme/x:1"))
			tag, err := name.NewTag("acme/x:1")
			if err != nil {
				t.Fatal(err)
			}
			got, err := tarball.ImageFromPath(file, &tag)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Image(got); err != nil {
				t.Error(err)
			}
			want, err := img.ConfigName()
			if err != nil {
				t.Fatal(err)
			}
			if have, err := got.ConfigName(); err != nil || have != want {
				t.Errorf("the image's ID is %s, want %s: %v", have, want, err)
			}
		})
	}
}

func TestDockerArchiveTakesOnePlatform(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "d.tar")
	_, err := (&publish.DockerArchive{}).Publish(t.Context(), imgtest.Index(t, family("a")), to(t, "docker-archive:"+file))
	if !fault.Is(err, fault.Usage) || fault.HintOf(err) == "" {
		t.Errorf("the error is %v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("there is a file")
	}
	spec := imgtest.Of("a", "linux/amd64")
	spec.Attestations = true
	must(t, &publish.DockerArchive{}, imgtest.Index(t, spec), to(t, "docker-archive:"+file))
}

func TestRecordKeepsWhatWasDone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	idx := imgtest.Index(t, imgtest.Of("a", "linux/amd64", "linux/arm64"))
	r := &publish.Record{Next: &publish.Layout{}}
	must(t, r, idx, to(t, "oci:"+dir+"/out:v1"))
	if err := r.Save(dir+"/meta.json", dir+"/digest"); err != nil {
		t.Fatal(err)
	}
	files := snapshot(t, dir)
	if files["digest"] != digest(t, idx).String() {
		t.Errorf("the digest file holds %q", files["digest"])
	}
	var doc struct {
		Digest, MediaType string
		Tags              []string
		Images            []struct {
			Platform, Manifest, Config, Action string
			Layers                             []struct {
				Digest, Action string
				Size, Bytes    int64
			}
		}
	}
	if err := json.Unmarshal([]byte(files["meta.json"]), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Digest != digest(t, idx).String() || len(doc.Images) != 2 || doc.Images[1].Platform != "linux/arm64" ||
		doc.Images[1].Manifest != digestOf(t, idx, 1).String() || doc.Images[0].Layers[0].Action != "uploaded" || doc.Images[0].Layers[0].Bytes == 0 {
		t.Errorf("the metadata is\n%s", files["meta.json"])
	}
	two := []publish.Report{{Digest: digest(t, idx)}, {Digest: digestOf(t, idx, 0)}, {Digest: digest(t, idx)}}
	if got, want := string(publish.Digests(two)), digest(t, idx).String()+"\n"+digestOf(t, idx, 0).String()+"\n"; got != want {
		t.Errorf("the digests are %q", got)
	}
}

func TestFilesThatCannotBeSavedAreKnownBefore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/there", []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := publish.CanSave(dir+"/new", dir+"/there"); err != nil {
		t.Error(err)
	}
	if got := snapshot(t, dir); len(got) != 1 || got["there"] != "old" {
		t.Errorf("it left %v", got)
	}
	for _, c := range [][2]string{{dir + "/no/such", ""}, {"", dir + "/no/such"}, {dir, ""}} {
		if err := publish.CanSave(c[0], c[1]); err == nil {
			t.Errorf("%v can be saved", c)
		}
	}
}
