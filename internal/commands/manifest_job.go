package commands

import (
	"context"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/gather"
	"github.com/multipack/multipack/pkg/manifest/store"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/reference"
)

// listJob is one change of a list: what create, add, annotate and rm have in
// common, wherever the list is.
type listJob struct {
	publishFlags
	dryRun bool
	// tag is the list's name, and given how the user wrote it.
	tag   name.Tag
	given string
	// create is set where the list must not exist, or is to be replaced.
	create, replace bool
	// fresh is what a created list starts from.
	fresh manifest.Index
	// refs are the sources and items what they bring.
	refs  []reference.Ref
	items []gather.Item
	// change makes the change. It is pure but for what `have` reads, may be
	// called more than once, and sees every change that others made before.
	change func(idx manifest.Index, have listContext) (listChange, error)
	// success are the lines that say that it worked.
	success []string
}

// listContext is what a change may ask about the list that it changes.
type listContext struct {
	// origins are the references that entries were added from.
	origins manifest.Origins
	// declared is the platform of the config of an entry's image.
	declared func(v1.Hash) (platform.Platform, error)
}

// listChange is the result of a change.
type listChange struct {
	index    manifest.Index
	steps    []changeDocument
	warnings []string
	// append is set where the list is a tag that others may write too.
	append *publish.Append
}

// runList makes the change where the list is.
func (s *session) runList(ctx context.Context, job listJob) error {
	if job.publish {
		return s.changePublished(ctx, job)
	}
	return s.changeStored(ctx, job)
}

// changeStored makes the change in the store: the network first, then a trial,
// so that nothing is copied for a change that cannot be made, then the content,
// and last the change itself under the list's lock.
func (s *session) changeStored(ctx context.Context, job listJob) error {
	st, err := s.store()
	if err != nil {
		return err
	}
	var start store.List
	if !job.create {
		if start, err = st.Load(ctx, job.tag); err != nil {
			return err
		}
	} else {
		start.Index = job.fresh
	}
	result, err := job.change(start.Index, contextOf(start))
	if err != nil {
		return err
	}
	if job.dryRun {
		return s.planned(job, result)
	}
	if err := s.keep(ctx, st, job); err != nil {
		return err
	}
	origins := gather.Origins(job.items)
	if job.create {
		_, err = st.Create(ctx, job.tag, result.index, store.CreateOptions{Replace: job.replace, Origins: origins})
	} else {
		_, err = st.UpdateList(ctx, job.tag, func(l store.List) (manifest.Index, error) {
			result, err = job.change(l.Index, contextOf(l))
			return result.index, err
		}, origins...)
	}
	if err != nil {
		return err
	}
	return s.changed(job, result)
}

// keep copies what the list has to keep of the items into the store.
func (s *session) keep(ctx context.Context, st *store.Store, job listJob) error {
	progress := s.console.Progress()
	defer progress.Close()
	return gather.Keep(ctx, st, job.tag, job.items, func(i gather.Item) {
		if i.Deep {
			progress.Finished("Copied '%s' of '%s' into the store", i.Entry, job.refs[i.Source])
		}
	})
}

// contextOf answers from the store, without the network.
func contextOf(l store.List) listContext {
	return listContext{origins: l.Origins, declared: func(h v1.Hash) (platform.Platform, error) {
		a, err := l.Child(h)
		if err != nil {
			return platform.Platform{}, err
		}
		return gather.Declared(a)
	}}
}

// mustBeNew refuses a list that exists, before anything is read for it.
func (s *session) mustBeNew(ctx context.Context, tag name.Tag) error {
	st, err := s.store()
	if err != nil {
		return err
	}
	exists, err := st.Exists(ctx, tag)
	if err != nil || !exists {
		return err
	}
	familiar := reference.Familiar(tag)
	return fault.Hint(fault.New(fault.Conflict, "creating manifest list '%s': the list exists already", familiar),
		"use --replace to start it afresh, or 'multipack manifest remove %s'", familiar)
}
