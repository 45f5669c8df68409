package announce

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
)

// content is what is stored by digest. It only grows, so that reading it is no
// step that an interleaving could change.
type content struct {
	mu        sync.Mutex
	manifests map[string]Manifest
	blobs     map[string][]byte
}

func newContent() *content {
	return &content{manifests: map[string]Manifest{}, blobs: map[string][]byte{}}
}

func (c *content) add(raw []byte, mt types.MediaType) Manifest {
	m, err := manifestOf(bytes.Clone(raw), mt)
	if err != nil {
		panic(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.manifests[m.Digest.String()] = m
	return m
}

func (c *content) manifest(h string) (Manifest, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m, ok := c.manifests[h]; ok {
		return m, nil
	}
	return Manifest{}, fault.New(fault.NotFound, "no manifest '%s'", h)
}

func (c *content) blob(h v1.Hash) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b, ok := c.blobs[h.String()]; ok {
		return b, nil
	}
	return nil, fault.New(fault.NotFound, "no blob '%s'", h)
}

func (c *content) addBlob(data []byte) v1.Hash {
	h, _, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		panic(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blobs[h.String()] = data
	return h
}

// memory is a registry that reads its own writes. hook, where set, runs before
// every operation and may fail it.
type memory struct {
	*content
	mu   sync.Mutex
	tags map[string]string
	hook func(op, ref string) error
	log  []string
}

func newMemory() *memory { return &memory{content: newContent(), tags: map[string]string{}} }

func (r *memory) step(op, ref string) error {
	r.log = append(r.log, strings.TrimSpace(op+" "+ref))
	if r.hook != nil {
		return r.hook(op, ref)
	}
	return nil
}

func (r *memory) Get(_ context.Context, ref string) (Manifest, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.step("GET", ref); err != nil {
		return Manifest{}, err
	}
	if strings.Contains(ref, ":") {
		return r.manifest(ref)
	}
	return r.manifest(r.tags[ref])
}

func (r *memory) Read(ctx context.Context, tag string, before Manifest) (Manifest, error) {
	if before.Raw != nil {
		if h, err := r.Head(ctx, tag); err != nil || h == before.Digest {
			return before, err
		}
	}
	return r.Get(ctx, tag)
}

func (r *memory) Head(_ context.Context, tag string) (v1.Hash, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.step("HEAD", tag); err != nil {
		return v1.Hash{}, err
	}
	m, err := r.manifest(r.tags[tag])
	return m.Digest, err
}

func (r *memory) Blob(_ context.Context, h v1.Hash) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.step("BLOB", h.String()); err != nil {
		return nil, err
	}
	return r.blob(h)
}

func (r *memory) Tags(_ context.Context, last string) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.step("TAGS", last); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(r.tags)), func(t string) bool { return t <= last }), nil
}

func (r *memory) Put(_ context.Context, ref string, raw []byte, mt types.MediaType) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.step("PUT", ref); err != nil {
		return err
	}
	m := r.add(raw, mt)
	if !strings.Contains(ref, ":") {
		r.tags[ref] = m.Digest.String()
	}
	return nil
}

func (r *memory) PutBlob(_ context.Context, data []byte, _ types.MediaType) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.step("PUTBLOB", ""); err != nil {
		return err
	}
	r.addBlob(data)
	return nil
}

// tag points a tag at a manifest, without a step.
func (r *memory) tag(name string, m Manifest) { r.tags[name] = m.Digest.String() }

// image makes an image of the platform; seed tells images apart. An empty
// platform makes a config that names none.
func (c *content) image(p, seed string) Manifest {
	config := map[string]any{"rootfs": map[string]any{"type": "layers"}, "config": map[string]any{"Labels": map[string]string{"seed": seed}}}
	if p != "" {
		q := mustPlatform(p)
		config["os"], config["architecture"] = q.OS, q.Arch
		if q.Variant != "" {
			config["variant"] = q.Variant
		}
		if q.OSVersion != "" {
			config["os.version"] = q.OSVersion
		}
	}
	raw, err := json.Marshal(config)
	if err != nil {
		panic(err)
	}
	h := c.addBlob(raw)
	manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"size":%d,"digest":%q},"layers":[]}`,
		types.OCIManifestSchema1, types.OCIConfigJSON, len(raw), h)
	return c.add([]byte(manifest), types.OCIManifestSchema1)
}

func mustPlatform(s string) platform.Platform {
	p, err := platform.Parse(s)
	if err != nil {
		panic(err)
	}
	return p
}

// descriptor is the entry for m; fields is further JSON, "" for none.
func descriptor(m Manifest, p, fields string) json.RawMessage {
	s := fmt.Sprintf(`{"mediaType":%q,"size":%d,"digest":%q`, m.MediaType, len(m.Raw), m.Digest)
	if p != "" {
		raw, err := json.Marshal(mustPlatform(p).V1())
		if err != nil {
			panic(err)
		}
		s += `,"platform":` + string(raw)
	}
	if fields != "" {
		s += "," + fields
	}
	return json.RawMessage(s + "}")
}

// index makes an index of the entries; fields is further JSON for the index itself.
func (c *content) index(fields string, entries ...json.RawMessage) Manifest {
	var list []string
	for _, e := range entries {
		list = append(list, string(e))
	}
	if fields != "" {
		fields = "," + fields
	}
	raw := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s]%s}`, types.OCIImageIndex, strings.Join(list, ","), fields)
	return c.add([]byte(raw), types.OCIImageIndex)
}

// addition brings an image of p under its own platform.
func (c *content) addition(p, seed string) (Addition, Manifest) {
	m := c.image(p, seed)
	return Addition{Entry: descriptor(m, p, "")}, m
}

// held are the platforms and digests of the index under a tag, read without
// any of the package's code.
func (r *memory) held(t testing.TB, tag string) map[string]string {
	t.Helper()
	return heldIn(t, r.content, r.tags[tag])
}

func heldIn(t testing.TB, c *content, digest string) map[string]string {
	t.Helper()
	m, err := c.manifest(digest)
	if err != nil {
		t.Fatalf("no index under the tag: %v", err)
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(m.Raw, &index); err != nil {
		t.Fatalf("what is under the tag is no index: %v\n%s", err, m.Raw)
	}
	out := map[string]string{}
	for _, e := range index.Manifests {
		if e.Platform == nil {
			out["-"] = e.Digest.String()
			continue
		}
		p := platform.FromV1(e.Platform).Normalize().String()
		if _, dup := out[p]; dup {
			t.Fatalf("two entries for %s:\n%s", p, m.Raw)
		}
		out[p] = e.Digest.String()
	}
	return out
}

// configOf is the config of an image.
func (c *content) configOf(t testing.TB, m Manifest) []byte {
	t.Helper()
	var parsed v1.Manifest
	if err := json.Unmarshal(m.Raw, &parsed); err != nil {
		t.Fatal(err)
	}
	config, err := c.blob(parsed.Config.Digest)
	if err != nil {
		t.Fatal(err)
	}
	return config
}
