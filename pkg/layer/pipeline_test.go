//go:build unix

package layer_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/layer"
	"github.com/multipack/multipack/pkg/tree"
)

// memory is a file entry of data in memory; opened counts how often it is read.
func memory(name string, data []byte, opened *atomic.Int64) tree.Entry {
	return tree.Entry{Path: name, Type: tree.Regular, Mode: 0o644, Size: int64(len(data)), ID: name + hexSum(data),
		Open: func() (io.ReadCloser, error) {
			if opened != nil {
				opened.Add(1)
			}
			return io.NopCloser(bytes.NewReader(data)), nil
		}}
}

// bulk is like noise, but quickly made.
func bulk(seed uint64, n int) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	out := bytes.Repeat([]byte("the quick brown fox jumps over the lazy dog, and then once more."), n/64+1)[:n]
	random := rand.NewChaCha8(key)
	for i := 0; i+128 <= n; i += 128 {
		_, _ = random.Read(out[i : i+64])
	}
	_, _ = random.Read(out[:min(n, 8)])
	return out
}

// many is a tree of large, middle and very many small files.
func many(seed uint64) tree.Tree {
	t := tree.Tree{Name: "many"}
	for i, n := range []int{2<<20 + 1, 128 << 10, 128<<10 - 1, 1 << 20, 0, 1<<20 - 512} {
		t.Entries = append(t.Entries, memory(fmt.Sprintf("large%d", i), bulk(seed+uint64(i), n), nil))
	}
	for i := range 700 {
		t.Entries = append(t.Entries, memory(fmt.Sprintf("small%04d", i), bulk(uint64(i), 10+i*5), nil))
	}
	return t
}

func layerOf(t testing.TB, m *layer.Maker, tr tree.Tree) v1.Layer {
	t.Helper()
	l, err := m.Module(t.Context(), "buildpacks", "a/b", "1", tr, "linux")
	must(t, err)
	return l
}

func TestSameBytesWhateverTheWorkers(t *testing.T) {
	t.Parallel()
	var want string
	for _, workers := range []int{1, 2, 8} {
		got := digest(t, layerOf(t, maker(t, layer.Options{Workers: workers}), many(7)))
		if want == "" {
			want = got
		}
		equal(t, fmt.Sprintf("%d workers", workers), got, want)
	}
	// What a Maker compressed before changes nothing either.
	m := maker(t, layer.Options{Workers: 2})
	for seed := range uint64(3) {
		digest(t, layerOf(t, m, many(100+seed)))
	}
	equal(t, "used maker", digest(t, layerOf(t, m, many(7))), want)
	equal(t, "discarded", digest(t, layerOf(t, maker(t, layer.Options{Discard: true}), many(7))), want)
}

// spooled is how many bytes of compressed segments a Maker keeps.
func spooled(t testing.TB, dir string) int64 {
	t.Helper()
	files, err := os.ReadDir(dir)
	must(t, err)
	var n int64
	for _, f := range files {
		info, err := f.Info()
		must(t, err)
		n += info.Size()
	}
	return n
}

// Layers that share most of their files share the compressed segments, whatever
// the order of the rest; small files too.
func TestSharedContentIsCompressedOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := maker(t, layer.Options{Dir: dir})
	first := layerOf(t, m, many(7))
	size, err := first.Size()
	must(t, err)
	for i := range 4 {
		tr := many(7)
		own := memory(fmt.Sprintf("small0000-%d", i), bulk(uint64(5000+i), 300<<10), nil)
		small := memory(fmt.Sprintf("a%d", i), bulk(uint64(6000+i), 1000+i), nil)
		tr.Entries = append([]tree.Entry{small, own}, tr.Entries...)
		digest(t, layerOf(t, m, tr))
	}
	if got, limit := spooled(t, dir), size+4*(1<<20); got > limit {
		t.Errorf("five layers take %d bytes, one takes %d: want at most %d", got, size, limit)
	}
}

// Everybody who asks for the same gets the one build.
func TestSameLayerIsBuiltOnce(t *testing.T) {
	t.Parallel()
	var opened atomic.Int64
	tr := tree.Tree{Name: "x", Entries: []tree.Entry{memory("f", bulk(1, 1<<20), &opened)}}
	m := maker(t, layer.Options{Workers: 4})
	digests := make([]string, 16)
	var group sync.WaitGroup
	for i := range digests {
		group.Go(func() { digests[i] = digest(t, layerOf(t, m, tr)) })
	}
	group.Wait()
	for _, d := range digests {
		equal(t, "digest", d, digests[0])
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("the content was read %d times", n)
	}
	// Another name, another mode, another content: another layer.
	for _, edit := range []func(*tree.Entry){
		func(e *tree.Entry) { e.Path = "g" },
		func(e *tree.Entry) { e.Mode = 0o755 },
		func(e *tree.Entry) { *e = memory("f", bulk(2, 1<<20), nil) },
	} {
		e := tr.Entries[0]
		edit(&e)
		if d := digest(t, layerOf(t, m, tree.Tree{Name: "y", Entries: []tree.Entry{e}})); d == digests[0] {
			t.Error("a different tree has the same digest")
		}
	}
	// Contents without identity are never taken for each other.
	a, b := memory("f", []byte("a"), nil), memory("f", []byte("b"), nil)
	a.ID, b.ID = "", ""
	if digest(t, layerOf(t, m, tree.Tree{Entries: []tree.Entry{a}})) == digest(t, layerOf(t, m, tree.Tree{Entries: []tree.Entry{b}})) {
		t.Error("contents without identity were mixed up")
	}
}

// counting is content that is never the same twice, made without allocating.
type counting struct{ at, size int64 }

func (c *counting) Read(p []byte) (int, error) {
	n := int64(len(p))
	if n > c.size-c.at {
		n = c.size - c.at
	}
	if n == 0 {
		return 0, io.EOF
	}
	clear(p[:n])
	for i := int64(0); i+8 <= n; i += 4096 {
		binary.LittleEndian.PutUint64(p[i:], uint64(c.at+i))
	}
	c.at += n
	return int(n), nil
}

func (c *counting) Close() error { return nil }

// All allocations ever made for a layer stay far below its size, so what is held
// at once does too. Not parallel: it counts for the whole process.
func TestMemoryIsBounded(t *testing.T) {
	const size, workers = 128 << 20, 2
	m := maker(t, layer.Options{Workers: workers})
	tr := tree.Tree{Name: "huge", Entries: []tree.Entry{{Path: "huge", Type: tree.Regular, Size: size, ID: "huge",
		Open: func() (io.ReadCloser, error) { return &counting{size: size}, nil }}}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	l := layerOf(t, m, tr)
	digest(t, l)
	rc, err := l.Compressed()
	must(t, err)
	_, err = io.Copy(io.Discard, rc)
	must(t, err)
	runtime.ReadMemStats(&after)
	if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(workers*10<<20); got > limit {
		t.Errorf("%d bytes allocated for a layer of %d, want at most %d", got, size, limit)
	}
}

func TestObserveCountsContent(t *testing.T) {
	t.Parallel()
	var done, total int64
	m := maker(t, layer.Options{Observe: func(d, of int64) {
		if d < done || of < total {
			t.Errorf("progress went back: %d of %d after %d of %d", d, of, done, total)
		}
		done, total = d, of
	}})
	tr := many(7)
	digest(t, layerOf(t, m, tr))
	if done != tr.Size() || total != tr.Size() {
		t.Errorf("observed %d of %d, want %d", done, total, tr.Size())
	}
}

// blocking is content that lets the test act in the middle of a build.
type blocking struct {
	io.Reader
	reached chan<- struct{}
	resume  <-chan struct{}
	once    sync.Once
}

func (b *blocking) Read(p []byte) (int, error) {
	b.once.Do(func() { b.reached <- struct{}{}; <-b.resume })
	return b.Reader.Read(p)
}

func (b *blocking) Close() error { return nil }

// paused is a tree whose build stops at its second file until resume is closed.
func paused() (tr tree.Tree, reached, resume chan struct{}) {
	reached, resume = make(chan struct{}, 8), make(chan struct{})
	data := bulk(3, 3<<20)
	e := memory("z", data, nil)
	e.Open = func() (io.ReadCloser, error) {
		return &blocking{Reader: bytes.NewReader(data), reached: reached, resume: resume}, nil
	}
	return tree.Tree{Name: "paused", Entries: []tree.Entry{memory("a", bulk(4, 2<<20), nil), e}}, reached, resume
}

func TestCancellation(t *testing.T) {
	t.Parallel()
	tr, reached, resume := paused()
	m := maker(t, layer.Options{})
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("told to stop")
	l, err := m.Module(ctx, "buildpacks", "a", "1", tr, "linux")
	must(t, err)
	<-reached
	cancel(why)
	close(resume)
	if _, err := l.Digest(); !errors.Is(err, why) || !fault.Is(err, fault.Interrupted) {
		t.Errorf("digest of a cancelled layer: %v", err)
	}
	if _, err := l.Compressed(); !errors.Is(err, why) {
		t.Errorf("content of a cancelled layer: %v", err)
	}
	// The Maker is as good as before.
	again, err := m.Module(t.Context(), "buildpacks", "a", "1", tr, "linux")
	must(t, err)
	digest(t, again)
}

// A build goes on while anybody who asked for it is still there.
func TestOneOfTwoAskersLeaves(t *testing.T) {
	t.Parallel()
	tr, reached, resume := paused()
	m := maker(t, layer.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	_, err := m.Module(ctx, "buildpacks", "a", "1", tr, "linux")
	must(t, err)
	<-reached
	stays, err := m.Module(t.Context(), "buildpacks", "a", "1", tr, "linux")
	must(t, err)
	cancel()
	close(resume)
	digest(t, stays)
}

func TestCloseEndsBuildsAndRemovesFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tr, reached, resume := paused()
	m := layer.NewMaker(layer.Options{Dir: dir})
	l, err := m.Module(t.Context(), "buildpacks", "a", "1", tr, "linux")
	must(t, err)
	<-reached
	go close(resume)
	must(t, m.Close())
	if _, err := l.Digest(); err == nil {
		t.Error("a closed maker finished the layer")
	}
	left, err := os.ReadDir(dir)
	must(t, err)
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := m.Module(t.Context(), "buildpacks", "b", "1", tr, "linux"); err == nil {
		t.Error("a closed maker took another layer")
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, file string){
		"longer": func(t *testing.T, file string) {
			f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
			must(t, err)
			_, err = f.WriteString("more")
			must(t, errors.Join(err, f.Close()))
		},
		"shorter": func(t *testing.T, file string) { must(t, os.Truncate(file, 10)) },
		"gone":    func(t *testing.T, file string) { must(t, os.Remove(file)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := folder{t, t.TempDir()}
			f.file("dir/data", 0o644, bulk(1, 300<<10))
			tr := open(t, f.root)
			spoil(t, filepath.Join(f.root, "dir/data"))
			l := layerOf(t, maker(t, layer.Options{}), tr)
			_, err := l.Digest()
			if err == nil || !fault.Is(err, fault.Failed) || !strings.Contains(err.Error(), filepath.Join(f.root, "dir/data")) {
				t.Errorf("got %v, want a failure that names the file", err)
			}
		})
	}
}

func TestSpoolThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	m := layer.NewMaker(layer.Options{Dir: filepath.Join(t.TempDir(), "missing")})
	if _, err := layerOf(t, m, many(7)).Digest(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want an error about the folder", err)
	}
	must(t, m.Close())
}

func TestDiscardKeepsNoContent(t *testing.T) {
	t.Parallel()
	l := layerOf(t, maker(t, layer.Options{Discard: true}), many(7))
	digest(t, l)
	if _, err := l.Compressed(); err == nil {
		t.Error("a discarded layer has content")
	}
	if _, err := l.Uncompressed(); err == nil {
		t.Error("a discarded layer has content")
	}
}

func TestWhatHasNoPlaceInALayer(t *testing.T) {
	t.Parallel()
	m := maker(t, layer.Options{})
	for _, c := range [][4]string{
		{"buildpacks", "a", "1", "darwin"}, {"buildpacks", "a", "1", ""}, {"other", "a", "1", "linux"},
		{"buildpacks", "a", "../1", "linux"}, {"buildpacks", "a", "..", "linux"}, {"buildpacks", "..", "1", "linux"},
		{"buildpacks", "", "1", "linux"}, {"buildpacks", "a", "", "linux"}, {"buildpacks", "a", "1/2", "linux"},
	} {
		if _, err := m.Module(t.Context(), c[0], c[1], c[2], tree.Tree{}, c[3]); !fault.Is(err, fault.Usage) {
			t.Errorf("%v: got %v, want a usage error", c, err)
		}
	}
}
