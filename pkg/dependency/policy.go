package dependency

import (
	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/reference"
)

// Pull says when an image is taken from its registry although the engine may
// have it: pack's --pull-policy.
type Pull string

const (
	// PullDefault takes docker-daemon: from the engine, all else from registries.
	PullDefault Pull = ""
	// PullAlways takes the registry's image.
	PullAlways Pull = "always"
	// PullIfNotPresent takes the engine's image where it is of the platform, else
	// the registry's.
	PullIfNotPresent Pull = "if-not-present"
	// PullNever takes the engine's image.
	PullNever Pull = "never"
)

// ParsePull reads a pull policy; "" is PullDefault. Errors are fault.Usage.
func ParsePull(s string) (Pull, error) {
	switch p := Pull(s); p {
	case PullDefault, PullAlways, PullIfNotPresent, PullNever:
		return p, nil
	}
	return "", fault.New(fault.Usage, "reading the pull policy '%s': it is 'always', 'if-not-present' or 'never'", s)
}

// Policy says where images are taken from that the engine may have.
type Policy struct {
	Pull Pull
	// Engine lets Pull count for images of registries too, and not for
	// docker-daemon: alone. It is meant for packages that are not published.
	Engine bool
}

// places are where ref is looked for, one after the other.
func (p Policy) places(ref reference.Ref) []reference.Ref {
	switch {
	case ref.Kind != reference.Daemon && ref.Kind != reference.Registry:
		return []reference.Ref{ref}
	case ref.Kind == reference.Registry && (!p.Engine || p.Pull == PullDefault):
		return []reference.Ref{ref}
	case p.Pull == PullAlways:
		return []reference.Ref{in(ref, reference.Registry)}
	case p.Pull == PullIfNotPresent:
		return []reference.Ref{in(ref, reference.Daemon), in(ref, reference.Registry)}
	}
	return []reference.Ref{in(ref, reference.Daemon)}
}

// in is the image of the same name in the engine or in its registry.
func in(ref reference.Ref, kind reference.Kind) reference.Ref {
	if ref.Kind == kind {
		return ref
	}
	ref.Kind = kind
	ref.Given = reference.Familiar(ref.Name)
	if kind == reference.Daemon {
		ref.Given = "docker-daemon:" + ref.Given
	}
	return ref
}
