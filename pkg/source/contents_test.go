package source_test

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/ocilayout"
	"github.com/multipack/multipack/pkg/source"
)

// contents are the items of s as "NAME NAME|LABEL=DIGEST".
func contents(t *testing.T, d source.Deps, s string) []string {
	t.Helper()
	all, err := source.OpenAll(t.Context(), source.New(d), parsed(t, s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := all.Close(); err != nil {
			t.Error(err)
		}
	})
	var out []string
	for _, item := range all.Items {
		var names []string
		for _, n := range item.Names {
			names = append(names, n.Name())
		}
		out = append(out, strings.Join(names, " ")+"|"+item.Label+"="+must(item.Artifact.Digest()).String())
		check(t, item.Artifact)
	}
	return out
}

func TestOpenAllOfALayout(t *testing.T) {
	t.Parallel()
	one, two := image("linux/amd64"), index(entry(image("linux/arm64"), "linux/arm64"))
	dir := t.TempDir()
	p := must(layout.Write(dir, empty.Index))
	called := func(image, ref string) layout.Option {
		a := map[string]string{ocilayout.RefNameAnnotation: ref}
		if image != "" {
			a[ocilayout.ImageNameAnnotation] = image
		}
		return layout.WithAnnotations(a)
	}
	for _, err := range []error{
		p.AppendImage(one, called("docker.io/library/alpine:3.16", "3.16")),
		p.AppendIndex(two, called("", "v2")),
		p.AppendImage(one, called("", "registry.test/alpine:3.16")),
		p.AppendImage(must(two.Image(must(two.IndexManifest()).Manifests[0].Digest))), // listed beside its index
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"index.docker.io/library/alpine:3.16 registry.test/alpine:3.16|=" + must(one.Digest()).String(),
		"|v2=" + must(two.Digest()).String(),
	}
	archive := file(t, "x.tar", tarOf(t, dir))
	for _, ref := range []string{"oci:" + dir, dir, archive, "oci-archive:" + archive} {
		if got := contents(t, source.Deps{}, ref); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: %q", ref, got)
		}
	}
	raw := tarOf(t, dir)
	if got := contents(t, source.Deps{Stdin: bytes.NewReader(raw)}, "-"); len(got) != 2 {
		t.Errorf("%q", got)
	}
	if got := contents(t, source.Deps{}, "oci:"+dir+":v2"); len(got) != 1 || got[0] != want[1] {
		t.Errorf("%q", got)
	}
	if got := contents(t, source.Deps{}, "oci:"+dir+":alpine:3.16"); len(got) != 1 || !strings.HasPrefix(got[0], "index.docker.io/library/alpine:3.16|=") {
		t.Errorf("%q", got)
	}
	if _, err := source.OpenAll(t.Context(), source.New(source.Deps{}), parsed(t, "oci:"+filepath.Join(dir, "no"))); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
}

func TestOpenAllOfADockerArchive(t *testing.T) {
	t.Parallel()
	a, b := image("linux/amd64"), image("linux/arm64")
	raw := tarOf(t, dockerArchive(t, map[string]v1.Image{"alpine:3.16": a, "registry.test/b:1": b}, false))
	path := file(t, "x.tar", raw)
	for _, ref := range []string{path, "docker-archive:" + path, "-"} {
		got := strings.Join(contents(t, source.Deps{Gzip: zip, Stdin: bytes.NewReader(raw)}, ref), "\n")
		for _, want := range []string{"index.docker.io/library/alpine:3.16|=sha256:", "registry.test/b:1|=sha256:"} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %s", ref, got)
			}
		}
	}
	if got := contents(t, source.Deps{Gzip: zip}, "docker-archive:"+path+":registry.test/b:1"); len(got) != 1 || !strings.HasPrefix(got[0], "registry.test/b:1|=") {
		t.Errorf("%q", got)
	}
	bad := file(t, "bad.tar", []byte("no tar"))
	if _, err := source.OpenAll(t.Context(), source.New(source.Deps{}), parsed(t, bad)); err == nil {
		t.Error("no tar was opened")
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	inner := index(entry(image("linux/s390x"), "linux/s390x"))
	idx := index(entry(image("linux/amd64"), "linux/amd64"), entry(inner, ""))
	dir := layoutOf(t, idx)
	archive := file(t, "x.tar", tarOf(t, dir))
	deps := source.Deps{Lists: found{idx}}
	for _, ref := range []string{"oci:" + dir, "oci-archive:" + archive, archive, "local:x"} {
		for _, want := range []manifest.Artifact{
			idx, inner, must(idx.Image(must(idx.IndexManifest()).Manifests[0].Digest)), must(inner.Image(must(inner.IndexManifest()).Manifests[0].Digest)),
		} {
			o, err := source.Find(t.Context(), source.New(deps), parsed(t, ref), must(want.Digest()))
			if err != nil {
				t.Errorf("%s: %v", ref, err)
				continue
			}
			same(t, o.Artifact, want)
			if err := o.Done(); err != nil {
				t.Error(err)
			}
		}
		if _, err := source.Find(t.Context(), source.New(deps), parsed(t, ref), must(image("linux/amd64").Digest())); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

// found is a store in which every list is one artifact.
type found struct{ a manifest.Artifact }

func (f found) OpenList(context.Context, name.Tag) (manifest.Artifact, error) { return f.a, nil }
