package registry_test

import (
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/pkg/registry"
	"github.com/multipack/multipack/testhelpers/regtest"
)

func TestKnowsWhatItSaw(t *testing.T) {
	t.Parallel()
	r := regtest.New(t)
	writer := newClient(t, registry.Config{})
	repo := r.Repo("a")
	raw := imageOf(t, writer, repo.Tag("v1"), content(81, 10))
	d := repo.Digest(sum(raw).String())
	if !writer.Knows(d) || writer.Knows(r.Repo("b").Digest(sum(raw).String())) {
		t.Error("what was put is known there, and nowhere else")
	}
	got, looked := newClient(t, registry.Config{}), newClient(t, registry.Config{})
	if got.Knows(d) {
		t.Error("a client knows what it never saw")
	}
	if _, err := got.Manifest(t.Context(), repo.Tag("v1")); err != nil || !got.Knows(d) {
		t.Errorf("what was read is not known, %v", err)
	}
	if _, err := looked.Head(t.Context(), repo.Tag("v1")); err != nil || !looked.Knows(d) {
		t.Errorf("what was looked up is not known, %v", err)
	}
	if err := writer.PutManifest(t.Context(), repo.Tag("v2"), append(raw, '\n'), types.OCIManifestSchema1); err != nil {
		t.Fatal(err)
	}
	if err := writer.Delete(t.Context(), repo.Tag("v2")); err != nil || writer.Knows(d) {
		t.Errorf("what may have been collected is known, %v", err)
	}
}
