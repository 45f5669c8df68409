package commands

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/local"
	"github.com/multipack/multipack/pkg/manifest/store"
	"github.com/multipack/multipack/pkg/reference"
)

// home is where the store is: $MULTIPACK_HOME, else $XDG_DATA_HOME/multipack
// (which has to be absolute, as its specification says), else
// ~/.local/share/multipack.
func (s *session) home() (string, error) {
	if dir := s.app.Getenv("MULTIPACK_HOME"); dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", fault.New(fault.Failed, "locating the store '%s': %w", dir, err)
		}
		return abs, nil
	}
	if dir := s.app.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "multipack"), nil
	}
	if dir := s.app.Getenv("HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, ".local", "share", "multipack"), nil
	}
	return "", fault.Hint(fault.New(fault.Failed, "locating the store: there is no home folder"), "set MULTIPACK_HOME to a folder")
}

// store is the store of manifest lists. Opening it touches nothing.
func (s *session) store() (*store.Store, error) {
	home, err := s.home()
	if err != nil {
		return nil, err
	}
	return store.Open(home, store.Options{
		Now: s.app.Now,
		Waiting: func(path string) {
			name := strings.TrimSuffix(filepath.Base(path), ".lock")
			s.console.Note("Waiting for another multipack that is changing '%s'", name)
		},
	}), nil
}

// OpenList makes the session a source.Lists: `local:NAME` is opened only
// where one is named, and so is the store.
func (s *session) OpenList(ctx context.Context, list name.Tag) (manifest.Artifact, error) {
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	client, err := s.registry()
	if err != nil {
		return nil, err
	}
	return local.Lists{Store: st, Registry: client}.OpenList(ctx, list)
}

// children are a list's entries with all their content, for publishers.
func (s *session) children(ctx context.Context, list store.List) (*local.Children, error) {
	client, err := s.registry()
	if err != nil {
		return nil, err
	}
	return local.NewChildren(ctx, list, client), nil
}

// listName reads the name of a list, with or without local: in front.
func listName(given string) (name.Tag, error) {
	return reference.ParseListName(strings.TrimPrefix(given, "local:"))
}

// trustNames lets the registries that a command names use plain HTTP where its
// own --insecure says so: that of the list's name, and those of its sources.
func (s *session) trustNames(insecure bool, tag name.Tag, refs []reference.Ref) {
	s.trust(insecure, reference.Ref{Kind: reference.Registry, Name: tag})
	s.trust(insecure, refs...)
}
