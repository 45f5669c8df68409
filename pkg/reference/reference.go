// Package reference holds references to artifacts in every medium multipack
// reads or writes, parsed once at the edge (docs/cli, "References").
package reference

import (
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

// Ref is a parsed reference. The zero Ref is not valid; Parse makes them.
type Ref struct {
	Kind Kind
	// Name is the image name, normalised: set for Registry, Daemon and Local,
	// and for DockerArchive where :NAME was given. A tag or a digest.
	Name name.Reference
	// Path is the directory or file: set for Layout, Archive, DockerArchive and File.
	Path string
	// Tag is what follows the path's ':': a plain tag or a full image name; "" when
	// not given. For Layout and Archive.
	Tag string
	// Digest is "sha256:…" where the reference names one, else "".
	Digest string
	// Given is the reference as the user wrote it; messages quote it.
	Given string
}

// String is the reference as the user wrote it.
func (r Ref) String() string { return r.Given }
