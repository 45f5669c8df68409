package dependency

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/tree"
	"github.com/multipack/multipack/pkg/tree/load"
)

// Unpacker gives the trees of modules that exist only as layers: what flattening
// needs. Each layer is read once, uncompressed from whatever it is compressed
// with, to a file of its own. Its methods may be called at once.
type Unpacker struct {
	// Dir is the folder for these files.
	Dir string

	mu     sync.Mutex
	layers map[v1.Hash]func() (*load.Loaded, error)
}

// Tree is the content of a module's layer, below the module's own folder. It can
// be read until Close.
func (u *Unpacker) Tree(ctx context.Context, m buildpack.Module) (tree.Tree, error) {
	loaded, err := u.layer(ctx, m.Content)()
	if err != nil {
		return tree.Tree{}, fmt.Errorf("unpacking layer '%s': %w", m.Content.DiffID, err)
	}
	info := m.Descriptor.Info
	home := path.Join("cnb", m.Descriptor.Kind+"s", strings.ReplaceAll(info.ID, "/", "_"), info.Version)
	for _, root := range []string{home, path.Join("Files", home)} {
		if t, ok := loaded.Tree.Sub(root); ok {
			t.Name = m.FullName()
			return t, nil
		}
	}
	return tree.Tree{}, fault.New(fault.Failed, "unpacking layer '%s': it has no folder '/%s'", m.Content.DiffID, home)
}

func (u *Unpacker) layer(ctx context.Context, c buildpack.Content) func() (*load.Loaded, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.layers == nil {
		u.layers = map[v1.Hash]func() (*load.Loaded, error){}
	}
	open, ok := u.layers[c.DiffID]
	if !ok {
		open = sync.OnceValues(func() (*load.Loaded, error) { return u.unpack(ctx, c) })
		u.layers[c.DiffID] = open
	}
	return open
}

func (u *Unpacker) unpack(ctx context.Context, c buildpack.Content) (*load.Loaded, error) {
	content, err := c.Layer.Uncompressed()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	f, err := os.CreateTemp(u.Dir, "multipack-layer-*.tar")
	if err != nil {
		return nil, fault.New(fault.Failed, "making a temporary file: %w", err)
	}
	hash := sha256.New()
	_, err = io.CopyBuffer(io.MultiWriter(f, hash), content, make([]byte, 256<<10))
	err = errors.Join(err, f.Close())
	if got := hex.EncodeToString(hash.Sum(nil)); err == nil && got != c.DiffID.Hex {
		err = fault.New(fault.Failed, "its content has the diff id 'sha256:%s'", got)
	}
	var loaded *load.Loaded
	if err == nil {
		loaded, err = load.Open(ctx, f.Name(), load.Options{Dir: u.Dir})
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(f.Name()))
	}
	return loaded, nil
}

// Close removes the files.
func (u *Unpacker) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	var errs []error
	for _, open := range u.layers {
		if loaded, err := open(); err == nil {
			errs = append(errs, loaded.Close(), os.Remove(loaded.File))
		}
	}
	u.layers = nil
	return errors.Join(errs...)
}
