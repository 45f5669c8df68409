package ocilayout_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/pkg/ocilayout"
)

// static is a layer of given bytes and type.
type static struct {
	mt        types.MediaType
	data      []byte
	h, diffID v1.Hash
}

func staticLayer(mt types.MediaType, data, raw []byte) (v1.Layer, error) {
	h, _, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	diffID, _, err := v1.SHA256(bytes.NewReader(raw))
	return partialLayer{static{mt, data, h, diffID}, raw}, err
}

func (s static) Digest() (v1.Hash, error)            { return s.h, nil }
func (s static) DiffID() (v1.Hash, error)            { return s.diffID, nil }
func (s static) Size() (int64, error)                { return int64(len(s.data)), nil }
func (s static) MediaType() (types.MediaType, error) { return s.mt, nil }
func (s static) Compressed() (io.ReadCloser, error)  { return reader(s.data)() }

type partialLayer struct {
	static
	raw []byte
}

func (p partialLayer) Uncompressed() (io.ReadCloser, error) { return reader(p.raw)() }

var _ partial.CompressedLayer = static{}

func reader(data []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}

func hash(data []byte) v1.Hash {
	h, _, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		panic(err)
	}
	return h
}

func write(t *testing.T, d *ocilayout.Dir, data []byte) bool {
	t.Helper()
	written, err := d.WriteBlob(context.Background(), hash(data), int64(len(data)), reader(data))
	if err != nil {
		t.Fatal(err)
	}
	return written
}

func entries(t *testing.T, d *ocilayout.Dir, add ...v1.Descriptor) {
	t.Helper()
	err := d.SetEntries(context.Background(), func(have []v1.Descriptor) ([]v1.Descriptor, error) { return append(have, add...), nil })
	if err != nil {
		t.Fatal(err)
	}
}

func tree(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	must(0, filepath.Walk(dir, func(p string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			out = append(out, must(filepath.Rel(dir, p)))
		}
		return err
	}))
	return out
}

func TestWriteBlob(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "a", "b")
	d := must(ocilayout.Create(dir))
	if !write(t, d, []byte("one")) || write(t, d, []byte("one")) {
		t.Error("the first write must write, the second must not")
	}
	blob := filepath.Join(dir, "blobs", "sha256", hash([]byte("one")).Hex)
	for _, bad := range []string{"", "onE", "one more"} {
		must(0, os.WriteFile(blob, []byte(bad), 0o644))
		if !write(t, must(ocilayout.Create(dir)), []byte("one")) {
			t.Errorf("a blob with %q was trusted", bad)
		}
		if got := string(must(os.ReadFile(blob))); got != "one" {
			t.Errorf("the blob holds %q", got)
		}
	}
	for _, wrong := range []string{"", "tw", "twO", "two and more"} {
		_, err := d.WriteBlob(ctx, hash([]byte("two")), 3, reader([]byte(wrong)))
		if !errors.Is(err, ocilayout.ErrCorrupt) || !strings.Contains(err.Error(), hash([]byte("two")).String()) {
			t.Errorf("%q as blob: %v", wrong, err)
		}
	}
	if _, err := d.WriteBlob(ctx, hash([]byte("two")), -1, reader([]byte("twO"))); !errors.Is(err, ocilayout.ErrCorrupt) {
		t.Errorf("unknown size: %v", err)
	}
	boom := errors.New("boom")
	if _, err := d.WriteBlob(ctx, hash([]byte("two")), 3, func() (io.ReadCloser, error) { return nil, boom }); !errors.Is(err, boom) {
		t.Errorf("open fails: %v", err)
	}
	if _, err := d.WriteBlob(ctx, v1.Hash{Algorithm: "sha256", Hex: "../../x"}, 3, reader(nil)); err == nil {
		t.Error("a path as a digest was written")
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := d.WriteBlob(cancelled, hash([]byte("two")), 3, reader([]byte("two"))); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	want := []string{"blobs/sha256/" + hash([]byte("one")).Hex, "oci-layout"}
	if got := tree(t, dir); !slices.Equal(got, want) {
		t.Errorf("the directory holds %v, want %v", got, want)
	}
}

func TestSetEntriesKeepsBytes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	d := must(ocilayout.Create(dir))
	name := filepath.Join(dir, "index.json")
	entry := func(c string) string {
		return `{ "digest":"` + hash([]byte(c)).String() + `",  "mediaType":"application/vnd.oci.image.manifest.v1+json","size":1, "x-own":{"b":1,"a":2}}`
	}
	raw := "{\n  \"custom\": {\"z\": 1, \"a\":2 },\n \"manifests\": [\n" + entry("1") + ",\n" + entry("2") + "],\n\"schemaVersion\":2}\n"
	must(0, os.WriteFile(name, []byte(raw), 0o644))
	must(0, d.SetEntries(ctx, func(have []v1.Descriptor) ([]v1.Descriptor, error) { return have, nil }))
	if got := string(must(os.ReadFile(name))); got != raw {
		t.Errorf("nothing was changed, but the file is\n%s", got)
	}
	must(0, d.SetEntries(ctx, func(have []v1.Descriptor) ([]v1.Descriptor, error) {
		have[0].Annotations = map[string]string{"k": "v"}
		return []v1.Descriptor{have[1], have[0]}, nil
	}))
	got := string(must(os.ReadFile(name)))
	for _, keep := range []string{entry("2"), `"custom":{"z": 1, "a":2 }`, `"annotations":{"k":"v"}`} {
		if !strings.Contains(got, keep) {
			t.Errorf("%s is missing from\n%s", keep, got)
		}
	}
	if strings.Index(got, "custom") > strings.Index(got, "manifests") || strings.Contains(got, "mediaType\":\"application/vnd.oci.image.index") {
		t.Errorf("the rest was edited:\n%s", got)
	}
	boom := errors.New("boom")
	if err := d.SetEntries(ctx, func([]v1.Descriptor) ([]v1.Descriptor, error) { return nil, boom }); !errors.Is(err, boom) {
		t.Errorf("fn fails: %v", err)
	}
	for _, bad := range []string{"", "{", "[]", "{} {}", `{"manifests":[{"digest":"x"}]}`} {
		must(0, os.WriteFile(name, []byte(bad), 0o644))
		err := d.SetEntries(ctx, func([]v1.Descriptor) ([]v1.Descriptor, error) { return nil, nil })
		if !errors.Is(err, ocilayout.ErrCorrupt) {
			t.Errorf("index.json is %q: %v", bad, err)
		}
		if string(must(os.ReadFile(name))) != bad {
			t.Error("a corrupt index.json was overwritten")
		}
	}
	if got := tree(t, dir); !slices.Equal(got, []string{"index.json", "oci-layout"}) {
		t.Errorf("the directory holds %v", got)
	}
}

// writerEnv makes the test binary a writer: see TestMain.
const writerEnv = "OCILAYOUT_TEST_WRITER"

func TestMain(m *testing.M) {
	if spec := os.Getenv(writerEnv); spec != "" {
		dir, id, _ := strings.Cut(spec, "|")
		if err := writeMany(dir, id, 10); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// writeMany adds n entries, each with a blob of its own and one that all share.
func writeMany(dir, id string, n int) error {
	d, err := ocilayout.Create(dir)
	if err != nil {
		return err
	}
	shared := bytes.Repeat([]byte("shared"), 10000)
	for i := range n {
		own := fmt.Appendf(nil, "%s-%d", id, i)
		for _, data := range [][]byte{own, shared} {
			if _, err := d.WriteBlob(context.Background(), hash(data), int64(len(data)), reader(data)); err != nil {
				return err
			}
		}
		err := d.SetEntries(context.Background(), func(have []v1.Descriptor) ([]v1.Descriptor, error) {
			return append(have, v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: hash(own), Size: int64(len(own))}), nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func TestManyWriters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		wg.Go(func() {
			if i%2 == 0 {
				errs[i] = writeMany(dir, fmt.Sprint(i), 10)
				return
			}
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%d", writerEnv, dir, i))
			if msg, err := cmd.CombinedOutput(); err != nil {
				errs[i] = fmt.Errorf("%w: %s", err, msg)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	l := open(t, dir)
	got := map[v1.Hash]bool{}
	for _, d := range l.Descriptors() {
		got[d.Digest] = true
		rc, _, err := l.Blob(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		must(io.Copy(io.Discard, rc))
	}
	if len(got) != 60 || len(l.Descriptors()) != 60 {
		t.Errorf("%d entries are left of 60", len(got))
	}
	if names := tree(t, dir); len(names) != 60+1+2 {
		t.Errorf("%d files, want 63: %v", len(names), names)
	}
}

func TestWriteTar(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	img := image(t, "amd64")
	raw := must(img.RawManifest())
	blobs := []ocilayout.Blob{
		{Digest: hash(raw), Size: int64(len(raw)), Open: reader(raw)},
	}
	config := must(img.RawConfigFile())
	blobs = append(blobs, ocilayout.Blob{Digest: hash(config), Size: int64(len(config)), Open: reader(config)})
	for _, l := range must(img.Layers()) {
		blobs = append(blobs, ocilayout.Blob{Digest: must(l.Digest()), Size: must(l.Size()), Open: l.Compressed})
	}
	index := must(json.MarshalIndent(v1.IndexManifest{SchemaVersion: 2, Manifests: []v1.Descriptor{
		{MediaType: must(img.MediaType()), Digest: hash(raw), Size: int64(len(raw))},
	}}, "", "   "))
	extra := []ocilayout.File{{Name: "repositories", Data: []byte("{}")}, {Name: "manifest.json", Data: []byte("[]")}}

	var one, two bytes.Buffer
	must(0, ocilayout.WriteTar(ctx, &one, index, extra, append(slices.Clone(blobs), blobs[0])))
	slices.Reverse(blobs)
	slices.Reverse(extra)
	must(0, ocilayout.WriteTar(ctx, &two, index, extra, blobs))
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("the order of the input changes the output")
	}
	var names []string
	tr := tar.NewReader(bytes.NewReader(one.Bytes()))
	for h, err := tr.Next(); err != io.EOF; h, err = tr.Next() {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if h.Mode != 0o755 || h.ModTime.Unix() != 315532801 || h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Format != tar.FormatUSTAR {
			t.Errorf("%s: %+v", h.Name, h)
		}
	}
	if !slices.IsSorted(names) || names[0] != "/blobs" || names[1] != "/blobs/sha256" || names[len(names)-2] != "/oci-layout" || len(names) != 2+4+2+2 {
		t.Errorf("entries: %v", names)
	}

	path := filepath.Join(t.TempDir(), "x.cnb")
	must(0, ocilayout.WriteTarFile(ctx, path, index, extra, blobs))
	if !bytes.Equal(must(os.ReadFile(path)), one.Bytes()) {
		t.Error("the file holds something else")
	}
	l := open(t, path)
	check(t, must(l.Artifact(must(l.Find("", "")))))

	blobs[0].Open = reader(bytes.Repeat([]byte("x"), int(blobs[0].Size)))
	err := ocilayout.WriteTarFile(ctx, path, index, extra, blobs)
	if !errors.Is(err, ocilayout.ErrCorrupt) || !strings.Contains(err.Error(), blobs[0].Digest.Hex) {
		t.Errorf("a wrong blob: %v", err)
	}
	if !bytes.Equal(must(os.ReadFile(path)), one.Bytes()) || len(tree(t, filepath.Dir(path))) != 1 {
		t.Error("a failed write left something")
	}
}

func TestWriteTarForSkopeo(t *testing.T) {
	t.Parallel()
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Skip("skopeo is not installed")
	}
	img := image(t, "arm64")
	raw, config := must(img.RawManifest()), must(img.RawConfigFile())
	blobs := []ocilayout.Blob{
		{Digest: hash(raw), Size: int64(len(raw)), Open: reader(raw)},
		{Digest: hash(config), Size: int64(len(config)), Open: reader(config)},
	}
	for _, l := range must(img.Layers()) {
		blobs = append(blobs, ocilayout.Blob{Digest: must(l.Digest()), Size: must(l.Size()), Open: l.Compressed})
	}
	index := must(json.Marshal(v1.IndexManifest{SchemaVersion: 2, Manifests: []v1.Descriptor{
		{MediaType: must(img.MediaType()), Digest: hash(raw), Size: int64(len(raw))},
	}}))
	path := filepath.Join(t.TempDir(), "x.tar")
	must(0, ocilayout.WriteTarFile(context.Background(), path, index, nil, blobs))
	out, err := exec.Command(skopeo, "--override-arch", "arm64", "inspect", "--format", "{{.Digest}} {{.Architecture}}", "oci-archive:"+path).CombinedOutput()
	if want := hash(raw).String() + " arm64\n"; err != nil || string(out) != want {
		t.Errorf("skopeo reads %q, %v; want %q", out, err, want)
	}
}
