package dependency

import (
	"context"
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
	"github.com/multipack/multipack/pkg/source"
)

// openPackage opens a packaged dependency and takes the image of each target:
// the index is read once, and of its images those that are wanted.
func (s *search) openPackage(ctx context.Context, n *node, ref reference.Ref) error {
	if s.Opener == nil {
		return fault.New(fault.Usage, "packaged buildpacks cannot be opened here")
	}
	todo := make([]bool, len(s.targets))
	for i := range todo {
		todo[i] = true
	}
	places := s.Policy.places(ref)
	for i, place := range places {
		if !slices.Contains(todo, true) {
			break
		}
		opened, err := s.Opener.Open(ctx, place)
		if err == nil {
			n.closers = append(n.closers, opened.Done)
			if err := s.take(ctx, n, opened, todo); err != nil {
				return err
			}
			continue
		}
		last := i == len(places)-1
		switch {
		case ctx.Err() != nil:
			return err
		case fault.Is(err, fault.NotFound) && (!last || n.missing.Found != nil):
			// Another place has it, or had it for other platforms.
		case !last && ref.Kind == reference.Registry:
			// Nobody asked for the engine by name: without one, the registry will do.
			n.warn("the Docker engine was not asked: %v", err)
		default:
			return err
		}
	}
	for i, t := range s.targets {
		if todo[i] {
			n.missing.Wanted = append(n.missing.Wanted, t)
		}
	}
	return nil
}

// take takes the images of the targets that are still to do.
func (s *search) take(ctx context.Context, n *node, opened source.Opened, todo []bool) error {
	list, err := source.List(ctx, opened)
	if err != nil {
		return err
	}
	found := list.Platforms()
	n.missing.Found = append(n.missing.Found, found...)
	at := make([]int, len(s.targets))
	var wanted []int
	for i, t := range s.targets {
		if at[i] = -1; todo[i] {
			at[i] = choose(found, t)
		}
		if at[i] >= 0 && !slices.Contains(wanted, at[i]) {
			wanted = append(wanted, at[i])
			if found[at[i]].Arch == "" {
				n.silent = true
			}
		}
	}
	packages, err := s.packages(ctx, n, list, wanted)
	if err != nil {
		return err
	}
	for i := range s.targets {
		if at[i] >= 0 {
			todo[i] = false
			n.modules[i] = packages[slices.Index(wanted, at[i])].Modules()
		}
	}
	return nil
}

// packages opens images and reads their labels, all at once: what is in flight
// is bounded where requests are made.
func (s *search) packages(ctx context.Context, n *node, list source.Listing, wanted []int) ([]buildpack.Package, error) {
	images, err := list.Open(ctx, wanted...)
	if err != nil {
		return nil, err
	}
	if len(images) != len(wanted) {
		return nil, fault.New(fault.Failed, "it holds something that is no image")
	}
	out := make([]buildpack.Package, len(images))
	errs := make([]error, len(images))
	var group errgroup.Group
	for i, img := range images {
		group.Go(func() error {
			out[i], errs[i] = s.read(img.Image, n)
			return nil
		})
	}
	_ = group.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return out, nil
}

func (s *search) read(img v1.Image, n *node) (buildpack.Package, error) {
	pkg, err := buildpack.FromImage(img)
	switch {
	case fault.Is(err, fault.NotFound):
		return pkg, fmt.Errorf("it is no packaged %s: %w", s.Kind, err)
	case err != nil:
		return pkg, err
	case pkg.Kind != s.Kind:
		return pkg, fault.New(fault.Usage, "it is of kind '%s', '%s' is wanted", pkg.Kind, s.Kind)
	}
	return pkg.From(n.name()), nil
}

// choose is the position of the image for a target: one of its platform, or that
// says less; the one that says the most of what is asked for, of equals the
// first. Without any, an image that does not say its architecture. -1 is none,
// which it also is where the target says no architecture and there are several.
func choose(found []platform.Platform, target platform.Target) int {
	want := target.Platform.Normalize()
	best, bestRank, unsaid := -1, 0, -1
	for i, p := range found {
		switch fit := buildpack.FitOf(target, p); {
		case fit == buildpack.Unsaid && unsaid < 0:
			unsaid = i
		case fit != buildpack.Fits:
			continue
		case want.Arch == "" && best >= 0 && (found[best].Arch != p.Arch || found[best].Variant != p.Variant):
			return -1
		default:
			if rank := distance(p, want); best < 0 || rank < bestRank {
				best, bestRank = i, rank
			}
		}
	}
	if best < 0 {
		return unsaid
	}
	return best
}

// distance counts what two platforms that fit do not both say, the variant
// before the version of the operating system.
func distance(p, want platform.Platform) int {
	d := 0
	if p.Variant != want.Variant {
		d += 4
	}
	if p.OSVersion != want.OSVersion {
		d += 2
	}
	if p.Features != want.Features {
		d++
	}
	return d
}
