package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
)

// The annotations by which BuildKit ties an attestation to its image.
const (
	annotationReferenceDigest = "vnd.docker.reference.digest"
	annotationReferenceType   = "vnd.docker.reference.type"
	typeAttestation           = "attestation-manifest"
	unknown                   = "unknown"
)

// Entry is one descriptor of an index.
type Entry struct {
	Descriptor v1.Descriptor
	// Raw is the descriptor's JSON exactly as the index has it, fields that
	// v1.Descriptor does not know included.
	Raw []byte
	// Platform is the descriptor's, normalised; zero where it says none.
	Platform platform.Platform
	// IsIndex is set where the entry points at an index and not at an image.
	IsIndex bool
	// IsAttestation is set for BuildKit's attestations: platform
	// unknown/unknown and an annotation that names the image described.
	IsAttestation bool
	// AttestationOf is the image that an attestation describes.
	AttestationOf v1.Hash
}

// NewEntry is an entry for a descriptor, encoded the way go-containerregistry
// and pack encode it: compact, keys in the order mediaType, size, digest, data,
// urls, annotations, platform, artifactType; within a platform architecture,
// os, os.version, os.features, variant. It fails where media type or digest is
// missing or the size is negative.
func NewEntry(d v1.Descriptor) (Entry, error) {
	raw, err := json.Marshal(d)
	if err != nil {
		return Entry{}, fmt.Errorf("encoding a descriptor: %w", err)
	}
	return parseEntry(raw)
}

// ParseEntry reads the JSON of a descriptor. It fails as NewEntry does; every
// error is a fault.Usage.
func ParseEntry(raw []byte) (Entry, error) {
	if !json.Valid(raw) {
		return Entry{}, fault.New(fault.Usage, "parsing a descriptor: it is no JSON")
	}
	e, err := parseEntry(slices.Clone(raw))
	if err != nil {
		return Entry{}, fault.New(fault.Usage, "parsing a descriptor: %w", err)
	}
	return e, nil
}

// HasPlatform reports whether the entry takes a platform in its index: that it
// says one which is not unknown/unknown, and is no attestation.
func (e Entry) HasPlatform() bool {
	return !e.IsAttestation && !e.Platform.IsZero() && !(e.Platform.OS == unknown && e.Platform.Arch == unknown)
}

// String is the entry in lists for people: its platform, else its media type,
// and the beginning of its digest.
func (e Entry) String() string {
	what := e.Platform.String()
	if e.Platform.IsZero() {
		what = string(e.Descriptor.MediaType)
	}
	return what + " " + short(e.Descriptor.Digest)
}

func short(h v1.Hash) string {
	return h.Algorithm + ":" + h.Hex[:min(12, len(h.Hex))]
}

func (e Entry) clone() Entry {
	e.Raw = slices.Clone(e.Raw)
	e.Descriptor = cloneDescriptor(e.Descriptor)
	return e
}

func cloneDescriptor(d v1.Descriptor) v1.Descriptor {
	d.Data = slices.Clone(d.Data)
	d.URLs = slices.Clone(d.URLs)
	d.Annotations = maps.Clone(d.Annotations)
	if d.Platform != nil {
		p := *d.Platform
		p.OSFeatures = slices.Clone(p.OSFeatures)
		p.Features = slices.Clone(p.Features)
		d.Platform = &p
	}
	return d
}

// parseEntry reads valid JSON.
func parseEntry(raw []byte) (Entry, error) {
	o, ok := cutObject(raw)
	if !ok {
		return Entry{}, errors.New("it is no JSON object")
	}
	d, err := decodeDescriptor(o)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{
		Descriptor: d,
		Raw:        raw,
		Platform:   platform.FromV1(d.Platform).Normalize(),
		IsIndex:    d.MediaType.IsIndex(),
	}
	of := d.Annotations[annotationReferenceDigest]
	if e.Platform.OS == unknown && e.Platform.Arch == unknown &&
		(of != "" || d.Annotations[annotationReferenceType] == typeAttestation) {
		e.IsAttestation = true
		if h, err := v1.NewHash(of); err == nil {
			e.AttestationOf = h
		}
	}
	return e, nil
}

func decodeDescriptor(o object) (v1.Descriptor, error) {
	var d v1.Descriptor
	size := int64(-1)
	err := o.decode("mediaType", (*string)(&d.MediaType), "size", &size, "digest", &d.Digest, "data", &d.Data,
		"urls", &d.URLs, "annotations", &d.Annotations, "artifactType", &d.ArtifactType)
	if err != nil {
		return d, err
	}
	switch {
	case d.MediaType == "":
		return d, errors.New("it has no 'mediaType'")
	case d.Digest == v1.Hash{}:
		return d, errors.New("it has no 'digest'")
	case size < 0:
		return d, errors.New("it has no 'size', or a negative one")
	}
	d.Size = size
	if raw := o.get("platform"); raw != nil {
		po, ok := cutObject(raw)
		if !ok {
			return d, errors.New("'platform' is no JSON object")
		}
		d.Platform = &v1.Platform{}
		err := po.decode("architecture", &d.Platform.Architecture, "os", &d.Platform.OS, "os.version", &d.Platform.OSVersion,
			"os.features", &d.Platform.OSFeatures, "variant", &d.Platform.Variant, "features", &d.Platform.Features)
		if err != nil {
			return d, fmt.Errorf("'platform': %w", err)
		}
	}
	return d, nil
}
