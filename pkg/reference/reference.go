// Package reference holds references to artifacts in every medium multipack
// reads or writes, parsed once at the edge (docs/cli, "References").
//
// Names are normalised the way Docker does it: a name without a registry is
// one of Docker Hub's, a Hub name without a namespace is in "library", a name
// without a tag has the tag "latest". go-containerregistry spells Docker Hub's
// host "index.docker.io", which is what Ref.Name.Name() shows; whatever is
// shown to people or written into a layout uses "docker.io" instead, the
// spelling of docker, podman, containerd and BuildKit (see Canonical).
package reference

import (
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Kind is the medium a reference points into.
type Kind int

// The media.
const (
	// Registry is repo[:tag][@digest], host[:port]/repo…, with or without docker://.
	Registry Kind = iota
	// Daemon is docker-daemon:NAME.
	Daemon
	// Layout is oci-layout://PATH or oci:PATH: a directory, or a tar of one when it is read.
	Layout
	// Archive is oci-archive:FILE: an OCI image layout in a tar.
	Archive
	// DockerArchive is docker-archive:FILE: what `docker save` writes.
	DockerArchive
	// File is FILE.cnb, or an existing file: a packaged buildpack, or any tar that holds an OCI layout.
	File
	// Local is local:NAME: a list in the local store.
	Local
	// Stdio is "-".
	Stdio
)

// String is the kind in words, for messages.
func (k Kind) String() string {
	switch k {
	case Registry:
		return "registry"
	case Daemon:
		return "docker daemon"
	case Layout:
		return "OCI layout"
	case Archive:
		return "OCI archive"
	case DockerArchive:
		return "docker archive"
	case File:
		return "file"
	case Local:
		return "local list"
	case Stdio:
		return "standard input or output"
	default:
		return "unknown"
	}
}

// Ref is a parsed reference. The zero Ref is not valid; Parse makes them.
type Ref struct {
	Kind Kind
	// Name is the image name, normalised: set for Registry, Daemon and Local,
	// and for DockerArchive where :NAME was given. It is a name.Digest where the
	// reference names a digest, else a name.Tag.
	Name name.Reference
	// Path is the directory or file: set for Layout, Archive, DockerArchive and File.
	Path string
	// Tag is what follows the path's ':' for Layout and Archive: a plain tag or a
	// full image name, as written. For Registry and Daemon it is the tag where
	// one was written. "" when not given.
	Tag string
	// Digest is "sha256:…" where the reference names one, else "".
	Digest string
	// Given is the reference as the user wrote it; messages quote it.
	Given string
}

// String is the reference as the user wrote it.
func (r Ref) String() string { return r.Given }

// Display is the NAME of the NAME@sha256:… lines: the reference without tag
// and digest, spelled so that Parse reads NAME@sha256:… back for every medium
// that has digests. Docker Hub is "docker.io". A daemon's and a docker
// archive's images go by name, so theirs keep the tag.
func (r Ref) Display() string {
	switch r.Kind {
	case Registry, Local:
		return canonical(r.Name.Context().Name())
	case Daemon:
		return "docker-daemon:" + Canonical(r.Name)
	case Layout:
		if strings.HasPrefix(r.Given, schemeOCI) {
			return schemeOCI + r.Path
		}
		return schemeLayout + r.Path
	case Archive:
		return schemeArchive + r.Path
	case DockerArchive:
		if r.Name != nil {
			return schemeDockerArchive + r.Path + ":" + Canonical(r.Name)
		}
		return schemeDockerArchive + r.Path
	case Stdio:
		return "-"
	default:
		return r.Path
	}
}

// WithDigest is r asking for one digest ("sha256:" and 64 hex digits) of the
// same repository, layout or file instead of its tag.
func (r Ref) WithDigest(digest string) Ref {
	r.Digest = digest
	r.Tag = ""
	if r.Name != nil {
		r.Name = r.Name.Context().Digest(digest)
	}
	r.Given = r.Display() + "@" + digest
	return r
}

// WithTag is r with another tag: of the same repository, or of the same
// layout. Media without tags are returned as they are.
func (r Ref) WithTag(tag string) Ref {
	switch r.Kind {
	case Registry, Daemon, Local:
		r.Name = r.Name.Context().Tag(tag)
		r.Tag, r.Digest = tag, ""
		r.Given = Canonical(r.Name)
		if r.Kind == Daemon {
			r.Given = r.Display()
		}
	case Layout, Archive:
		r.Tag, r.Digest = tag, ""
		r.Given = r.Display() + ":" + tag
	}
	return r
}

// Canonical is the full name of n with Docker Hub spelled "docker.io":
// docker.io/library/alpine:3.16.
func Canonical(n name.Reference) string { return canonical(n.Name()) }

// Familiar is the shortest name that means n to Docker: alpine:3.16 for
// docker.io/library/alpine:3.16.
func Familiar(n name.Reference) string {
	full := Canonical(n)
	if rest, ok := strings.CutPrefix(full, "docker.io/"); ok {
		if short, ok := strings.CutPrefix(rest, "library/"); ok && !strings.Contains(short, "/") {
			return short
		}
		return rest
	}
	return full
}

func canonical(full string) string {
	if rest, ok := strings.CutPrefix(full, name.DefaultRegistry+"/"); ok {
		return "docker.io/" + rest
	}
	return full
}
