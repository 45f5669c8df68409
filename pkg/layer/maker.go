// Package layer turns trees into image layers: pack's tar recipe, hashed, and
// compressed in parallel blocks into one gzip member whose bytes depend on the
// content alone.
//
// A layer is a sequence of segments. Where one ends follows from the tar's
// entries: a large file starts its own and is cut every MiB, small entries are
// gathered and parted where an entry's header says so. Segments are compressed
// independently of each other, so the same file gives the same compressed bytes
// in every layer, and a Maker compresses and stores each distinct segment once.
package layer

import (
	"context"
	"errors"
	"hash/maphash"
	"runtime"
	"sync"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/tree"
)

// Options say how a Maker works. None of them changes a layer's bytes.
type Options struct {
	// Dir is the folder for the temporary file that holds compressed segments;
	// "" is the system's one.
	Dir string
	// Workers is how many segments are compressed, and how many trees are read,
	// at once over all layers of the Maker; 0 or less: one per core, at most 16.
	// A worker takes about 5 MB of memory.
	Workers int
	// Discard makes layers that know their digests and sizes only, for dry runs:
	// Compressed and Uncompressed are errors. Segments are still kept until
	// Close, to be shared between layers.
	Discard bool
	// Observe, if set, is told of progress, in bytes of file content: done of
	// total over all layers asked for so far. Calls do not overlap.
	Observe func(done, total int64)
	// Cache, if set, remembers digests between runs.
	Cache Cache
}

// Maker makes layers. All methods are safe for concurrent use.
type Maker struct {
	opts Options

	readers  chan struct{} // one token per tree being read
	buffers  chan []byte   // every buffer for uncompressed segments; nil: not made yet
	encoders chan *encoder // every encoder; nil: not made yet
	store    store
	seeds    [2]maphash.Seed // of content

	mu      sync.Mutex
	flights map[string]*flight
	memo    map[content]*block
	closed  bool
	running sync.WaitGroup

	anonymous atomic.Int64 // contents without identity

	progress    sync.Mutex
	done, total int64
}

// NewMaker makes a Maker; Close it when its layers are no longer needed.
func NewMaker(opts Options) *Maker {
	if opts.Workers <= 0 {
		opts.Workers = min(runtime.GOMAXPROCS(0), 16)
	}
	m := &Maker{
		opts:     opts,
		readers:  make(chan struct{}, opts.Workers),
		buffers:  make(chan []byte, 3*opts.Workers),
		encoders: make(chan *encoder, opts.Workers),
		store:    store{dir: opts.Dir},
		flights:  map[string]*flight{},
		memo:     map[content]*block{},
		seeds:    [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
	}
	for range cap(m.buffers) {
		m.buffers <- nil
	}
	for range cap(m.encoders) {
		m.encoders <- nil
	}
	return m
}

// Module is the layer of one buildpack or extension for an operating system
// ("linux", "freebsd" or "windows"): the tree below /cnb/<kind>/<id>/<version>,
// where every "/" of the id is "_". kind is "buildpacks" or "extensions". It
// returns at once; the layer is built in the background, once for all callers
// that ask for the same, and its Digest, DiffID and Size wait for that. The build
// ends when the contexts of all that asked for it have ended.
//
// Errors: fault.Usage for an operating system, id or version that has no place
// in a layer. What goes wrong while building is the error of the layer's methods.
func (m *Maker) Module(ctx context.Context, kind, id, version string, t tree.Tree, os string) (v1.Layer, error) {
	return m.Flat(ctx, []tree.Module{{Kind: kind, ID: id, Version: version, Tree: t}}, os)
}

// Flat is one layer that holds several modules, in the order given: each as in
// Module, the folder that several versions of one id share written once, and a
// module that comes twice taken once. Otherwise it is like Module.
func (m *Maker) Flat(ctx context.Context, modules []tree.Module, os string) (v1.Layer, error) {
	spec, err := newSpec(modules, os)
	if err != nil {
		return nil, err
	}
	return m.layer(ctx, spec)
}

// WindowsBase is the layer that every Windows image starts with when it has no
// other base. Its bytes are always the same.
func (m *Maker) WindowsBase(ctx context.Context) (v1.Layer, error) {
	spec, err := windowsBaseSpec()
	if err != nil {
		return nil, err
	}
	return m.layer(ctx, spec)
}

// Close ends builds that are still running and removes temporary files; the
// Maker's layers cannot be read any more.
func (m *Maker) Close() error {
	m.mu.Lock()
	m.closed = true
	for _, f := range m.flights {
		f.cancel(errClosed)
	}
	m.mu.Unlock()
	m.running.Wait()
	return m.store.close()
}

var errClosed = errors.New("the layer maker was closed")

// layer is the spec's layer: from a build that is there or under way, from the
// cache, or from a new build.
func (m *Maker) layer(ctx context.Context, s spec) (v1.Layer, error) {
	key := s.key(func() int64 { return m.anonymous.Add(1) })
	if f := m.join(ctx, key.id); f != nil {
		return &layer{maker: m, build: f.wait}, nil
	}
	if m.opts.Cache != nil && key.durable {
		if known, ok := m.opts.Cache.Get(key.id); ok {
			return m.known(ctx, key, s, known), nil
		}
	}
	f, err := m.start(ctx, key, s)
	if err != nil {
		return nil, err
	}
	return &layer{maker: m, build: f.wait}, nil
}

// known is a layer whose digests come from the cache. It is built when its
// content is asked for, and then held against what the cache said.
func (m *Maker) known(ctx context.Context, key key, s spec, k Known) v1.Layer {
	build := sync.OnceValues(func() (*built, error) {
		f, err := m.start(ctx, key, s)
		if err != nil {
			return nil, err
		}
		b, err := f.wait()
		if err == nil && b.Known != k {
			return nil, failure{fault.New(fault.Failed, "building the layer of '%s': %w: digest '%s' expected, '%s' built", s.name, ErrStale, k.Digest, b.Digest)}
		}
		return b, err
	})
	return &layer{maker: m, build: build, known: &k}
}

// observe counts progress.
func (m *Maker) observe(done, total int64) {
	if m.opts.Observe == nil {
		return
	}
	m.progress.Lock()
	defer m.progress.Unlock()
	m.done += done
	m.total += total
	m.opts.Observe(m.done, m.total)
}
