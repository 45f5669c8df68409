package announce

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
)

// collector reads announcements, each content once.
type collector struct {
	reg  Registry
	tag  string
	jobs int
	// marker is the digest of the withdrawn marker.
	marker v1.Hash
	// known are claims by announcement tag, good as long as the tag's digest is the same.
	known map[string]claim
	// fresh are the claims of announcements that were made just now: for the next
	// collection they need not be asked for. Should another job have announced
	// something else by then, the check that follows every write finds it.
	fresh map[string]claim
	// all is set once the listing from "TAG-" on proved incomplete: some
	// registries take only a tag that exists as the place to start from.
	all bool
}

// list gives the candidates in order. must are tags that this writer knows to
// be there; listed is false where the listing lacks one of them, so that it
// may lack those of other jobs too.
func (c *collector) list(ctx context.Context, must []string) (candidates []string, listed bool, err error) {
	for {
		last := c.tag + "-"
		if c.all {
			last = ""
		}
		tags, err := c.reg.Tags(ctx, last)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, false, listingError(c.tag, err)
		}
		missing := slices.ContainsFunc(must, func(t string) bool { return !slices.Contains(tags, t) })
		if missing && !c.all {
			c.all = true
			continue
		}
		for _, t := range tags {
			if _, ok := candidate(c.tag, t); ok {
				candidates = append(candidates, t)
			}
		}
		slices.Sort(candidates)
		return slices.Compact(candidates), !missing, nil
	}
}

// read reads the announcements under the given tags; a tag that holds what the index
// has for its platform already needs no reading. Slot i of the result is tag i; tags
// that are gone have an empty claim tag.
func (c *collector) read(ctx context.Context, tags []string, i manifest.Index) ([]claim, error) {
	out := make([]claim, len(tags))
	err := parallel(c.jobs, len(tags), func(n int) (err error) {
		out[n], err = c.readOne(ctx, tags[n], i)
		return err
	})
	if err != nil {
		return nil, err
	}
	clear(c.fresh)
	for _, cl := range out {
		if cl.tag != "" && !cl.held {
			c.known[cl.tag] = cl
		}
	}
	return slices.DeleteFunc(out, func(cl claim) bool { return cl.tag == "" }), nil
}

// parallel calls f for 0 to n-1, jobs at once, and joins the errors in that order.
// One job does one after the other, up to the first error.
func parallel(jobs, n int, f func(i int) error) error {
	if jobs <= 1 {
		for i := range n {
			if err := f(i); err != nil {
				return err
			}
		}
		return nil
	}
	errs := make([]error, n)
	var g errgroup.Group
	g.SetLimit(jobs)
	for i := range n {
		g.Go(func() error {
			errs[i] = f(i)
			return nil
		})
	}
	_ = g.Wait() // every error is in its slot
	return errors.Join(errs...)
}

func (c *collector) readOne(ctx context.Context, name string, i manifest.Index) (claim, error) {
	if fresh, ok := c.fresh[name]; ok {
		return fresh, nil
	}
	h, err := c.reg.Head(ctx, name)
	if fault.Is(err, fault.NotFound) {
		return claim{}, nil
	}
	if err != nil {
		return claim{}, fmt.Errorf("reading announcement '%s': %w", name, err)
	}
	if known, ok := c.known[name]; ok && known.digest == h {
		return known, nil
	}
	if h == c.marker {
		p, _ := candidate(c.tag, name)
		return claim{tag: name, digest: h, platform: p, withdrawn: true}, nil
	}
	if cl, ok := heldAs(i, name, c.tag, h); ok {
		return cl, nil
	}
	m, err := c.reg.Get(ctx, h.String())
	if fault.Is(err, fault.NotFound) {
		return claim{}, nil
	}
	if err != nil {
		return claim{}, fmt.Errorf("reading announcement '%s': %w", name, err)
	}
	cl, err := understand(ctx, c.reg, c.tag, name, m)
	if err != nil {
		return claim{}, fmt.Errorf("reading announcement '%s': %w", name, err)
	}
	return cl, nil
}

// heldAs saves reading an announced image that the index has already, under
// the platform that the tag names: whatever it says, nothing would change.
func heldAs(i manifest.Index, name, tag string, h v1.Hash) (claim, bool) {
	found, count := claim{}, 0
	for _, e := range i.Entries() {
		if !e.HasPlatform() || tag+"-"+e.Platform.Suffix() != name {
			continue
		}
		count++
		if e.Descriptor.Digest == h && !e.IsIndex {
			found = claim{tag: name, digest: h, platform: e.Platform, image: true, entry: e, held: true}
		}
	}
	return found, count == 1 && found.tag != ""
}

// expected are the announcement tags of the platforms, in the order given.
func expected(tag string, platforms []platform.Platform) ([]string, error) {
	var out []string
	for _, p := range platforms {
		name, err := Tag(tag, p)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out, nil
}

// names renders platforms for messages.
func names(list []platform.Platform) string {
	var out []string
	for _, p := range list {
		out = append(out, p.String())
	}
	return strings.Join(out, ", ")
}
