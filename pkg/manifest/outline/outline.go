// Package outline reads what an index consists of, down to its layers, from
// manifests alone: no config and no layer is opened.
package outline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
)

// opens is how many manifests are read at once.
const opens = 8

// deepest bounds indexes within indexes; real ones have one or two levels.
const deepest = 16

// Kind says what a manifest is.
type Kind string

// The kinds. An artifact is a manifest whose config is no image's.
const (
	Index       Kind = "index"
	Image       Kind = "image"
	Attestation Kind = "attestation"
	Artifact    Kind = "artifact"
)

// Node is one manifest with what it points at.
type Node struct {
	Kind Kind `json:"kind"`
	// Platform is what the entry says, "" where it says nothing.
	Platform     string `json:"platform,omitempty"`
	Digest       string `json:"digest"`
	MediaType    string `json:"mediaType"`
	ArtifactType string `json:"artifactType,omitempty"`
	// Size is that of the manifest, Bytes that of it and of everything below it,
	// each blob once.
	Size  int64 `json:"size"`
	Bytes int64 `json:"bytes"`
	// AttestationOf is the image that an attestation is about.
	AttestationOf string `json:"attestationOf,omitempty"`
	// Missing is set where the manifest is not there; Repeated where it stands
	// further up, with all that is below it.
	Missing  bool   `json:"missing,omitempty"`
	Repeated bool   `json:"repeated,omitempty"`
	Config   *Blob  `json:"config,omitempty"`
	Layers   []Blob `json:"layers,omitempty"`
	Entries  []Node `json:"entries,omitempty"`
}

// Blob is a config or a layer.
type Blob struct {
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
	MediaType string `json:"mediaType"`
	// SharedWith is the first manifest further up that has the blob too: its
	// platform, else the beginning of its digest.
	SharedWith string `json:"sharedWith,omitempty"`
	// Elsewhere is set for layers that are to be had from their own addresses only.
	Elsewhere bool `json:"elsewhere,omitempty"`
}

// Outline is a tree of manifests.
type Outline struct {
	Root Node `json:"tree"`
	// TotalBytes counts what is shared as often as it occurs, UniqueBytes once;
	// both have manifests, configs and layers in them. Blobs is their number.
	TotalBytes  int64 `json:"totalBytes"`
	UniqueBytes int64 `json:"uniqueBytes"`
	Blobs       int   `json:"blobs"`
}

// Of reads the outline of an image or index. A manifest that an index names and
// its source does not hold is no error: its node is Missing.
func Of(ctx context.Context, a manifest.Artifact) (Outline, error) {
	h, err := a.Digest()
	if err != nil {
		return Outline{}, err
	}
	mt, err := a.MediaType()
	if err != nil {
		return Outline{}, err
	}
	root := &found{
		node: Node{Kind: Image, Digest: h.String(), MediaType: string(mt)},
		open: func() (manifest.Artifact, error) { return a, nil },
	}
	known := map[string]*content{}
	for level, depth := []*found{root}, 0; len(level) > 0; depth++ {
		if depth > deepest {
			return Outline{}, errors.New("the index lies too deep in other indexes")
		}
		var fresh []*found
		for _, f := range level {
			if f.content = known[f.node.Digest]; f.content == nil {
				f.content = &content{}
				known[f.node.Digest] = f.content
				fresh = append(fresh, f)
			}
		}
		if err := read(ctx, fresh); err != nil {
			return Outline{}, err
		}
		level = nil
		for _, f := range fresh {
			level = append(level, f.content.children...)
		}
	}
	return newCensus().outline(root), nil
}

// found is one entry, or the root: what is said of a manifest, and the manifest.
type found struct {
	node Node
	open func() (manifest.Artifact, error)
	*content
}

// content is what a manifest says; entries that point at the same one share it.
type content struct {
	missing      bool
	size         int64
	artifactType string
	noImage      bool // its config is no image's
	isIndex      bool
	config       *Blob
	layers       []Blob
	children     []*found
}

// read reads manifests, a bounded number at once.
func read(ctx context.Context, fresh []*found) error {
	errs := make([]error, len(fresh))
	var group errgroup.Group
	group.SetLimit(opens)
	for i, f := range fresh {
		group.Go(func() error {
			if errs[i] = context.Cause(ctx); errs[i] == nil {
				errs[i] = f.read()
			}
			return nil
		})
	}
	_ = group.Wait()
	return errors.Join(errs...)
}

func (f *found) read() error {
	a, err := f.open()
	if fault.Is(err, fault.NotFound) {
		f.missing = true
		return nil
	}
	if err != nil {
		return err
	}
	raw, err := a.RawManifest()
	if err != nil {
		return err
	}
	f.size = int64(len(raw))
	if idx, ok := a.(v1.ImageIndex); ok {
		err = f.readIndex(idx, raw)
	} else {
		err = f.readImage(raw)
	}
	if err != nil {
		return fmt.Errorf("reading manifest '%s': %w", f.node.Digest, err)
	}
	return nil
}

func (c *content) readIndex(idx v1.ImageIndex, raw []byte) error {
	c.isIndex = true
	parsed, err := manifest.Parse(raw)
	if err != nil {
		return err
	}
	c.artifactType = parsed.ArtifactType()
	for _, e := range parsed.Entries() {
		c.children = append(c.children, entry(idx, e))
	}
	return nil
}

// entry is an entry of idx whose manifest has not been read yet.
func entry(idx v1.ImageIndex, e manifest.Entry) *found {
	d := e.Descriptor
	child := &found{node: Node{
		Kind: Image, Digest: d.Digest.String(), MediaType: string(d.MediaType), ArtifactType: d.ArtifactType, Size: d.Size,
	}}
	if e.HasPlatform() {
		child.node.Platform = e.Platform.String()
	}
	child.open = func() (manifest.Artifact, error) { return idx.Image(d.Digest) }
	switch {
	case e.IsIndex:
		child.node.Kind = Index
		child.open = func() (manifest.Artifact, error) { return idx.ImageIndex(d.Digest) }
	case e.IsAttestation:
		child.node.Kind = Attestation
		if e.AttestationOf != (v1.Hash{}) {
			child.node.AttestationOf = e.AttestationOf.String()
		}
	}
	return child
}

func (c *content) readImage(raw []byte) error {
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	var said struct {
		ArtifactType string `json:"artifactType"`
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		return err
	}
	c.artifactType, c.noImage = said.ArtifactType, !m.Config.MediaType.IsConfig()
	c.config = &Blob{Digest: m.Config.Digest.String(), Size: m.Config.Size, MediaType: string(m.Config.MediaType)}
	for _, l := range m.Layers {
		c.layers = append(c.layers, Blob{
			Digest: l.Digest.String(), Size: l.Size, MediaType: string(l.MediaType),
			Elsewhere: !l.MediaType.IsDistributable() && len(l.URLs) > 0,
		})
	}
	return nil
}
