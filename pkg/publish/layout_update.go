package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/ocilayout"
	"github.com/multipack/multipack/pkg/reference"
)

// Update changes what names of a layout hold, where other processes may do the
// same at once: none of their changes is lost.
type Update struct {
	// Images are what the change brings. They are written before the layout is locked.
	Images []manifest.Artifact
	// Change gives the index that a name shall hold in place of current, which
	// is nil where the layout has no such name. It runs under the layout's lock,
	// once for each name.
	Change func(name reference.Ref, current manifest.Artifact) (manifest.Index, error)
}

// Update makes a change to the target's names: to that of its reference and to
// those of Tags, whose reports are the first one's Also.
func (p *Layout) Update(ctx context.Context, u Update, to Target) (Report, error) {
	content := Target{Ref: to.Ref, NoTag: true}
	parts, err := u.eachImage(ctx, func(ctx context.Context, a manifest.Artifact) (Report, error) {
		s, err := p.Stage(ctx, a, content)
		return commitStaged(ctx, s, err)
	})
	if err != nil {
		return Report{}, err
	}
	dir, err := ocilayout.Create(to.Ref.Path)
	if err != nil {
		return Report{}, err
	}
	var reports []Report
	err = dir.SetEntries(ctx, func(entries []v1.Descriptor) ([]v1.Descriptor, error) {
		changes, err := u.changes(ctx, to, entries, parts)
		if err != nil {
			return nil, err
		}
		for _, c := range changes {
			raw := c.raw
			written, err := dir.WriteBlob(ctx, c.entry.Digest, c.entry.Size, func() (io.ReadCloser, error) {
				return io.NopCloser(bytes.NewReader(raw)), nil
			})
			if err != nil {
				return nil, err
			}
			if entries, err = place(entries, c.entry); err != nil {
				return nil, err
			}
			c.report.Action = wrote(written)
			reports = append(reports, c.report)
		}
		return entries, nil
	})
	if err != nil {
		return Report{}, fmt.Errorf("writing to '%s': %w", to.Ref.Display(), err)
	}
	return first(reports, nil)
}

// PlanUpdate says what Update would do, and writes nothing.
func (p *Layout) PlanUpdate(ctx context.Context, u Update, to Target) (Report, error) {
	content := Target{Ref: to.Ref, NoTag: true}
	parts, err := u.eachImage(ctx, func(ctx context.Context, a manifest.Artifact) (Report, error) {
		return p.Plan(ctx, a, content)
	})
	if err != nil {
		return Report{}, err
	}
	var entries []v1.Descriptor
	l, err := ocilayout.OpenContext(ctx, to.Ref.Path)
	switch {
	case err == nil:
		defer l.Close()
		entries = l.Descriptors()
	case !fault.Is(err, fault.NotFound) && !errors.Is(err, ocilayout.ErrNotLayout):
		return Report{}, err
	}
	changes, err := u.changes(ctx, to, entries, parts)
	if err != nil {
		return Report{}, err
	}
	reports := make([]Report, len(changes))
	for i, c := range changes {
		reports[i] = c.report
		reports[i].DryRun = true
		if c.written {
			reports[i].Action = Planned
		}
	}
	return first(reports, nil)
}

// eachImage does one thing with all images, several at once.
func (u Update) eachImage(ctx context.Context, fn func(context.Context, manifest.Artifact) (Report, error)) ([]Report, error) {
	parts := make([]Report, len(u.Images))
	return parts, each(ctx, len(u.Images), func(ctx context.Context, i int) (err error) {
		parts[i], err = fn(ctx, u.Images[i])
		return err
	})
}

// nameChange is what becomes of one name.
type nameChange struct {
	entry   v1.Descriptor
	raw     []byte
	written bool // the name holds something else so far
	report  Report
}

func (u Update) changes(ctx context.Context, to Target, entries []v1.Descriptor, parts []Report) ([]nameChange, error) {
	names, err := layoutNames(to)
	if err != nil {
		return nil, err
	}
	out := make([]nameChange, len(names))
	for n, name := range names {
		ref := to.Ref
		if name != ref.Tag {
			ref = ref.WithTag(name)
		}
		if out[n], err = u.change(ctx, ref, name, entries, parts); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (u Update) change(ctx context.Context, ref reference.Ref, name string, entries []v1.Descriptor, parts []Report) (nameChange, error) {
	have, err := entryNamed(entries, name)
	if err != nil {
		return nameChange{}, err
	}
	next, err := u.ask(ctx, ref, have)
	if err != nil {
		return nameChange{}, err
	}
	d, err := next.Descriptor()
	if err != nil {
		return nameChange{}, err
	}
	c := nameChange{entry: named(d, name), written: have == nil || have.Digest != d.Digest}
	if c.raw, err = next.Raw(); err != nil {
		return nameChange{}, err
	}
	c.report, err = Joined(ref.Display(), next, parts)
	if name != "" {
		c.report.Tags = []string{name}
	}
	return c, err
}

// ask calls Change with what the entry describes, nil for no entry.
func (u Update) ask(ctx context.Context, ref reference.Ref, have *v1.Descriptor) (manifest.Index, error) {
	if have == nil {
		return u.Change(ref, nil)
	}
	l, err := ocilayout.OpenContext(ctx, ref.Path)
	if err != nil {
		return manifest.Index{}, err
	}
	defer l.Close()
	current, err := l.Artifact(*have)
	if err != nil {
		return manifest.Index{}, err
	}
	return u.Change(ref, current)
}

// entryNamed is the entry that place would replace, nil where there is none.
// Several of one name are a fault.Conflict: only one of them could be kept.
func entryNamed(entries []v1.Descriptor, name string) (*v1.Descriptor, error) {
	var found []v1.Descriptor
	for _, d := range entries {
		is := nameOf(d)
		if (is == "") == (name == "") && sameName(is, name) && !slices.ContainsFunc(found, func(f v1.Descriptor) bool { return f.Digest == d.Digest }) {
			found = append(found, d)
		}
	}
	switch {
	case len(found) == 0:
		return nil, nil
	case len(found) == 1:
		return &found[0], nil
	case name == "":
		return nil, fault.Hint(fault.New(fault.Conflict, "choosing the entry to append to: %d entries have no name", len(found)),
			"name one with ':TAG' after the path")
	}
	return nil, fault.New(fault.Conflict, "choosing the entry to append to: %d entries have the name '%s'", len(found), name)
}
