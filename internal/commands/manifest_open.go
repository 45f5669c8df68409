package commands

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/local"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/source"
)

// found is what LIST|REF leads to.
type found struct {
	// ref is where it was found; given is how the user wrote it.
	ref      reference.Ref
	given    string
	artifact manifest.Artifact
	// list is set for a list of the store.
	list *local.Index
}

// origins tell what the entries of a list were added from; nil for what is none.
func (f found) origins() manifest.Origins {
	if f.list == nil {
		return nil
	}
	return f.list.List.Origins
}

// find opens what LIST|REF names: the list of that name in the store, else what
// the reference leads to. A name that is nowhere is a fault.NotFound.
func (s *session) find(ctx context.Context, given string) (found, error) {
	return s.findBy(ctx, given, s.open)
}

// findBy is find with another way to open: open, or look where the artifact is
// only to be shown.
func (s *session) findBy(ctx context.Context, given string, open func(context.Context, reference.Ref) (source.Opened, error)) (found, error) {
	ref, err := s.localFirst(ctx, given)
	if err != nil {
		return found{}, err
	}
	opened, err := open(ctx, ref)
	if err == nil {
		return newFound(given, opened), nil
	}
	if ref.Kind == reference.Registry && !strings.HasPrefix(given, dockerScheme) && ref.Digest == "" {
		err = fmt.Errorf("looking for '%s', which is no list in the local store: %w", given, err)
	}
	if ref.Kind == reference.Registry && unreachable(err) && !namesHost(given) {
		// A bare name is a list's in the first place, and there is no such list:
		// that the registry it stands for cannot be asked changes nothing.
		err = fault.As(fault.NotFound, err)
	}
	if ref.Kind == reference.Registry && fault.Is(err, fault.NotFound) { // a path is no misspelt list
		err = fault.Hint(err, "'multipack manifest ls' shows the lists there are")
	}
	return found{}, err
}

// unreachable reports whether there was no answer at all.
func unreachable(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect")
}

// namesHost reports whether a name says its registry, as Docker tells hosts
// from repositories.
func namesHost(given string) bool {
	first, _, more := strings.Cut(strings.TrimPrefix(given, dockerScheme), "/")
	return more && (strings.ContainsAny(first, ".:") || first == "localhost")
}

func newFound(given string, opened source.Opened) found {
	f := found{ref: opened.Ref, given: given, artifact: opened.Artifact}
	f.list, _ = opened.Artifact.(*local.Index)
	return f
}

// localFirst parses LIST|REF; the name of a list that exists is that list.
func (s *session) localFirst(ctx context.Context, given string) (reference.Ref, error) {
	ref, err := parseRef(given)
	if err != nil {
		return reference.Ref{}, err
	}
	tag, err := reference.ParseListName(given)
	if err != nil {
		return ref, nil // paths, schemes and digests
	}
	st, err := s.store()
	if err != nil {
		return ref, nil // no store, no list
	}
	exists, err := st.Exists(ctx, tag)
	if err != nil || !exists {
		return ref, err
	}
	return localRef(tag, given), nil
}

// localRef is the reference of a list.
func localRef(tag name.Tag, given string) reference.Ref {
	return reference.Ref{Kind: reference.Local, Name: tag, Given: given}
}
