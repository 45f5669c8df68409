package verify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/verify"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/testhelpers/imgtest"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

type children map[v1.Hash]manifest.Artifact

func (c children) Child(h v1.Hash) (manifest.Artifact, error) {
	if a, ok := c[h]; ok {
		return a, nil
	}
	return nil, fault.New(fault.NotFound, "opening '%s': not here", h)
}

// family is an index of everything, and its children.
func family(t *testing.T) (manifest.Index, children) {
	t.Helper()
	idx := imgtest.Index(t, imgtest.IndexSpec{
		Images: []imgtest.ImageSpec{
			{Platform: "linux/amd64", Layers: 2, Shared: 1}, {Platform: "linux/arm64", Layers: 2, Shared: 1}, {Platform: "linux/arm/v6"}, {},
		},
		Attestations: true,
		Nested:       []imgtest.IndexSpec{imgtest.Of("nested", "linux/s390x", "linux/riscv64")},
	})
	parsed := must(manifest.Parse(must(idx.RawManifest())))
	all := children{}
	for _, e := range parsed.Entries() {
		if e.IsIndex {
			all[e.Descriptor.Digest] = must(idx.ImageIndex(e.Descriptor.Digest))
		} else {
			all[e.Descriptor.Digest] = must(idx.Image(e.Descriptor.Digest))
		}
	}
	return parsed, all
}

// errRotten stands for content that is not what its digest says.
var errRotten = errors.New("rotten")

func options() verify.Options {
	return verify.Options{Corrupt: func(err error) bool { return errors.Is(err, errRotten) }}
}

// findings are those of an index as "KIND what", one a line.
func findings(t *testing.T, i manifest.Index, c manifest.Children) string {
	t.Helper()
	r, err := verify.Artifact(t.Context(), must(manifest.Bind(i, c)), options())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for n, e := range r.Entries {
		for _, f := range e.Findings {
			out = append(out, fmt.Sprintf("%d %s %s: %s", n, f.Kind, short(f.Digest), f.Message))
		}
	}
	return strings.Join(out, "\n")
}

func short(h v1.Hash) string { return h.Hex[:6] }

func TestNothingIsWrong(t *testing.T) {
	t.Parallel()
	i, c := family(t)
	idx := must(manifest.Bind(i, c))
	r, err := verify.Artifact(t.Context(), idx, options())
	if err != nil || r.Findings() != 0 || len(r.Damaged()) != 0 {
		t.Fatalf("%v: %+v", err, r)
	}
	if r.Digest != must(idx.Digest()) || r.MediaType != string(types.OCIImageIndex) || len(r.Entries) != 11 {
		t.Errorf("%d entries: %+v", len(r.Entries), r)
	}
	nested, inner := r.Entries[8], r.Entries[9]
	if nested.Within != (v1.Hash{}) || inner.Within != nested.Digest || inner.Platform != "linux/s390x" || nested.Blobs != 1 {
		t.Errorf("%+v %+v", nested, inner)
	}
	if a := r.Entries[4]; a.Attests != r.Entries[0].Digest {
		t.Errorf("%+v", a)
	}
	amd := must(idx.Image(r.Entries[0].Digest))
	bytes := must(amd.Size())
	m := must(amd.Manifest())
	for _, d := range append(m.Layers, m.Config) {
		bytes += d.Size
	}
	if e := r.Entries[0]; e.Blobs != 4 || e.Bytes != bytes || e.Platform != "linux/amd64" {
		t.Errorf("%+v, want %d bytes", e, bytes)
	}
	r, err = verify.Artifact(t.Context(), amd, options())
	if err != nil || len(r.Entries) != 1 || r.Findings() != 0 || r.Entries[0].Platform != "linux/amd64" || r.Entries[0].Bytes != bytes {
		t.Errorf("of an image: %v %+v", err, r)
	}
}

// broken is an image with something wrong with it.
type broken struct {
	v1.Image
	config []byte
	err    error
	layer  func(v1.Layer) v1.Layer
}

func (b broken) RawConfigFile() ([]byte, error) {
	if b.config != nil || b.err != nil {
		return b.config, b.err
	}
	return b.Image.RawConfigFile()
}

func (b broken) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	l, err := b.Image.LayerByDigest(h)
	if err == nil && b.layer != nil {
		l = b.layer(l)
	}
	return l, err
}

// content is a layer with other content than it says.
type content struct {
	v1.Layer
	data string
	err  error
}

func (c content) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(c.data)), c.err
}

func TestContentIsMissingOrCorrupt(t *testing.T) {
	t.Parallel()
	i, all := family(t)
	first := i.Entries()[0].Descriptor
	img := all[first.Digest].(v1.Image)
	m := must(img.Manifest())
	gone := fault.New(fault.NotFound, "gone")
	with := func(a manifest.Artifact) children {
		out := children{}
		for h, child := range all {
			out[h] = child
		}
		if out[first.Digest] = a; a == nil {
			delete(out, first.Digest)
		}
		return out
	}
	layer := func(data string, err error) children {
		return with(broken{Image: img, layer: func(l v1.Layer) v1.Layer {
			if must(l.Digest()) == m.Layers[1].Digest {
				return content{l, data, err}
			}
			return l
		}})
	}
	config, one, rotten := short(m.Config.Digest), short(m.Layers[1].Digest), fmt.Errorf("reading: %w", errRotten)
	for _, c := range []struct {
		what  string
		with  children
		wants string
	}{
		{"no manifest", with(nil), "0 missing " + short(first.Digest) + ": the manifest '" + first.Digest.String() + "' is not there"},
		{"no config", with(broken{Image: img, err: gone}), "0 missing " + config},
		{"config rotten", with(broken{Image: img, err: rotten}), "0 corrupt " + config + ": the config '" + m.Config.Digest.String() + "': reading: rotten"},
		{"another config", with(broken{Image: img, config: []byte("{}")}), "0 corrupt " + config + ": the config '" + m.Config.Digest.String() + "': its digest is"},
		{"no layer", layer("", gone), "0 missing " + one + ": the layer '" + m.Layers[1].Digest.String() + "' is not there"},
		{"layer rotten", layer("", rotten), "0 corrupt " + one},
		{"another layer", layer("other", nil), "0 corrupt " + one + ": the layer '" + m.Layers[1].Digest.String() + "': its 5 bytes have the digest 'sha256:"},
	} {
		got := findings(t, i, c.with)
		if !strings.HasPrefix(got, c.wants) || strings.Contains(got, "\n") {
			t.Errorf("%s: %s\nwant %s", c.what, got, c.wants)
		}
		r := must(verify.Artifact(t.Context(), must(manifest.Bind(i, c.with)), options()))
		if d := r.Damaged(); len(d) != 1 || d[0] != first.Digest {
			t.Errorf("%s: damaged %v", c.what, d)
		}
	}
	// A layer that two images share is wrong with both.
	shared := with(broken{Image: img, layer: func(l v1.Layer) v1.Layer { return content{l, "", gone} }})
	if got := findings(t, i, shared); strings.Count(got, short(m.Layers[0].Digest)) != 2*2 || !strings.Contains(got, "\n1 missing") {
		t.Errorf("%s", got)
	}
	// What cannot be read is no finding.
	if _, err := verify.Artifact(t.Context(), must(manifest.Bind(i, layer("", errors.New("no answer")))), options()); err == nil {
		t.Error("a failure to read is no failure")
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := verify.Artifact(stopped, must(manifest.Bind(i, all)), options()); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestIndexContradicts(t *testing.T) {
	t.Parallel()
	i, all := family(t)
	entries := i.Entries()
	edit := func(n int, fn func(d *v1.Descriptor)) string {
		t.Helper()
		next := must(i.Edit(manifest.ByDigest(entries[n].Descriptor.Digest), func(d v1.Descriptor) v1.Descriptor {
			fn(&d)
			return d
		}))
		return findings(t, next, all)
	}
	plat := func(s string) func(*v1.Descriptor) {
		return func(d *v1.Descriptor) { d.Platform = must(platform.Parse(s)).V1() }
	}
	for want, got := range map[string]string{
		"0 platform": edit(0, plat("linux/ppc64le")),
		"2 platform": edit(2, plat("linux/arm/v7")),
		"1 corrupt":  edit(1, func(d *v1.Descriptor) { d.Size++ }),
		"1 platform": edit(1, func(d *v1.Descriptor) { d.Platform.Architecture = "" }),
		"3 corrupt":  edit(3, func(d *v1.Descriptor) { d.MediaType = types.DockerManifestSchema2 }),
	} {
		if !strings.HasPrefix(got, want) {
			t.Errorf("want %s: %s", want, got)
		}
	}
	// What a config leaves out contradicts nothing.
	for n, fine := range map[int]string{0: "linux/amd64/v2", 3: "linux/mips64le", 1: "linux/arm64:10.1"} {
		if got := edit(n, plat(fine)); got != "" {
			t.Errorf("%s: %s", fine, got)
		}
	}
}

func TestTwice(t *testing.T) {
	t.Parallel()
	one := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/amd64"})
	two := imgtest.Image(t, imgtest.ImageSpec{Platform: "linux/amd64", Seed: "2"})
	all := children{must(one.Digest()): one, must(two.Digest()): two}
	d := func(img v1.Image, p string) string {
		return fmt.Sprintf(`{"mediaType":"%s","size":%d,"digest":"%s"%s}`, must(img.MediaType()), must(img.Size()), must(img.Digest()), p)
	}
	amd := `,"platform":{"os":"linux","architecture":"amd64"}`
	attests := `,"platform":{"os":"unknown","architecture":"unknown"},"annotations":{"vnd.docker.reference.digest":"sha256:` + strings.Repeat("0", 64) + `","vnd.docker.reference.type":"attestation-manifest"}`
	for list, want := range map[string]string{
		d(one, amd) + "," + d(one, amd):     "1 duplicate " + short(must(one.Digest())) + ": an earlier entry has the same digest",
		d(one, amd) + "," + d(two, amd):     "1 duplicate " + short(must(two.Digest())) + ": the platform 'linux/amd64' is taken by '" + must(one.Digest()).String() + "'",
		d(one, amd) + "," + d(two, ""):      "",
		d(one, amd) + "," + d(two, attests): "1 dangling",
	} {
		i := must(manifest.Parse([]byte(`{"schemaVersion":2,"manifests":[` + list + `]}`)))
		if got := findings(t, i, all); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: want %s", got, want)
		}
		r := must(verify.Artifact(t.Context(), must(manifest.Bind(i, all)), options()))
		if len(r.Damaged()) != 0 {
			t.Errorf("a repair would copy %v", r.Damaged())
		}
	}
}

// TestSize: a layer that somebody vouches for is not read, one of which the
// size is not known is.
func TestSize(t *testing.T) {
	t.Parallel()
	i, all := family(t)
	img := all[i.Entries()[0].Descriptor.Digest].(v1.Image)
	m := must(img.Manifest())
	for _, c := range []struct {
		name  string
		size  int64
		known bool
		err   error
		want  string
		read  bool
	}{
		{"right", m.Layers[1].Size, true, nil, "", false},
		{"wrong", 7, true, nil, fmt.Sprintf("corrupt the layer '%s' has 7 bytes, the manifest says %d", m.Layers[1].Digest, m.Layers[1].Size), false},
		{"unknown", 0, false, nil, "", true},
		{"negative", -1, true, nil, "", true},
		{"gone", 0, false, fault.New(fault.NotFound, "gone"), "missing", false},
	} {
		read := false
		o := options()
		o.Size = func(_ context.Context, l v1.Layer) (int64, bool, error) {
			if must(l.Digest()) != m.Layers[1].Digest {
				return must(l.Size()), true, nil
			}
			return c.size, c.known, c.err
		}
		watched := broken{Image: img, layer: func(l v1.Layer) v1.Layer { return watch{l, &read} }}
		r := must(verify.Artifact(t.Context(), watched, o))
		var got string
		for _, f := range r.Entries[0].Findings {
			got += string(f.Kind) + " " + f.Message
		}
		if !strings.HasPrefix(got, c.want) || c.want == "" && got != "" || read != c.read {
			t.Errorf("%s: %s, read %v", c.name, got, read)
		}
	}
}

type watch struct {
	v1.Layer
	read *bool
}

func (w watch) Compressed() (io.ReadCloser, error) {
	*w.read = true
	rc, err := w.Layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	data, err := io.ReadAll(rc)
	return io.NopCloser(bytes.NewReader(data)), err
}

// TestForeignLayer: a layer that registries may not have is not missed.
func TestForeignLayer(t *testing.T) {
	t.Parallel()
	img := imgtest.Image(t, imgtest.ImageSpec{Platform: "windows/amd64:10.0.1", Foreign: true})
	gone := broken{Image: img, layer: func(l v1.Layer) v1.Layer {
		if must(l.MediaType()).IsDistributable() {
			return l
		}
		return content{l, "", fault.New(fault.NotFound, "gone")}
	}}
	if r := must(verify.Artifact(t.Context(), gone, options())); r.Findings() != 0 {
		t.Errorf("%+v", r.Entries)
	}
}
