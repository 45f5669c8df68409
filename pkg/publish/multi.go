package publish

import (
	"context"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/reference"
)

// Multi publishes to several destinations: all content is everywhere before
// the first of them gets a name. Destinations of one registry are filled one
// after the other, so that each blob is sent there once and mounted from then
// on; different ones at once.
type Multi struct {
	// Next publishes to each single destination.
	Next Stager
}

// Publish implements Publisher. Tags of other repositories than the target's are
// destinations of their own; their reports are the report's Also.
func (m *Multi) Publish(ctx context.Context, a manifest.Artifact, to Target) (Report, error) {
	return first(m.PublishAll(ctx, a, []Target{to}))
}

// PublishAll publishes to all targets; the reports are in their order, those
// of tags in other repositories behind the one they belong to.
func (m *Multi) PublishAll(ctx context.Context, a manifest.Artifact, targets []Target) ([]Report, error) {
	s, err := m.stageAll(ctx, a, targets)
	if err != nil {
		return nil, err
	}
	return s.commitAll(ctx)
}

// Stage implements Stager.
func (m *Multi) Stage(ctx context.Context, a manifest.Artifact, to Target) (Staged, error) {
	s, err := m.stageAll(ctx, a, []Target{to})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Plan implements Stager.
func (m *Multi) Plan(ctx context.Context, a manifest.Artifact, to Target) (Report, error) {
	return first(m.PlanAll(ctx, a, []Target{to}))
}

// PlanAll is PublishAll without the writing.
func (m *Multi) PlanAll(ctx context.Context, a manifest.Artifact, targets []Target) ([]Report, error) {
	targets, err := spread(targets)
	if err != nil {
		return nil, err
	}
	out := make([]Report, len(targets))
	return out, inGroups(ctx, targets, func(ctx context.Context, i int, to Target) (err error) {
		out[i], err = m.Next.Plan(ctx, a, to)
		return err
	})
}

func (m *Multi) stageAll(ctx context.Context, a manifest.Artifact, targets []Target) (*stagedAll, error) {
	targets, err := spread(targets)
	if err != nil {
		return nil, err
	}
	s := &stagedAll{parts: make([]Staged, len(targets))}
	err = inGroups(ctx, targets, func(ctx context.Context, i int, to Target) (err error) {
		s.parts[i], err = m.Next.Stage(ctx, a, to)
		return err
	})
	if err != nil {
		s.Abort()
		return nil, err
	}
	return s, nil
}

func first(reports []Report, err error) (Report, error) {
	if err != nil || len(reports) == 0 {
		return Report{}, err
	}
	r := reports[0]
	r.Also = append(r.Also, reports[1:]...)
	return r, nil
}

// stagedAll is the content of several destinations.
type stagedAll struct{ parts []Staged }

// Commit implements Staged.
func (s *stagedAll) Commit(ctx context.Context) (Report, error) { return first(s.commitAll(ctx)) }

func (s *stagedAll) commitAll(ctx context.Context) ([]Report, error) {
	out := make([]Report, 0, len(s.parts))
	for i, p := range s.parts {
		r, err := p.Commit(ctx)
		if err != nil {
			(&stagedAll{parts: s.parts[i+1:]}).Abort()
			return out, err
		}
		out = append(out, r)
	}
	return out, nil
}

// Abort implements Staged.
func (s *stagedAll) Abort() {
	for _, p := range s.parts {
		if p != nil {
			p.Abort()
		}
	}
}

// inGroups runs fn for every target: those of one registry in their order, each
// knowing the repositories before it, different registries and media at once.
func inGroups(ctx context.Context, targets []Target, fn func(ctx context.Context, i int, to Target) error) error {
	groups, at := [][]int{}, map[string]int{}
	for i, t := range targets {
		key := ""
		if t.Ref.Kind == reference.Registry {
			key = t.Ref.Name.Context().RegistryStr()
		}
		g, ok := at[key]
		if !ok || key == "" {
			g = len(groups)
			groups, at[key] = append(groups, nil), g
		}
		groups[g] = append(groups[g], i)
	}
	return each(ctx, len(groups), func(ctx context.Context, g int) error {
		var before []name.Repository
		for _, i := range groups[g] {
			to := targets[i]
			to.MountFrom = append(before[:len(before):len(before)], to.MountFrom...)
			if err := fn(ctx, i, to); err != nil {
				return err
			}
			if to.Ref.Kind == reference.Registry {
				before = append(before, to.Ref.Name.Context())
			}
		}
		return nil
	})
}

// spread makes a target of its own of the tags that are in other repositories.
func spread(targets []Target) ([]Target, error) {
	var out []Target
	for _, t := range targets {
		if t.Ref.Kind != reference.Registry {
			out = append(out, t)
			continue
		}
		if t.Ref.Name == nil {
			return nil, fault.New(fault.Usage, "publishing to '%s': it names no repository", t.Ref)
		}
		var order []string
		byRepo := map[string]*Target{}
		main := t
		main.Tags = nil
		home := t.Ref.Name.Context().Name()
		for _, tag := range t.Tags {
			switch {
			case tag.Kind != reference.Registry || tag.Name == nil:
				return nil, fault.New(fault.Usage, "publishing to '%s': '%s' is no tag in a registry", t.Ref, tag)
			case tag.Name.Context().Name() == home:
				main.Tags = append(main.Tags, tag)
			case t.NoTag:
			case byRepo[tag.Name.Context().Name()] != nil:
				other := byRepo[tag.Name.Context().Name()]
				other.Tags = append(other.Tags, tag)
			default:
				order = append(order, tag.Name.Context().Name())
				byRepo[tag.Name.Context().Name()] = &Target{Ref: tag}
			}
		}
		out = append(out, main)
		for _, r := range order {
			out = append(out, *byRepo[r])
		}
	}
	return out, nil
}
