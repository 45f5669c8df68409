package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/fsx"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/ocilayout"
	"github.com/multipack/multipack/pkg/reference"
)

// errNoList is the reason when a list does not exist.
var errNoList = errors.New("there is no such list")

// List is one list as it was when it was read. It is a manifest.Children.
type List struct {
	Name  name.Tag
	Index manifest.Index
	// Modified is when the list was changed last.
	Modified time.Time

	dir      string
	digest   v1.Hash
	document []byte // index.json
	origins  map[v1.Hash][]string
	layout   func() (*ocilayout.Layout, error)
}

// Dir is the list's OCI image layout.
func (l List) Dir() string { return l.dir }

// Digest is that of the index.
func (l List) Digest() v1.Hash { return l.digest }

// Origins gives the references that an entry was added from, the oldest
// first; it is a manifest.Origins.
func (l List) Origins(h v1.Hash) []string { return slices.Clone(l.origins[h]) }

// Child opens an entry from the store: a v1.Image or v1.ImageIndex, verified
// while it is read. What the store does not hold, such as the layers of an
// image that a registry has, is a fault.NotFound when it is asked for.
func (l List) Child(h v1.Hash) (manifest.Artifact, error) {
	for _, e := range l.Index.Entries() {
		if e.Descriptor.Digest != h {
			continue
		}
		layout, err := l.layout()
		if err != nil {
			return nil, err
		}
		return layout.Artifact(e.Descriptor)
	}
	return nil, fault.New(fault.NotFound, "opening '%s': the list '%s' has no such entry", h, reference.Familiar(l.Name))
}

// Bind is the index over the children that the store holds.
func (l List) Bind() (v1.ImageIndex, error) { return manifest.Bind(l.Index, l) }

// Blob gives the content of a blob that the list holds, verified while it is
// read; fault.NotFound where it holds none.
func (l List) Blob(h v1.Hash) (io.ReadCloser, error) {
	layout, err := l.layout()
	if err != nil {
		return nil, err
	}
	rc, _, err := layout.Blob(h)
	return rc, err
}

// HasBlob gives the size of a blob and whether the list holds it; its content
// is not looked at.
func (l List) HasBlob(h v1.Hash) (int64, bool) {
	info, err := os.Stat(blobPath(l.dir, h))
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	return info.Size(), true
}

// Stored is how many bytes of blobs the list's folder holds, those included that
// other lists share.
func (l List) Stored() (int64, error) {
	entries, err := os.ReadDir(filepath.Dir(blobPath(l.dir, l.digest)))
	if err != nil {
		return 0, fmt.Errorf("measuring manifest list '%s': %w", reference.Familiar(l.Name), err)
	}
	var total int64
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("measuring manifest list '%s': %w", reference.Familiar(l.Name), err)
		}
		total += info.Size()
	}
	return total, nil
}

// IsComplete reports whether the list holds all that an entry needs: manifest,
// config and layers, and for an index all that its entries need.
func (l List) IsComplete(h v1.Hash) bool {
	missing := false
	w := walker{s: &Store{}, dir: l.dir, visit: func(v1.Hash) {}, missing: func(v1.Hash) { missing = true }}
	return w.walk(h) == nil && !missing
}

func (s *Store) list(dir string, tag name.Tag, doc document, raw []byte, idx manifest.Index) List {
	l := List{Name: tag, Index: idx, dir: dir, digest: doc.index().Digest, document: raw, origins: doc.origins()}
	l.layout = sync.OnceValues(func() (*ocilayout.Layout, error) { return ocilayout.Open(dir) })
	if info, err := os.Stat(filepath.Join(dir, indexFile)); err == nil {
		l.Modified = info.ModTime()
	}
	return l
}

// read reads the list in dir, which must be the named one (canonical; "" is
// any); errNoList where there is none. No lock is needed: when the index goes
// while it is read, another index.json says where the new one is.
func (s *Store) read(dir, want string) (List, error) {
	var last []byte
	for {
		raw, doc, err := s.readDocument(dir)
		if err != nil {
			return List{}, err
		}
		if want != "" && doc.listName() != want {
			return List{}, corrupt(dir, want, fmt.Errorf("'%s' is of the list '%s'", filepath.Join(dir, indexFile), doc.listName()))
		}
		tag, err := reference.ParseListName(doc.listName())
		if err != nil {
			return List{}, corrupt(dir, want, err)
		}
		idx, err := s.readIndex(dir, doc)
		if errors.Is(err, fs.ErrNotExist) && !bytes.Equal(raw, last) {
			last = raw
			continue
		}
		if err != nil {
			return List{}, corrupt(dir, doc.listName(), err)
		}
		return s.list(dir, tag, doc, raw, idx), nil
	}
}

// readDocument reads index.json. Only a file that is not there means that
// there is no list.
func (s *Store) readDocument(dir string) ([]byte, document, error) {
	raw, err := s.o.FS.ReadFile(filepath.Join(dir, indexFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, document{}, errNoList
	}
	if err != nil {
		return nil, document{}, corrupt(dir, "", err)
	}
	doc, err := parseDocument(raw)
	if err != nil {
		return nil, document{}, corrupt(dir, "", fmt.Errorf("'%s' cannot be read: %w", filepath.Join(dir, indexFile), err))
	}
	return raw, doc, nil
}

func (s *Store) readIndex(dir string, doc document) (manifest.Index, error) {
	path := blobPath(dir, doc.index().Digest)
	raw, err := s.o.FS.ReadFile(path)
	if err != nil {
		return manifest.Index{}, err
	}
	h, _, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return manifest.Index{}, err
	}
	if h != doc.index().Digest {
		return manifest.Index{}, fmt.Errorf("'%s' is corrupt: its digest is '%s'", path, h)
	}
	return manifest.Parse(raw)
}

// corrupt is the error for a list that is there and cannot be read: never an
// empty list.
func corrupt(dir, listName string, err error) error {
	err = fault.As(fault.Failed, err)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fault.Hint(err, "check the permissions of '%s'", dir)
	case listName == "":
		return fault.Hint(err, "repair the file, or remove the folder '%s' and create the list again", dir)
	}
	if tag, e := reference.ParseListName(listName); e == nil {
		listName = reference.Familiar(tag)
	}
	return fault.Hint(err, "'multipack manifest remove %s' drops the damaged list, 'multipack manifest create --replace %s' starts it afresh", listName, listName)
}

// List gives all lists, sorted by name. Lists that cannot be read do not hide
// the others: those are given beside an error that joins one for each.
func (s *Store) List(ctx context.Context) ([]List, error) {
	folders, err := s.folders()
	if err != nil {
		return nil, fmt.Errorf("listing '%s': %w", s.lists(), err)
	}
	var out []List
	var errs []error
	for _, dir := range folders {
		if err := context.Cause(ctx); err != nil {
			return out, err
		}
		l, err := s.read(dir, "")
		switch {
		case errors.Is(err, errNoList): // never created, or removed while we look
		case err != nil:
			errs = append(errs, fmt.Errorf("opening the manifest list in '%s': %w", dir, err))
		default:
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b List) int {
		return strings.Compare(reference.Canonical(a.Name), reference.Canonical(b.Name))
	})
	return out, errors.Join(errs...)
}

// folders are the paths of the folders that may hold a list.
func (s *Store) folders() ([]string, error) {
	entries, err := os.ReadDir(s.lists())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() && !fsx.IsTemp(e.Name()) {
			out = append(out, filepath.Join(s.lists(), e.Name()))
		}
	}
	return out, nil
}
