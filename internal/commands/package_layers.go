package commands

import (
	"context"
	"errors"
	"path/filepath"
	"sync"

	"github.com/multipack/multipack/internal/ui"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/layer"
)

// knownLayers bounds the cache of what layers turned out to be; each takes a
// small file.
const knownLayers = 4096

// newMaker makes layers; in a dry run it only hashes them.
func (p *packaging) newMaker() (*layer.Maker, error) {
	dir, err := p.scratch()
	if err != nil {
		return nil, err
	}
	p.compression = &compression{console: p.console}
	options := layer.Options{Dir: dir, Workers: p.jobs(), Discard: p.flags.dryRun, Observe: p.compression.observe}
	// What is written to standard output cannot be taken back, should the cache
	// turn out to be wrong.
	if cache := p.cacheDir(); cache != "" && !p.to.stdout() {
		options.Cache = layer.NewFileCache(filepath.Join(cache, "layers"), knownLayers)
	}
	maker := layer.NewMaker(options)
	p.atEnd(func() { _ = maker.Close() })
	return maker, nil
}

// pack makes the images and puts them where they belong. Digests may come from
// the cache of layers. That one of them was wrong shows when the layer's content
// is asked for, before any name is written; it is right by then, and everything
// is made once more.
func (p *packaging) pack(ctx context.Context, builds []buildpack.PlatformBuild, options buildpack.Options) error {
	err := p.packOnce(ctx, builds, options)
	if errors.Is(err, layer.ErrStale) {
		p.console.Debug("%s: packaging again", err)
		err = p.packOnce(ctx, builds, options)
	}
	return err
}

func (p *packaging) packOnce(ctx context.Context, builds []buildpack.PlatformBuild, options buildpack.Options) error {
	defer p.compression.end()
	images, err := buildpack.PackAll(ctx, builds, options)
	if err != nil {
		return err
	}
	p.compression.end()
	if p.flags.append {
		return p.append(ctx, images)
	}
	return p.publish(ctx, images)
}

// compression shows how far the making of layers is.
type compression struct {
	console *ui.Console

	mu          sync.Mutex
	bar         *ui.Progress // nil while nothing is compressed
	done, total int64
	told        int64 // of done, the bytes that a line told of
}

// observe is a layer.Maker's observer: bytes of files, over all layers.
func (c *compression) observe(done, total int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done, c.total = done, total
	if c.bar == nil {
		c.bar = c.console.Progress()
	}
	c.bar.Update("Compressing", "", done, total)
	if done == total {
		c.hide()
	}
}

// end takes the bar away and tells what was compressed since the last time.
func (c *compression) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hide()
	if c.done == c.total && c.done > c.told {
		c.console.Finished("Compressed %s of files", ui.Size(c.done-c.told))
		c.told = c.done
	}
}

func (c *compression) hide() {
	if c.bar != nil {
		c.bar.Close()
		c.bar = nil
	}
}
