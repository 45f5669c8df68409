package commands

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/gather"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/source"
)

// parseRefs reads the references of sources. Standard input can be read once.
func parseRefs(given []string) ([]reference.Ref, error) {
	refs := make([]reference.Ref, len(given))
	stdin := 0
	for i, g := range given {
		ref, err := parseRef(g)
		if err != nil {
			return nil, err
		}
		if ref.Kind == reference.Stdio {
			stdin++
		}
		refs[i] = ref
	}
	if stdin > 1 {
		return nil, fault.New(fault.Usage, "reading the arguments: standard input, '-', can be only one of the sources")
	}
	return refs, nil
}

// gather opens all sources at once and gives the entries that they become.
func (s *session) gather(ctx context.Context, refs []reference.Ref, o gather.Options) ([]gather.Item, error) {
	opened := make([]source.Opened, len(refs))
	errs := make([]error, len(refs))
	var group errgroup.Group
	group.SetLimit(s.requests())
	for i, ref := range refs {
		group.Go(func() error {
			opened[i], errs[i] = s.open(ctx, ref)
			errs[i] = s.hintLocal(ctx, ref, errs[i])
			return nil
		})
	}
	_ = group.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return gather.Items(ctx, opened, o)
}

// hintLocal tells whoever names a list as if it were in a registry how to name it.
func (s *session) hintLocal(ctx context.Context, ref reference.Ref, err error) error {
	tag, ok := ref.Name.(name.Tag)
	if err == nil || ref.Kind != reference.Registry || !ok {
		return err
	}
	st, e := s.store()
	if e != nil {
		return err
	}
	if exists, e := st.Exists(ctx, tag); e != nil || !exists {
		return err
	}
	return fault.Hint(err, "there is a list of that name in the store: 'local:%s'", ref.Given)
}

// adding is the change that adds items to a list.
func adding(refs []reference.Ref, items []gather.Item, replace bool) func(manifest.Index, listContext) (listChange, error) {
	return func(idx manifest.Index, _ listContext) (listChange, error) {
		next, additions, err := idx.AddEntries(manifest.AddOptions{Replace: replace}, gather.Entries(items)...)
		if err != nil {
			return listChange{}, err
		}
		out := listChange{index: next, warnings: warningsOf(refs, items, idx.Format())}
		for i, a := range additions {
			step := stepOf(string(a.Outcome), a.Entry)
			step.Source = refs[items[i].Source].Given
			for _, gone := range a.Gone {
				step.Gone = append(step.Gone, gone.String())
			}
			out.steps = append(out.steps, step)
		}
		return out, nil
	}
}

func stepOf(outcome string, e manifest.Entry) changeDocument {
	return changeDocument{Outcome: outcome, Platform: e.Platform.String(), Digest: e.Descriptor.Digest.String()}
}

// warningsOf are what is odd about the items.
func warningsOf(refs []reference.Ref, items []gather.Item, format manifest.Format) []string {
	var out []string
	annotated := false
	for _, i := range items {
		annotated = annotated || len(i.Entry.Descriptor.Annotations) > 0
		switch {
		case i.Contradicts():
			out = append(out, contradiction(i.Entry, i.Declared))
		case i.LacksPlatform():
			out = append(out, fmt.Sprintf("'%s' does not say which platform it is for, and its entry does not either; see 'multipack manifest annotate'", refs[i.Source]))
		}
	}
	if annotated && format == manifest.FormatDocker {
		out = append(out, dockerAnnotations)
	}
	return out
}

// contradiction is the warning for an entry that says another platform than the
// image's config.
func contradiction(e manifest.Entry, declared platform.Platform) string {
	return fmt.Sprintf("the entry '%s' contradicts its image, whose config says '%s'", e, declared)
}

// dockerAnnotations is the warning for annotations in a Docker manifest list.
const dockerAnnotations = "the specification of Docker manifest lists knows no annotations: registries and tools may refuse or drop them"

// subject is the descriptor that --subject names: a JSON object as it is, else
// what a reference leads to; nil for "".
func (s *session) subject(ctx context.Context, given string) (*v1.Descriptor, error) {
	if given == "" {
		return nil, nil
	}
	if given[0] == '{' {
		e, err := manifest.ParseEntry([]byte(given))
		if err != nil {
			return nil, fault.New(fault.Usage, "reading flag '--subject': %w", err)
		}
		return &e.Descriptor, nil
	}
	ref, err := parseRef(given)
	if err != nil {
		return nil, err
	}
	opened, err := s.open(ctx, ref)
	if err != nil {
		return nil, err
	}
	e, err := gather.EntryOf(opened.Artifact)
	if err != nil {
		return nil, fmt.Errorf("reading '%s': %w", ref, err)
	}
	return &e.Descriptor, nil
}
