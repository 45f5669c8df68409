package source

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/ocilayout"
	"github.com/multipack/multipack/pkg/ocilayout/tarfile"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
)

// Stat is the reference.Stat of the real disk.
func Stat(path string) (exists, isDir bool) {
	info, err := os.Stat(path)
	return err == nil, err == nil && info.IsDir()
}

// openLayout reads a layout directory, or a tar of one.
func openLayout(ctx context.Context, r reference.Ref) (manifest.Artifact, func() error, error) {
	l, err := ocilayout.OpenContext(ctx, r.Path)
	if err != nil {
		return nil, nil, err
	}
	return resolve(l, r.Tag, r.Digest)
}

func resolve(l *ocilayout.Layout, tag, digest string) (manifest.Artifact, func() error, error) {
	a, err := l.Resolve(tag, digest)
	if err != nil {
		l.Close()
		return nil, nil, err
	}
	return a, l.Close, nil
}

// openFile reads a tar that is an OCI layout, a docker archive, or both.
func (d *dispatcher) openFile(ctx context.Context, r reference.Ref) (manifest.Artifact, func() error, error) {
	info, err := os.Stat(r.Path)
	if err == nil && info.IsDir() {
		if r.Kind == reference.DockerArchive {
			return nil, nil, fault.New(fault.Usage, "opening '%s': it is a directory", r)
		}
		return openLayout(ctx, r)
	}
	t, err := d.tar(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	return d.openTar(ctx, r, t)
}

// tar opens the file or standard input.
func (d *dispatcher) tar(ctx context.Context, r reference.Ref) (*tarfile.File, error) {
	if r.Kind == reference.Stdio {
		return d.stdin(ctx, r)
	}
	t, err := tarfile.Open(ctx, r.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.NotFound, "opening '%s': there is no such file", r)
	case err != nil:
		return nil, fault.New(fault.Failed, "opening '%s': %w", r, err)
	}
	return t, nil
}

func (d *dispatcher) openStdin(ctx context.Context, r reference.Ref) (manifest.Artifact, func() error, error) {
	t, err := d.stdin(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	return d.openTar(ctx, r, t)
}

func (d *dispatcher) stdin(ctx context.Context, r reference.Ref) (*tarfile.File, error) {
	if d.deps.Stdin == nil {
		return nil, unreadable(r)
	}
	t, err := tarfile.Spool(ctx, d.deps.Stdin)
	if err != nil {
		return nil, fault.New(fault.Failed, "reading standard input: %w", err)
	}
	return t, nil
}

// openDaemon spools what the engine saves and opens that. Engines from 25 on
// save a docker archive that is an OCI layout too.
func (d *dispatcher) openDaemon(ctx context.Context, r reference.Ref, want []platform.Platform) (manifest.Artifact, func() error, error) {
	if d.deps.Daemon == nil {
		return nil, nil, unreadable(r)
	}
	engine, err := d.deps.Daemon(ctx)
	if err != nil {
		return nil, nil, err
	}
	rc, err := engine.Save(ctx, reference.Familiar(r.Name), want...)
	if err != nil {
		return nil, nil, err
	}
	defer rc.Close()
	t, err := tarfile.Spool(ctx, rc)
	if err != nil {
		return nil, nil, fault.New(fault.Failed, "saving '%s': %w", r, err)
	}
	return d.openTar(ctx, r, t)
}

// openTar takes t over.
func (d *dispatcher) openTar(ctx context.Context, r reference.Ref, t *tarfile.File) (manifest.Artifact, func() error, error) {
	layout, archive := t.Has("index.json"), t.Has("manifest.json")
	switch {
	case layout && (t.Has("oci-layout") || !archive):
		l, err := ocilayout.FromTar(r.Given, t)
		if err != nil {
			return nil, nil, err
		}
		a, done, err := resolveNamed(l, r)
		if err == nil || !archive || r.Kind != reference.DockerArchive || !fault.Is(err, fault.NotFound) {
			return a, done, err
		}
		// A name that only manifest.json knows: the file is opened once more.
		if t, err = tarfile.Open(ctx, r.Path); err != nil {
			return nil, nil, fault.New(fault.Failed, "opening '%s': %w", r, err)
		}
		return d.openDockerArchive(ctx, r, t)
	case archive:
		return d.openDockerArchive(ctx, r, t)
	default:
		t.Close()
		return nil, nil, neither(r)
	}
}

func neither(r reference.Ref) error {
	err := fault.New(fault.Failed, "opening '%s': the tar holds neither an OCI image layout nor a docker archive", r)
	return fault.Hint(err, "a packaged buildpack, 'docker save' and 'skopeo copy' write such files")
}

// resolveNamed looks up what r names in the layout within a tar. The engine
// saves just what it was asked for, and not always under the same name.
func resolveNamed(l *ocilayout.Layout, r reference.Ref) (manifest.Artifact, func() error, error) {
	tag, digest := r.Tag, r.Digest
	switch r.Kind {
	case reference.Daemon:
		tag, digest = "", ""
		if _, err := l.Resolve(tag, digest); err != nil {
			tag = reference.Canonical(r.Name)
		}
	case reference.DockerArchive:
		tag, digest = "", r.Digest
		if r.Name != nil {
			tag = reference.Canonical(r.Name)
		}
	}
	return resolve(l, tag, digest)
}
