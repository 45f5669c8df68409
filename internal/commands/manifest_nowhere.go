package commands

import (
	"context"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/reference"
)

// nowhere makes of a failure because something is not there one that names all
// entries that are not to be had, and what can be done with the others.
func (s *session) nowhere(ctx context.Context, f found, a manifest.Artifact, targets []publish.Target, err error) error {
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	if missing := s.complete(ctx, f, a, targets); fault.Is(missing, fault.NotFound) {
		return missing
	}
	return err
}

// complete makes sure that all entries of an index are to be had, or that every
// destination has them already.
func (s *session) complete(ctx context.Context, f found, a manifest.Artifact, targets []publish.Target) error {
	idx, ok := a.(v1.ImageIndex)
	if !ok {
		return nil
	}
	gone, err := manifest.Missing(ctx, idx)
	if err != nil {
		return err
	}
	lost := map[v1.Hash]bool{}
	var names []string
	for _, e := range gone {
		if !s.everywhere(ctx, e.Descriptor.Digest, targets) {
			lost[e.Descriptor.Digest] = true
			names = append(names, describeGone(f, e))
		}
	}
	if len(names) == 0 {
		return nil
	}
	out := fault.New(fault.NotFound, "reading '%s': this is nowhere to be had any more: %s", f.given, strings.Join(names, ", "))
	if left := remaining(idx, lost); left != "" {
		return fault.Hint(out, "'--platform %s' takes those that are", left)
	}
	return out
}

// describeGone names an entry, and where it was added from.
func describeGone(f found, e manifest.Entry) string {
	text := "'" + e.String() + "'"
	if origins := f.origins(); origins != nil {
		if from := origins(e.Descriptor.Digest); len(from) > 0 {
			text += " (added from " + quoted(from) + ")"
		}
	}
	return text
}

// everywhere reports whether all destinations have a manifest already.
func (s *session) everywhere(ctx context.Context, h v1.Hash, targets []publish.Target) bool {
	client, err := s.registry()
	if err != nil || len(targets) == 0 {
		return false
	}
	for _, t := range targets {
		if t.Ref.Kind != reference.Registry {
			return false
		}
		if _, err := client.Head(ctx, t.Ref.Name.Context().Digest(h.String())); err != nil {
			return false
		}
	}
	return true
}

// remaining are the platforms of an index without some of its images, as the
// value of --platform.
func remaining(idx v1.ImageIndex, lost map[v1.Hash]bool) string {
	raw, err := idx.RawManifest()
	if err != nil {
		return ""
	}
	parsed, err := manifest.Parse(raw)
	if err != nil {
		return ""
	}
	var out []string
	for _, e := range parsed.Entries() {
		if e.HasPlatform() && !lost[e.Descriptor.Digest] {
			out = append(out, e.Platform.String())
		}
	}
	return strings.Join(out, ",")
}
