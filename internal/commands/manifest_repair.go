package commands

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/verify"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/source"
)

// repair copies the damaged entries of what was checked, by digest, from a
// reference to where they are damaged, and gives those that it copied. No tag
// and no list changes.
func (s *session) repair(ctx context.Context, f found, report verify.Report, flags verifyFlags) ([]v1.Hash, error) {
	given := flags.repairFrom
	from, err := s.localFirst(ctx, given)
	if err != nil {
		return nil, err
	}
	into, err := s.mender(f)
	if err != nil {
		return nil, err
	}
	opener, err := s.opener()
	if err != nil {
		return nil, err
	}
	repaired := []v1.Hash{}
	for _, h := range report.Damaged() {
		opened, err := source.Find(ctx, opener, from, h)
		if fault.Is(err, fault.NotFound) {
			s.console.Warn("'%s' does not have '%s' either", given, h)
			continue
		}
		if err != nil {
			return repaired, err
		}
		s.atEnd(func() { _ = opened.Done() })
		if flags.dryRun {
			s.console.Note("Would copy what is missing of '%s' from '%s'", short(h.String()), given)
			continue
		}
		if err := into(ctx, opened.Artifact); err != nil {
			return repaired, err
		}
		repaired = append(repaired, h)
		s.console.Note("Copied what was missing of '%s' from '%s'", short(h.String()), given)
	}
	return repaired, nil
}

// mender is how an entry gets to where it is damaged.
func (s *session) mender(f found) (func(context.Context, manifest.Artifact) error, error) {
	switch {
	case f.list != nil:
		st, err := s.store()
		return func(ctx context.Context, a manifest.Artifact) error {
			return st.Ingest(ctx, f.list.List.Name, a, true)
		}, err
	case f.ref.Kind == reference.Registry || f.ref.Kind == reference.Layout:
		if exists, isDir := source.Stat(f.ref.Path); exists && !isDir {
			break // a tar of a layout
		}
		return func(ctx context.Context, a manifest.Artifact) error {
			progress := s.console.Progress()
			defer progress.Close()
			deps, err := s.publishDeps(publish.CNB{}, false, observer(progress))
			if err != nil {
				return err
			}
			deps.Mend = true
			to := f.ref
			to.Digest = ""
			if to.Name != nil {
				to.Name = to.Name.Context().Tag("latest") // never written: NoTag
			}
			_, err = publish.New(deps).Publish(ctx, a, publish.Target{Ref: to, NoTag: true})
			return err
		}, nil
	}
	err := fault.New(fault.Usage, "a %s cannot be repaired in place", f.ref.Kind)
	return nil, fault.Hint(err, "copy it anew: 'multipack manifest copy %s …'", fmt.Sprint(f.ref))
}
