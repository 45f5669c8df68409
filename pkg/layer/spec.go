package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/tree"
)

// recipe names everything that decides a layer's bytes beside its entries: the
// headers, the segments, the compressor and its level. It is part of cache keys;
// whoever changes any of these changes it. A test over golden digests tells.
const recipe = "tar1 seg1 klauspost-flate-1.20-level3"

// epoch is the time of every entry, pack's constant.
var epoch = time.Unix(315532801, 0).UTC() // 1980-01-01T00:00:01Z

// spec is what a layer is made of, before anything is read.
type spec struct {
	name    string // in messages
	os      string
	modules []tree.Module
	raw     []byte // a finished tar instead of modules
}

// newSpec checks what decides the layer's paths.
func newSpec(modules []tree.Module, os string) (spec, error) {
	switch os {
	case "linux", "freebsd", "windows":
	default:
		return spec{}, fault.New(fault.Usage, "creating a layer: provided image OS '%s' must be either 'freebsd', 'linux' or 'windows'", os)
	}
	if len(modules) == 0 {
		return spec{}, fault.New(fault.Usage, "creating a layer: it would hold no module")
	}
	var names []string
	for _, m := range modules {
		name := m.ID + "@" + m.Version
		if m.Kind != "buildpacks" && m.Kind != "extensions" {
			return spec{}, fault.New(fault.Usage, "creating the layer of '%s': unknown kind of module '%s'", name, m.Kind)
		}
		if !isName(escape(m.ID)) || !isName(m.Version) {
			return spec{}, fault.New(fault.Usage, "creating the layer of '%s': id and version must be usable as names of folders", name)
		}
		names = append(names, name)
	}
	return spec{name: strings.Join(names, "', '"), os: os, modules: modules}, nil
}

// escape makes an id the name of a folder, the lifecycle's way.
func escape(id string) string { return strings.ReplaceAll(id, "/", "_") }

// isName reports whether s can be one name in a path.
func isName(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/\\\x00")
}

// contents is the number of bytes of file content.
func (s spec) contents() int64 {
	n := int64(len(s.raw))
	for _, m := range s.modules {
		n += m.Tree.Size()
	}
	return n
}

// key identifies a spec: id within the process; durable: in other processes too.
type key struct {
	id      string
	durable bool
}

// key is a digest over all headers and the contents' identities. Where a
// content has none, the number that fresh gives stands in for it.
func (s spec) key(fresh func() int64) key {
	h := sha256.New()
	k := key{durable: true}
	fmt.Fprintf(h, "%s\n%s\n", recipe, s.os)
	h.Write(s.raw)
	_ = s.each(func(hdr tar.Header, e *tree.Entry) error {
		id := ""
		if e != nil {
			id = e.ID
			k.durable = k.durable && id != "" && e.Durable
			if id == "" {
				id = "anonymous:" + strconv.FormatInt(fresh(), 10)
			}
		}
		fmt.Fprintf(h, "%q %d %o %q %d %d %d %q\n", hdr.Name, hdr.Typeflag, hdr.Mode, hdr.Linkname, hdr.Size, hdr.Devmajor, hdr.Devminor, id)
		return nil
	})
	k.id = hex.EncodeToString(h.Sum(nil))
	return k
}

// write sends the tar into the stream.
func (s spec) write(ctx context.Context, out *stream) error {
	if s.raw != nil {
		return out.write(ctx, s.raw)
	}
	var head bytes.Buffer
	err := s.each(func(h tar.Header, e *tree.Entry) error {
		head.Reset()
		// A writer per header: contents pass it by, straight into the segments.
		if err := tar.NewWriter(&head).WriteHeader(&h); err != nil {
			return fmt.Errorf("writing entry '%s': %w", h.Name, err)
		}
		if err := out.entry(ctx, head.Bytes()); err != nil || e == nil {
			return err
		}
		return out.content(ctx, e)
	})
	if err != nil {
		return err
	}
	return out.write(ctx, make([]byte, 1024)) // the end of a tar
}

// each calls yield with every header in order, and with the entry whose content
// follows it, if any does.
func (s spec) each(yield func(tar.Header, *tree.Entry) error) error {
	if s.os == "windows" {
		yield = windowsPaths(yield)
	}
	seen := map[string]bool{}
	for _, m := range s.modules {
		home := path.Join("/cnb", m.Kind, escape(m.ID))
		base := path.Join(home, m.Version)
		if seen[base] {
			continue
		}
		for _, dir := range []string{home, base} {
			if seen[dir] {
				continue
			}
			seen[dir] = true
			if err := yield(tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755, ModTime: epoch}, nil); err != nil {
				return err
			}
		}
		for i := range m.Tree.Entries {
			e := &m.Tree.Entries[i]
			h := header(e, base)
			if e.Type != tree.Regular || e.Size == 0 {
				e = nil
			}
			if err := yield(h, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// header is an entry's header by pack's rules. Its format is left open, so that
// archive/tar takes USTAR where the names fit and PAX where they do not.
func header(e *tree.Entry, base string) tar.Header {
	h := tar.Header{Name: path.Join(base, e.Path), Mode: mode(e), ModTime: epoch}
	switch e.Type {
	case tree.Regular:
		h.Typeflag, h.Size = tar.TypeReg, e.Size
	case tree.Dir:
		h.Typeflag = tar.TypeDir
	case tree.Symlink:
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.Link
	case tree.Hardlink:
		h.Typeflag, h.Linkname = tar.TypeLink, path.Join(base, e.Link)
	case tree.Fifo:
		h.Typeflag = tar.TypeFifo
	case tree.CharDevice:
		h.Typeflag, h.Devmajor, h.Devminor = tar.TypeChar, e.Major, e.Minor
	case tree.BlockDevice:
		h.Typeflag, h.Devmajor, h.Devminor = tar.TypeBlock, e.Major, e.Minor
	}
	return h
}

// mode is 0755 for directories, for what the lifecycle runs, and for all that
// anybody may execute; else 0644.
func mode(e *tree.Entry) int64 {
	switch {
	case e.Type == tree.Dir, e.Mode&0o111 != 0:
		return 0o755
	case e.Path == "bin/build", e.Path == "bin/detect", e.Path == "bin/generate":
		return 0o755
	}
	return 0o644
}
