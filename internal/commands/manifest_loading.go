package commands

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/gather"
	"github.com/multipack/multipack/pkg/manifest/local"
	"github.com/multipack/multipack/pkg/manifest/store"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/source"
)

// loading is one list on its way into the store.
type loading struct {
	tag   name.Tag
	index manifest.Index
	items []gather.Item
	// replace lets it take the place of a list that exists.
	replace bool
}

// pickToLoad is the part of an item that is wanted. A list is an index: an image
// becomes one where the flags want an index.
func (s *session) pickToLoad(ref reference.Ref, item source.Named, flags pickFlags) (manifest.Artifact, error) {
	pick := s.pick
	if _, isImage := item.Artifact.(v1.Image); isImage {
		pick = pickQuietly
		if flags.asIndex {
			s.console.Note("'%s' is an image: it becomes the only entry of its list", reference.Familiar(item.Names[0]))
		}
	}
	picked, err := pick(found{ref: ref, given: ref.Given, artifact: item.Artifact}, flags)
	if err != nil {
		return nil, fmt.Errorf("loading '%s': %w", ref, err)
	}
	return picked, nil
}

// newLoading plans a list. One that exists stays, unless it is to be replaced or
// is the same.
func (s *session) newLoading(ctx context.Context, ref reference.Ref, tag name.Tag, idx v1.ImageIndex, replace bool) (loading, error) {
	raw, err := idx.RawManifest()
	if err != nil {
		return loading{}, err
	}
	parsed, err := manifest.Parse(raw)
	if err != nil {
		return loading{}, err
	}
	if !replace {
		if replace, err = s.isLoaded(ctx, tag, parsed); err != nil {
			return loading{}, err
		}
	}
	l := loading{tag: tag, index: parsed, replace: replace}
	for _, e := range parsed.Entries() {
		item := gather.Item{Entry: e, Deep: true}
		if ref.Kind != reference.Stdio {
			item.Origins = []string{local.Origin(ref)}
		}
		if e.IsIndex {
			item.Artifact, err = idx.ImageIndex(e.Descriptor.Digest)
		} else {
			item.Artifact, err = idx.Image(e.Descriptor.Digest)
		}
		if err != nil {
			return loading{}, err
		}
		l.items = append(l.items, item)
	}
	return l, nil
}

// isLoaded reports whether the list is there already as it is to be; one that is
// there with something else in it is a fault.Conflict.
func (s *session) isLoaded(ctx context.Context, tag name.Tag, idx manifest.Index) (bool, error) {
	st, err := s.store()
	if err != nil {
		return false, err
	}
	h, err := idx.Digest()
	if err != nil {
		return false, err
	}
	if have, err := st.Load(ctx, tag); err == nil && have.Digest() == h {
		return true, nil
	}
	exists, err := st.Exists(ctx, tag)
	if err != nil || !exists {
		return false, err
	}
	return false, fault.Hint(fault.New(fault.Conflict, "loading manifest list '%s': the list exists already, with something else in it", reference.Familiar(tag)),
		"use --replace, or give it another name: 'multipack manifest load -i … NAME'")
}

// storeList writes one list: its content first.
func (s *session) storeList(ctx context.Context, l loading) error {
	st, err := s.store()
	if err != nil {
		return err
	}
	progress := s.console.Progress()
	defer progress.Close()
	if err := gather.Keep(ctx, st, l.tag, l.items, func(i gather.Item) {
		progress.Finished("Copied '%s' into the store", i.Entry)
	}); err != nil {
		return err
	}
	_, err = st.Create(ctx, l.tag, l.index, store.CreateOptions{Replace: l.replace, Origins: gather.Origins(l.items)})
	return err
}

// daemonTarget is an image of the Docker engine with several names.
func daemonTarget(names []name.Tag) []publish.Target {
	refs := make([]reference.Ref, len(names))
	for i, n := range names {
		refs[i] = reference.Ref{Kind: reference.Daemon, Name: n, Tag: n.TagStr(), Given: "docker-daemon:" + reference.Familiar(n)}
	}
	return []publish.Target{{Ref: refs[0], Tags: refs[1:]}}
}
