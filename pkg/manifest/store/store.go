// Package store keeps named image indexes on disk, each as an OCI image layout
// of its own that other tools read. It never uses the network.
//
// A list's index.json is the only file that changes. Its first entry points at
// the index, whose blob holds the exact bytes that a push sends; the others are
// the index's children, annotated with the references they were added from.
// Blobs are written before what points at them and index.json last, so that a
// crash leaves the old list or the new one.
package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/fsx"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/reference"
)

// Options say what a store works with; the zero value is right outside tests.
type Options struct {
	// FS is where files are written; its Hook injects failures.
	FS fsx.FS
	// Now is the clock that ages are measured by; nil is time.Now.
	Now func() time.Time
	// Waiting is told once per operation that a lock is held by another process,
	// with the lock file's path; nil hears nothing.
	Waiting func(path string)
}

// Store is a folder of lists. It is safe for concurrent use, by any number of
// processes.
type Store struct {
	root string
	o    Options
}

// Open gives the store under root, an absolute path that the caller chose.
// Nothing is read or created yet.
func Open(root string, o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Waiting == nil {
		o.Waiting = func(string) {}
	}
	return &Store{root: root, o: o}
}

// Origin says which reference an entry was added from.
type Origin struct {
	Digest v1.Hash
	// Ref is the reference as a Selector of the entry may name it.
	Ref string
}

// CreateOptions say how a list is created.
type CreateOptions struct {
	// Replace puts the new list in the place of an existing one.
	Replace bool
	// Origins of the entries; those of other digests are ignored.
	Origins []Origin
}

// Create writes a new list. One that exists is a fault.Conflict, unless
// Replace is set: then it is replaced in one step.
func (s *Store) Create(ctx context.Context, tag name.Tag, idx manifest.Index, o CreateOptions) (List, error) {
	var out List
	err := s.locked(ctx, tag, func(dir string) error {
		old, err := s.read(dir, reference.Canonical(tag))
		switch {
		case errors.Is(err, errNoList):
			old = List{}
		case o.Replace:
			// Whatever is there, readable or not, is not needed any more.
		case err != nil:
			return err
		default:
			return fault.Hint(fault.New(fault.Conflict, "the list exists already"),
				"use --replace to start it afresh, or 'multipack manifest remove %s'", reference.Familiar(tag))
		}
		old.origins = nil
		out, err = s.commit(ctx, dir, tag, old, idx, o.Origins)
		return err
	})
	if err != nil {
		return List{}, fmt.Errorf("creating manifest list '%s': %w", reference.Familiar(tag), err)
	}
	return out, nil
}

// Load reads a list. One that does not exist is a fault.NotFound that names
// those with similar names; one that cannot be read is an error with a hint.
func (s *Store) Load(ctx context.Context, tag name.Tag) (List, error) {
	l, err := s.read(s.dir(tag), reference.Canonical(tag))
	if errors.Is(err, errNoList) {
		return List{}, s.notFound(ctx, tag)
	}
	if err != nil {
		return List{}, fmt.Errorf("opening manifest list '%s': %w", reference.Familiar(tag), err)
	}
	return l, nil
}

// Exists reports whether there is a list of the name, readable or not.
func (s *Store) Exists(_ context.Context, tag name.Tag) (bool, error) {
	_, err := os.Stat(filepath.Join(s.dir(tag), indexFile))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err == nil, nil
	}
	return false, fmt.Errorf("opening manifest list '%s': %w", reference.Familiar(tag), err)
}

// Update replaces a list by what fn makes of it, in one transaction across
// processes: fn sees every change made before. fn must not use the network;
// when it fails nothing changes and its error is given back. The new entries'
// origins are remembered beside those known. Errors: as Load.
func (s *Store) Update(ctx context.Context, tag name.Tag, fn func(manifest.Index) (manifest.Index, error), origins ...Origin) error {
	_, err := s.UpdateList(ctx, tag, func(l List) (manifest.Index, error) { return fn(l.Index) }, origins...)
	return err
}

// UpdateList is Update for a function that needs the entries' origins; it
// gives the list as it is now. The format of a list never changes: an index of
// another media type is an error.
func (s *Store) UpdateList(ctx context.Context, tag name.Tag, fn func(List) (manifest.Index, error), origins ...Origin) (List, error) {
	if ok, err := s.Exists(ctx, tag); err != nil {
		return List{}, err
	} else if !ok {
		return List{}, s.notFound(ctx, tag) // and no lock file for what is not there
	}
	var out List
	err := s.locked(ctx, tag, func(dir string) error {
		old, err := s.read(dir, reference.Canonical(tag))
		if err != nil {
			return err
		}
		next, err := fn(old)
		if err != nil {
			return err
		}
		if next.MediaType() != old.Index.MediaType() {
			return fmt.Errorf("a list keeps the format it was created with, '%s'", old.Index.Format())
		}
		out, err = s.commit(ctx, dir, tag, old, next, origins)
		return err
	})
	if errors.Is(err, errNoList) {
		return List{}, s.notFound(ctx, tag)
	}
	if err != nil {
		return List{}, fmt.Errorf("updating manifest list '%s': %w", reference.Familiar(tag), err)
	}
	return out, nil
}

// Remove deletes a list with its blobs, readable or not. One that does not
// exist is a fault.NotFound as Load's.
func (s *Store) Remove(ctx context.Context, tag name.Tag) error {
	if ok, err := s.Exists(ctx, tag); err != nil {
		return err
	} else if !ok {
		return s.notFound(ctx, tag)
	}
	err := s.locked(ctx, tag, func(dir string) error { return s.o.FS.RemoveTree(dir) })
	if err != nil {
		return fmt.Errorf("removing manifest list '%s': %w", reference.Familiar(tag), err)
	}
	return nil
}

// commit writes next as the list in dir: its blob, then index.json. The blob
// of the index that is replaced goes last; a crash before that leaves it to Prune.
func (s *Store) commit(ctx context.Context, dir string, tag name.Tag, old List, next manifest.Index, origins []Origin) (List, error) {
	if err := context.Cause(ctx); err != nil {
		return List{}, err
	}
	raw, err := next.Raw()
	if err != nil {
		return List{}, err
	}
	doc, err := newDocument(tag, next, mergedOrigins(next, old.origins, origins))
	if err != nil {
		return List{}, err
	}
	encoded, err := doc.encode()
	if err != nil {
		return List{}, err
	}
	if string(encoded) != string(old.document) {
		if err := s.write(dir, doc, raw, encoded); err != nil {
			return List{}, err
		}
		s.dropIndex(dir, old, doc)
	}
	return s.list(dir, tag, doc, encoded, next), nil
}

func (s *Store) write(dir string, doc document, raw, encoded []byte) error {
	if err := s.prepare(dir); err != nil {
		return err
	}
	if err := s.o.FS.WriteFile(blobPath(dir, doc.index().Digest), raw, 0o666); err != nil {
		return err
	}
	return s.o.FS.WriteFile(filepath.Join(dir, indexFile), encoded, 0o666)
}

// dropIndex removes the blob of an index that has just been replaced, unless
// the new one points at it, or at an index that might. The list is written by
// now: a blob that stays is no failure, Prune drops it.
func (s *Store) dropIndex(dir string, old List, doc document) {
	if old.document != nil && !doc.mayNeed(old.digest) {
		_ = s.o.FS.Remove(blobPath(dir, old.digest))
	}
}

// prepare makes dir a layout without an index.json.
func (s *Store) prepare(dir string) error {
	if err := s.o.FS.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o777); err != nil {
		return err
	}
	file := filepath.Join(dir, layoutFile)
	if _, err := os.Stat(file); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.o.FS.WriteFile(file, []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o666)
}
