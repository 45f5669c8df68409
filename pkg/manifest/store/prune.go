package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fsx"
)

// Spared is the age that blobs must have before Prune drops them: a command
// that is running may be about to point at a younger one.
const Spared = time.Hour

// PruneOptions say what Prune drops.
type PruneOptions struct {
	// OlderThan is the age that what is dropped must have; 0 is Spared.
	OlderThan time.Duration
	// DryRun counts and drops nothing.
	DryRun bool
}

// Pruned is what Prune dropped.
type Pruned struct {
	// Blobs is the number of blobs and Bytes the space that they took; what
	// lists shared counts once, when the last of them lets it go.
	Blobs int
	Bytes int64
}

// Prune drops the blobs that no list needs, and what killed commands left. A
// list that cannot be read keeps all its blobs, and is an error after all
// others were pruned.
func (s *Store) Prune(ctx context.Context, o PruneOptions) (Pruned, error) {
	if o.OlderThan <= 0 {
		o.OlderThan = Spared
	}
	p := &pruning{s: s, before: s.o.Now().Add(-o.OlderThan), dry: o.DryRun, kept: map[string]bool{}, freed: map[string]int64{}}
	folders, err := s.folders()
	if err != nil {
		return Pruned{}, fmt.Errorf("pruning '%s': %w", s.lists(), err)
	}
	var errs []error
	for _, dir := range folders {
		if err := context.Cause(ctx); err != nil {
			return p.result(), err
		}
		if err := p.locked(ctx, dir); err != nil {
			errs = append(errs, fmt.Errorf("pruning '%s': %w", dir, err))
		}
	}
	errs = append(errs, p.blobs(s.pool(), func(name string) bool { return p.kept[name] }))
	if !p.dry {
		for _, dir := range []string{s.lists(), s.pool()} {
			_, err := s.o.FS.Sweep(dir, p.before)
			errs = append(errs, err)
		}
	}
	return p.result(), errors.Join(errs...)
}

// pruning is one run of Prune.
type pruning struct {
	s      *Store
	before time.Time
	dry    bool
	kept   map[string]bool // blobs that some list still has
	freed  map[string]int64
	out    Pruned // of blobs that are not shared
}

// result is what was dropped so far.
func (p *pruning) result() Pruned {
	out := p.out
	for name, size := range p.freed {
		if !p.kept[name] {
			out.Blobs++
			out.Bytes += size
		}
	}
	return out
}

func (p *pruning) locked(ctx context.Context, dir string) error {
	unlock, err := p.s.lock(ctx, dir+lockSuffix)
	if err != nil {
		return err
	}
	return errors.Join(p.list(dir), unlock())
}

// list prunes one list's folder.
func (p *pruning) list(dir string) error {
	blobs := filepath.Join(dir, "blobs", "sha256")
	needed, exists, err := p.s.needed(dir)
	if err != nil {
		return errors.Join(err, p.keepAll(blobs))
	}
	if err := p.blobs(blobs, func(name string) bool { return needed[name] }); err != nil {
		return err
	}
	if p.dry {
		return nil
	}
	for _, d := range []string{dir, blobs} {
		if _, err := p.s.o.FS.Sweep(d, p.before); err != nil {
			return err
		}
	}
	if exists {
		return nil
	}
	// A folder of a list that was never created, once it is empty and old.
	left, err := os.ReadDir(blobs)
	if err != nil && !errors.Is(err, fs.ErrNotExist) || len(left) > 0 {
		return err
	}
	if info, err := os.Stat(dir); err != nil || !info.ModTime().Before(p.before) {
		return err
	}
	return p.s.o.FS.RemoveTree(dir)
}

// needed are the names of the blobs that the list in dir points at; exists is
// false where there is no list in it.
func (s *Store) needed(dir string) (needed map[string]bool, exists bool, err error) {
	needed = map[string]bool{}
	raw, err := s.o.FS.ReadFile(filepath.Join(dir, indexFile))
	if errors.Is(err, fs.ErrNotExist) {
		return needed, false, nil
	}
	if err != nil {
		return nil, true, err
	}
	doc, err := parseDocument(raw)
	if err != nil {
		return nil, true, fmt.Errorf("'%s' cannot be read: %w", filepath.Join(dir, indexFile), err)
	}
	w := walker{s: s, dir: dir, visit: func(h v1.Hash) { needed[h.Hex] = true }, missing: func(v1.Hash) {}}
	for _, m := range doc.Manifests {
		if err := w.walk(m.Digest); err != nil {
			return nil, true, err
		}
	}
	return needed, true, nil
}

// keepAll lets the pool keep what a list that cannot be read may share.
func (p *pruning) keepAll(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		p.kept[e.Name()] = true
	}
	return nil
}

// blobs drops the old files of dir that are not needed.
func (p *pruning) blobs(dir string, needed func(name string) bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || fsx.IsTemp(e.Name()) {
			continue
		}
		if err != nil {
			return err
		}
		if needed(e.Name()) || !info.ModTime().Before(p.before) {
			p.kept[e.Name()] = true
			continue
		}
		if !p.dry {
			if err := p.s.o.FS.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
		if info.Size() >= shared {
			p.freed[e.Name()] = info.Size()
			continue
		}
		p.out.Blobs++
		p.out.Bytes += info.Size()
	}
	return nil
}
