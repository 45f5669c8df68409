// Package local opens lists of the local store as artifacts with all their
// content. The store keeps the manifests and configs of images that are in a
// registry and leaves their layers there; here both come together: what the
// store holds is read from it, anything else from the registry that an entry
// was added from, at the moment when it is asked for.
package local

import (
	"context"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/store"
	"github.com/multipack/multipack/pkg/reference"
)

// Registry opens what a registry holds under a digest: a v1.Image or a
// v1.ImageIndex. pkg/registry's Client is one.
type Registry interface {
	Open(ctx context.Context, ref name.Reference) (any, error)
}

// Lists opens lists by their names; it is a source.Lists.
type Lists struct {
	Store    *store.Store
	Registry Registry
}

// OpenList opens a list as an *Index; fault.NotFound where there is none of
// that name. ctx has to live as long as what is opened is used.
func (l Lists) OpenList(ctx context.Context, list name.Tag) (manifest.Artifact, error) {
	got, err := l.Store.Load(ctx, list)
	if err != nil {
		return nil, err
	}
	return NewIndex(ctx, got, l.Registry)
}

// imageIndex is v1.ImageIndex under a name that, embedded, does not hide the
// interface's method of the same name.
type imageIndex = v1.ImageIndex

// Index is a list as a v1.ImageIndex with all its content.
type Index struct {
	imageIndex
	// List is the list as it was when it was read.
	List store.List
}

// NewIndex is the index of a list, its bytes exactly the list's.
func NewIndex(ctx context.Context, list store.List, registry Registry) (*Index, error) {
	bound, err := manifest.Bind(list.Index, NewChildren(ctx, list, registry))
	if err != nil {
		return nil, err
	}
	return &Index{imageIndex: bound, List: list}, nil
}

// Children gives the entries of a list with all their content; it is a
// manifest.Children, for the list's index and for what is derived from it.
//
// Layers of an entry that was added from a registry are *remote.MountableLayer
// of its repository, also where the store holds them. Nothing is asked of a
// registry before content is read that the store does not hold.
type Children struct {
	ctx      context.Context // v1.Image and v1.Layer have no place for one
	list     store.List
	registry Registry
}

// NewChildren gives the children of a list. ctx has to live as long as they
// are used.
func NewChildren(ctx context.Context, list store.List, registry Registry) *Children {
	return &Children{ctx: ctx, list: list, registry: registry}
}

// Child implements manifest.Children: a v1.Image or a v1.ImageIndex. A
// manifest that neither the store nor a registry holds is a fault.NotFound.
func (c *Children) Child(h v1.Hash) (manifest.Artifact, error) {
	f := &fallback{children: c, from: Repositories(c.list, h)}
	a, err := c.list.Child(h)
	if err != nil {
		return f.instead(h, err)
	}
	return f.wrap(h, a)
}

// originScheme marks the references of registries among the origins of a list's
// entries. Without it a file's name could be taken for an image's.
const originScheme = "docker://"

// Origin is how a list remembers that an entry was added from ref. It is a
// reference again, which names the same, and selects the entry.
func Origin(ref reference.Ref) string {
	if ref.Kind == reference.Registry {
		return originScheme + reference.Canonical(ref.Name)
	}
	return ref.Given
}

// Repositories are the repositories of registries that a list's entry was
// added from, the oldest first.
func Repositories(list store.List, h v1.Hash) []name.Repository {
	var out []name.Repository
	seen := map[string]bool{}
	for _, origin := range list.Origins(h) {
		given, ok := strings.CutPrefix(origin, originScheme)
		if !ok {
			continue
		}
		ref, err := reference.ParseName(given)
		if err != nil || seen[ref.Context().Name()] {
			continue
		}
		seen[ref.Context().Name()] = true
		out = append(out, ref.Context())
	}
	return out
}

// nowhere is the error for content that no registry can be asked for.
func nowhere(h v1.Hash, err error) error {
	return fault.New(fault.NotFound, "reading '%s': the list does not hold it, and it was added from no registry: %w", h, err)
}
