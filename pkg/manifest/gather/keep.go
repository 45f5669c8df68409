package gather

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/store"
)

// ingests is how many images are copied into the store at once; each copies
// several layers at once itself.
const ingests = 4

// Keep copies into the store what the list tag has to keep of the items:
// manifests and configs, and the layers of those that can vanish. kept, which
// may be nil, hears of each item that is there. The list is not touched yet.
func Keep(ctx context.Context, st *store.Store, tag name.Tag, items []Item, kept func(Item)) error {
	errs := make([]error, len(items))
	var group errgroup.Group
	group.SetLimit(ingests)
	for i, item := range items {
		group.Go(func() error {
			if errs[i] = context.Cause(ctx); errs[i] != nil {
				return nil
			}
			if errs[i] = st.Ingest(ctx, tag, item.Artifact, item.Deep); errs[i] == nil && kept != nil {
				kept(item)
			}
			return nil
		})
	}
	_ = group.Wait()
	return errors.Join(errs...)
}

// Origins are those of all items, for the list that gets them.
func Origins(items []Item) []store.Origin {
	var out []store.Origin
	for _, item := range items {
		for _, ref := range item.Origins {
			out = append(out, store.Origin{Digest: item.Entry.Descriptor.Digest, Ref: ref})
		}
	}
	return out
}

// Entries are those of all items.
func Entries(items []Item) []manifest.Entry {
	out := make([]manifest.Entry, len(items))
	for i, item := range items {
		out[i] = item.Entry
	}
	return out
}

// Bytes is how much Keep copies of an item where the store has nothing of it
// yet.
func (i Item) Bytes() (int64, error) { return bytesOf(i.Artifact, i.Deep, 0) }

func bytesOf(a manifest.Artifact, deep bool, depth int) (int64, error) {
	if depth > deepest {
		return 0, errors.New("the index lies too deep in other indexes")
	}
	raw, err := a.RawManifest()
	if err != nil {
		return 0, err
	}
	total := int64(len(raw))
	switch a := a.(type) {
	case v1.ImageIndex:
		m, err := v1.ParseIndexManifest(bytes.NewReader(raw))
		if err != nil {
			return 0, err
		}
		for _, d := range m.Manifests {
			var child manifest.Artifact
			if d.MediaType.IsIndex() {
				child, err = a.ImageIndex(d.Digest)
			} else {
				child, err = a.Image(d.Digest)
			}
			if err != nil {
				return 0, fmt.Errorf("reading '%s': %w", d.Digest, err)
			}
			n, err := bytesOf(child, deep, depth+1)
			if err != nil {
				return 0, err
			}
			total += n
		}
	default:
		m, err := v1.ParseManifest(bytes.NewReader(raw))
		if err != nil {
			return 0, err
		}
		total += m.Config.Size
		for _, l := range m.Layers {
			if deep && (l.MediaType.IsDistributable() || len(l.URLs) == 0) {
				total += l.Size
			}
		}
	}
	return total, nil
}
