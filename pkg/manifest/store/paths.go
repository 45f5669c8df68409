package store

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/pkg/reference"
)

// Names of the OCI image layout specification, and of the store's own.
const (
	indexFile  = "index.json"
	layoutFile = "oci-layout"
	lockSuffix = ".lock"
)

// slugLength bounds the readable part of a folder's name.
const slugLength = 80

// lists is the folder of the lists.
func (s *Store) lists() string { return filepath.Join(s.root, "manifests") }

// pool is where large blobs lie once more, as hard links, so that lists can
// share them.
func (s *Store) pool() string { return filepath.Join(s.root, "blobs", "sha256") }

// dir is a list's folder: readable, and unique by the hash of the full name.
func (s *Store) dir(tag name.Tag) string { return filepath.Join(s.lists(), folder(tag)) }

func folder(tag name.Tag) string {
	sum := sha256.Sum256([]byte(reference.Canonical(tag)))
	slug := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '_'
	}, reference.Familiar(tag))
	if len(slug) > slugLength {
		slug = slug[:slugLength]
	}
	return slug + "-" + hex.EncodeToString(sum[:8])
}

func blobPath(dir string, h v1.Hash) string {
	return filepath.Join(dir, "blobs", h.Algorithm, h.Hex)
}
