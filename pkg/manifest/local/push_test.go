package local_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/local"
	"github.com/multipack/multipack/pkg/manifest/store"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/registry"
	"github.com/multipack/multipack/testhelpers/imgtest"
	"github.com/multipack/multipack/testhelpers/regtest"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newClient(t *testing.T) *registry.Client {
	t.Helper()
	c, err := registry.New(registry.Config{
		Retries: 0, Getenv: func(string) string { return "" }, Backoff: func(int) time.Duration { return 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

func tag(s string) name.Tag { return must(reference.ParseListName(s)) }

// put writes an artifact to a registry by digest.
func put(t *testing.T, c *registry.Client, repo name.Repository, a manifest.Artifact) {
	t.Helper()
	if _, err := (&publish.Registry{Client: c}).PushContent(t.Context(), a, repo); err != nil {
		t.Fatal(err)
	}
}

// part is something that may be added to a list.
type part struct {
	entry    manifest.Entry
	artifact manifest.Artifact
	origin   store.Origin
	deep     bool
}

// parts are the images and attestations of an index, half of them in two
// repositories of a registry, the others nowhere but at hand.
func parts(t *testing.T, reg *regtest.Registry, c *registry.Client) []part {
	t.Helper()
	idx := imgtest.Index(t, imgtest.IndexSpec{
		Images:       imgtest.Of("x", "linux/amd64", "linux/arm64", "linux/arm/v6", "linux/s390x", "windows/amd64:10.0.1", "windows/amd64:10.0.2").Images,
		Nested:       []imgtest.IndexSpec{imgtest.Of("nested", "linux/riscv64", "linux/386")},
		Attestations: true,
	})
	var out []part
	for n, e := range must(manifest.Parse(must(idx.RawManifest()))).Entries() {
		p := part{entry: e, deep: n%2 == 1}
		if e.IsIndex {
			p.artifact = must(idx.ImageIndex(e.Descriptor.Digest))
		} else {
			p.artifact = must(idx.Image(e.Descriptor.Digest))
		}
		if !p.deep {
			repo := reg.Repo([]string{"one/app", "two/app"}[n/2%2])
			put(t, c, repo, p.artifact)
			p.origin = store.Origin{Digest: e.Descriptor.Digest, Ref: "docker://" + repo.Digest(e.Descriptor.Digest.String()).Name()}
		}
		out = append(out, p)
	}
	return out
}

// edit makes one random change of a list.
func edit(ctx context.Context, s *store.Store, r *rand.Rand, all []part, list name.Tag) error {
	p := all[r.IntN(len(all))]
	var origins []store.Origin
	if r.IntN(2) == 0 {
		if err := s.Ingest(ctx, list, p.artifact, p.deep); err != nil {
			return err
		}
		if !p.deep {
			origins = append(origins, p.origin)
		}
		return s.Update(ctx, list, func(i manifest.Index) (manifest.Index, error) {
			next, _, err := i.AddEntries(manifest.AddOptions{Replace: true}, p.entry)
			return next, err
		}, origins...)
	}
	return s.Update(ctx, list, func(i manifest.Index) (manifest.Index, error) {
		key := fmt.Sprint("k", r.IntN(3))
		switch r.IntN(5) {
		case 0:
			return i.Annotate(manifest.Annotation{Key: key, Value: fmt.Sprint(r.IntN(100)), Delete: r.IntN(3) == 0}), nil
		case 1:
			return i.WithArtifactType([]string{"", "application/x.y"}[r.IntN(2)]), nil
		case 2:
			return i.WithSubject([]*v1.Descriptor{nil, &p.entry.Descriptor}[r.IntN(2)])
		}
		entries := i.Entries()
		if len(entries) == 0 {
			return i, nil
		}
		victim := manifest.ByDigest(entries[r.IntN(len(entries))].Descriptor.Digest)
		if r.IntN(2) == 0 {
			next, _, err := i.Remove(victim)
			return next, err
		}
		return i.Edit(victim, func(d v1.Descriptor) v1.Descriptor {
			d.Annotations = manifest.Apply(d.Annotations, []manifest.Annotation{{Key: key, Value: fmt.Sprint(r.IntN(100))}})
			return d
		})
	})
}

// TestPushSendsTheBytesOfTheStore: after any sequence of edits, in both
// formats, the registry has what the store had, and every child below it.
func TestPushSendsTheBytesOfTheStore(t *testing.T) {
	t.Parallel()
	for what, start := range map[string]func(testing.TB, ...regtest.Option) *regtest.Registry{"strict": regtest.New, "distribution": regtest.Distribution} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			reg, c := start(t), newClient(t)
			all := parts(t, reg, c)
			s := store.Open(t.TempDir(), store.Options{})
			for seed := range uint64(24) {
				format := []manifest.Format{manifest.FormatOCI, manifest.FormatDocker}[seed%2]
				pushOnce(t, s, reg, c, all, rand.New(rand.NewPCG(seed, 1)), tag(fmt.Sprint("list", seed)), format)
			}
		})
	}
}

func pushOnce(t *testing.T, s *store.Store, reg *regtest.Registry, c *registry.Client, all []part, r *rand.Rand, list name.Tag, format manifest.Format) {
	t.Helper()
	ctx := t.Context()
	must(s.Create(ctx, list, manifest.New(format.MediaType()), store.CreateOptions{}))
	for range r.IntN(20) {
		if err := edit(ctx, s, r, all, list); err != nil {
			t.Fatal(err)
		}
	}
	l := must(s.Load(ctx, list))
	want := must(l.Index.Raw())
	idx := must(local.NewIndex(ctx, l, c))
	to := must(reference.Parse("docker://"+reg.Host()+"/dst/"+list.RepositoryStr()+":1", nil))
	report, err := (&publish.Registry{Client: c}).Publish(ctx, idx, publish.Target{Ref: to})
	if err != nil {
		t.Fatalf("%s: %v\n%s", list, err, want)
	}
	got, err := c.Manifest(ctx, to.Name)
	if err != nil || !bytes.Equal(got.Raw, want) || got.MediaType != format.MediaType() || report.Digest != l.Digest() {
		t.Errorf("%s: pushed\n%s\nwant\n%s\n%v", list, got.Raw, want, err)
	}
	for _, e := range l.Index.Entries() {
		if _, err := c.Head(ctx, to.Name.Context().Digest(e.Descriptor.Digest.String())); err != nil {
			t.Errorf("%s: %v", list, err)
		}
	}
	// A part is pushed with the bytes that it was chosen with, too.
	if ps := l.Index.Platforms(); len(ps) > 0 {
		pushPart(t, c, idx, to, ps[r.IntN(len(ps))])
	}
}

func pushPart(t *testing.T, c *registry.Client, idx v1.ImageIndex, to reference.Ref, p platform.Platform) {
	t.Helper()
	wanted := must(manifest.ParseWanted([]string{p.String()}, p))
	picked := must(manifest.Pick(idx, wanted, manifest.PickOptions{AsIndex: true}))
	to = to.WithTag("part")
	if _, err := (&publish.Registry{Client: c}).Publish(t.Context(), picked, publish.Target{Ref: to}); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Manifest(t.Context(), to.Name); err != nil || !bytes.Equal(got.Raw, must(picked.RawManifest())) {
		t.Errorf("%s of %v: %v", p, to, err)
	}
}
