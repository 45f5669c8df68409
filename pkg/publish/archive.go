package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/fsx"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
)

// layoutVersion is the oci-layout file.
const layoutVersion = `{"imageLayoutVersion":"1.0.0"}`

// Archive publishes to tars of an OCI image layout with the artifact as its
// only content: oci-archive:FILE, other FILEs, and "-". A FILE is replaced as a
// whole and gets its name when everything is in it.
type Archive struct {
	// Out is what "-" means.
	Out io.Writer
	// DockerLoad adds the manifest.json that `docker load` reads; of several
	// platforms Host's comes first and has the names.
	DockerLoad bool
	Host       platform.Platform
	// Observe is told of the progress; nil for nobody.
	Observe Observer
}

// Publish implements Publisher.
func (p *Archive) Publish(ctx context.Context, a manifest.Artifact, to Target) (Report, error) {
	s, err := p.Stage(ctx, a, to)
	return commitStaged(ctx, s, err)
}

// Stage implements Stager: a temporary file beside FILE. For "-" nothing is
// written before Commit.
func (p *Archive) Stage(ctx context.Context, a manifest.Artifact, to Target) (Staged, error) {
	t, entries, err := p.prepare(ctx, a, to)
	if err != nil {
		return nil, err
	}
	return stageTar(ctx, tarWrite{tree: t, to: to, entries: entries, out: p.Out, observe: p.Observe})
}

// Plan implements Stager.
func (p *Archive) Plan(ctx context.Context, a manifest.Artifact, to Target) (Report, error) {
	t, _, err := p.prepare(ctx, a, to)
	if err != nil {
		return Report{}, err
	}
	return planned(t, to)
}

func (p *Archive) prepare(ctx context.Context, a manifest.Artifact, to Target) (*tree, []tarEntry, error) {
	switch to.Ref.Kind {
	case reference.Archive, reference.File, reference.Stdio:
	default:
		return nil, nil, fault.New(fault.Usage, "publishing to '%s': it is no archive", to.Ref)
	}
	t, err := wholeTree(ctx, a)
	if err != nil {
		return nil, nil, fmt.Errorf("preparing '%s': %w", to.Ref, err)
	}
	if err := wantDigest(to.Ref, t.root.desc.Digest); err != nil {
		return nil, nil, err
	}
	entries, err := p.entries(t, to)
	return t, entries, err
}

// entries are the files of the archive: the small ones that say what it is,
// then blobs, children before what points at them.
func (p *Archive) entries(t *tree, to Target) ([]tarEntry, error) {
	index, err := t.layoutEntries(to)
	if err != nil {
		return nil, err
	}
	raw, err := layoutIndex(index)
	if err != nil {
		return nil, err
	}
	out := []tarEntry{dataEntry("oci-layout", []byte(layoutVersion)), dataEntry("index.json", raw)}
	if p.DockerLoad {
		names, err := layoutNames(to)
		if err != nil {
			return nil, err
		}
		docker, err := dockerManifest(t.images(), p.Host, repoTags(names))
		if err != nil {
			return nil, err
		}
		out = append(out, dataEntry("manifest.json", docker))
	}
	return append(out, blobEntries(contents(t.root))...), nil
}

// layoutIndex is the index.json of a layout with the given entries.
func layoutIndex(entries []v1.Descriptor) ([]byte, error) {
	return json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: entries})
}

func blobEntries(cs []content) []tarEntry {
	out := make([]tarEntry, len(cs))
	for i, c := range cs {
		out[i] = tarEntry{name: blobPath(c.desc.Digest), size: c.desc.Size, digest: c.desc.Digest, open: c.open}
	}
	return out
}

// tarWrite is one artifact on its way into one tar.
type tarWrite struct {
	tree    *tree
	to      Target
	entries []tarEntry
	out     io.Writer
	observe Observer
	temp    *fsx.Temp // nil for standard output
}

// stdio reports whether a target is standard output.
func stdio(to Target) bool { return to.Ref.Kind == reference.Stdio || to.Ref.Path == "-" }

func stageTar(ctx context.Context, w tarWrite) (Staged, error) {
	if stdio(w.to) {
		if w.out == nil {
			return nil, fault.New(fault.Usage, "publishing to '%s': there is no standard output", w.to.Ref)
		}
		return &w, nil
	}
	temp, err := fsx.Create(w.to.Ref.Path)
	if err != nil {
		return nil, err
	}
	w.temp = temp
	if err := w.write(ctx, temp); err != nil {
		w.Abort()
		return nil, err
	}
	return &w, nil
}

func (w *tarWrite) write(ctx context.Context, to io.Writer) error {
	if err := writeTar(ctx, to, w.entries); err != nil {
		return fmt.Errorf("writing '%s': %w", w.to.Ref, err)
	}
	return nil
}

// Commit implements Staged.
func (w *tarWrite) Commit(ctx context.Context) (Report, error) {
	if w.temp == nil {
		if err := w.write(ctx, w.out); err != nil {
			return Report{}, err
		}
	} else if err := w.temp.Commit(); err != nil {
		return Report{}, err
	}
	w.tree.root.mark(Uploaded)
	w.observe.tell(Event{Kind: "write", Ref: w.to.Ref.Display(), Descriptor: w.tree.root.desc})
	return tarReport(w.tree, w.to), nil
}

// Abort implements Staged.
func (w *tarWrite) Abort() {
	if w.temp != nil {
		_ = w.temp.Abort() // there is an error to tell already, and it is the cause
	}
}

func tarReport(t *tree, to Target) Report {
	r := t.report(to.Ref.Display())
	if names, err := layoutNames(to); err == nil && to.Ref.Kind != reference.DockerArchive {
		for _, n := range names {
			if n != "" {
				r.Tags = append(r.Tags, n)
			}
		}
	}
	return r
}

// planned is the report of a dry run where everything would be written.
func planned(t *tree, to Target) (Report, error) {
	t.root.mark(Planned)
	r := tarReport(t, to)
	r.DryRun = true
	return r, nil
}
