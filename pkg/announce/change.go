package announce

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
)

// Change is r with the work that makes another index of one: platforms that to
// has and from has not, or that say something else there, are added with their
// attestations; those that it lacks are removed; and so with all that has no
// platform. Platforms of the images in again are added in any case.
func (r Request) Change(from, to manifest.Index, again ...v1.Hash) Request {
	r.Add, r.Remove, r.Extra, r.Drop, r.Annotations, r.Fields = nil, nil, nil, nil, nil, nil
	r.MediaType = to.MediaType()
	was, is := sorted(from), sorted(to)
	for _, p := range to.Platforms() {
		isAgain := slices.ContainsFunc(is.images[p], func(e manifest.Entry) bool { return slices.Contains(again, e.Descriptor.Digest) })
		if isAgain || !sameEntries(was.images[p], is.images[p]) || !sameEntries(was.about(p), is.about(p)) {
			r.Add = append(r.Add, is.additions(p, was)...)
			r.Drop = append(r.Drop, gone(was.about(p), is.about(p))...)
		}
	}
	for _, p := range from.Platforms() {
		if len(is.images[p]) == 0 {
			r.Remove = append(r.Remove, p)
		}
	}
	for _, e := range is.others {
		if !slices.ContainsFunc(was.others, func(o manifest.Entry) bool { return bytes.Equal(o.Raw, e.Raw) }) {
			r.Extra = append(r.Extra, e.Raw)
		}
	}
	r.Drop = append(r.Drop, gone(was.others, is.others)...)
	r.Annotations = annotationChanges(from.Annotations(), to.Annotations())
	if from.ArtifactType() != to.ArtifactType() || !reflect.DeepEqual(from.Subject(), to.Subject()) {
		r.Fields = func(i manifest.Index) (manifest.Index, error) {
			return i.WithArtifactType(to.ArtifactType()).WithSubject(to.Subject())
		}
	}
	return r
}

// parts are the entries of an index by what they are.
type parts struct {
	// images are those of each platform, attestations those of each image there is,
	// and others the rest.
	images       map[platform.Platform][]manifest.Entry
	attestations map[v1.Hash][]manifest.Entry
	others       []manifest.Entry
}

func sorted(i manifest.Index) parts {
	p := parts{images: map[platform.Platform][]manifest.Entry{}, attestations: map[v1.Hash][]manifest.Entry{}}
	images := map[v1.Hash]bool{}
	for _, e := range i.Entries() {
		if e.HasPlatform() {
			p.images[e.Platform] = append(p.images[e.Platform], e)
			images[e.Descriptor.Digest] = true
		}
	}
	for _, e := range i.Entries() {
		switch {
		case e.HasPlatform():
		case e.IsAttestation && images[e.AttestationOf]:
			p.attestations[e.AttestationOf] = append(p.attestations[e.AttestationOf], e)
		default:
			p.others = append(p.others, e)
		}
	}
	return p
}

// about are the attestations of a platform's images.
func (p parts) about(of platform.Platform) []manifest.Entry {
	var out []manifest.Entry
	for _, e := range p.images[of] {
		out = append(out, p.attestations[e.Descriptor.Digest]...)
	}
	return out
}

func (p parts) additions(of platform.Platform, was parts) []Addition {
	var out []Addition
	for _, e := range p.images[of] {
		edited := func(old manifest.Entry) bool {
			return old.Descriptor.Digest == e.Descriptor.Digest && !bytes.Equal(old.Raw, e.Raw)
		}
		a := Addition{Entry: e.Raw, Exact: slices.ContainsFunc(was.images[of], edited)}
		for _, at := range p.attestations[e.Descriptor.Digest] {
			a.Attached = append(a.Attached, json.RawMessage(at.Raw))
		}
		out = append(out, a)
	}
	return out
}

func sameEntries(a, b []manifest.Entry) bool {
	return slices.EqualFunc(a, b, func(x, y manifest.Entry) bool { return bytes.Equal(x.Raw, y.Raw) })
}

// gone are the digests that only the first has.
func gone(was, is []manifest.Entry) []v1.Hash {
	var out []v1.Hash
	for _, e := range was {
		h := e.Descriptor.Digest
		if !slices.ContainsFunc(is, func(o manifest.Entry) bool { return o.Descriptor.Digest == h }) {
			out = append(out, h)
		}
	}
	return out
}

func annotationChanges(from, to map[string]string) []manifest.Annotation {
	var out []manifest.Annotation
	for _, k := range slices.Sorted(maps.Keys(from)) {
		if _, ok := to[k]; !ok {
			out = append(out, manifest.Annotation{Key: k, Delete: true})
		}
	}
	for _, k := range slices.Sorted(maps.Keys(to)) {
		if have, ok := from[k]; !ok || have != to[k] {
			out = append(out, manifest.Annotation{Key: k, Value: to[k]})
		}
	}
	return out
}
