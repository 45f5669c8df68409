package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/fsx"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/ocilayout"
	"github.com/multipack/multipack/pkg/platform"
	"github.com/multipack/multipack/pkg/reference"
)

// cnbExtension is the only ending that counts as one: bp-1.2.3 has none.
const cnbExtension = ".cnb"

// CNB publishes packaged buildpacks as files: tars of an OCI image layout with
// one image manifest, which pack and skopeo read. One platform is NAME.cnb;
// several are one file each. Media types are those of the artifact, so that
// digests are the registry's.
type CNB struct {
	// Out is what the path "-" means: one file only.
	Out io.Writer
	// Single writes one file for all platforms instead: its index.json is the
	// artifact's index byte for byte, and pack reads its first platform.
	Single bool
	// Name gives the file for one of several platforms; stem is the target's path
	// without .cnb. Nil means CNBName.
	Name func(stem string, p platform.Platform) string
	// Observe is told of the progress; nil for nobody.
	Observe Observer
}

// CNBName is STEM-os-arch[-variant][-osversion].cnb.
func CNBName(stem string, p platform.Platform) string {
	return stem + "-" + p.Suffix() + cnbExtension
}

// Publish implements Publisher: all files or none.
func (p *CNB) Publish(ctx context.Context, a manifest.Artifact, to Target) (Report, error) {
	s, err := p.Stage(ctx, a, to)
	return commitStaged(ctx, s, err)
}

// Stage implements Stager: temporary files beside the final ones. For "-"
// nothing is written before Commit.
func (p *CNB) Stage(ctx context.Context, a manifest.Artifact, to Target) (Staged, error) {
	w, err := p.prepare(ctx, a, to)
	if err != nil {
		return nil, err
	}
	if w.stdout() {
		return w, nil
	}
	w.temps = make([]*fsx.Temp, len(w.files))
	err = each(ctx, len(w.files), func(ctx context.Context, i int) error {
		return w.tree.gate.run(ctx, func() error { return w.write(ctx, i) })
	})
	if err != nil {
		w.Abort()
		return nil, err
	}
	return w, nil
}

// Plan implements Stager; the report's paths are those of the real run.
func (p *CNB) Plan(ctx context.Context, a manifest.Artifact, to Target) (Report, error) {
	w, err := p.prepare(ctx, a, to)
	if err != nil {
		return Report{}, err
	}
	r := w.report(Planned)
	r.DryRun = true
	return r, nil
}

// cnbWrite is one artifact on its way into files.
type cnbWrite struct {
	*CNB
	tree  *tree
	to    Target
	files []cnbFile
	temps []*fsx.Temp
}

type cnbFile struct {
	path  string
	index []byte
	nodes []*node
}

func (p *CNB) prepare(ctx context.Context, a manifest.Artifact, to Target) (*cnbWrite, error) {
	if to.Ref.Kind != reference.File || to.Ref.Path == "" || to.Ref.Path == "-" && p.Out == nil {
		return nil, fault.New(fault.Usage, "publishing to '%s': it is no file", to.Ref)
	}
	t, err := wholeTree(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("preparing '%s': %w", to.Ref, err)
	}
	if err := wantDigest(to.Ref, t.root.desc.Digest); err != nil {
		return nil, err
	}
	w := &cnbWrite{CNB: p, tree: t, to: to}
	if err := w.plan(); err != nil {
		return nil, err
	}
	if w.stdout() && len(w.files) > 1 {
		err := fault.New(fault.Usage, "publishing to '%s': standard output is one file, and there are %d platforms", to.Ref, len(w.files))
		return nil, fault.Hint(err, "put all of them into one file with --single-file, or choose one with --platform")
	}
	return w, nil
}

// stdout reports whether the one file goes to standard output.
func (w *cnbWrite) stdout() bool { return w.to.Ref.Path == "-" }

// plan decides which files there are and what is in them.
func (w *cnbWrite) plan() error {
	stem := strings.TrimSuffix(w.to.Ref.Path, cnbExtension)
	images := w.tree.images()
	if w.Single && w.tree.root.desc.MediaType.IsIndex() {
		// index.json is the root itself, so only what is below it are blobs.
		nodes := make([]*node, len(w.tree.root.children))
		for i, c := range w.tree.root.children {
			nodes[i] = c.node
		}
		w.files = []cnbFile{{path: w.alone(), index: w.tree.root.raw, nodes: nodes}}
		return nil
	}
	naming := w.Name
	if naming == nil {
		naming = CNBName
	}
	taken := map[string]string{}
	for _, img := range images {
		path := w.alone()
		if len(images) > 1 {
			path = naming(stem, img.platform())
		}
		if other, ok := taken[path]; ok {
			return fault.New(fault.Usage, "publishing to '%s': '%s' would hold both %s and %s", w.to.Ref, path, other, img.platform())
		}
		taken[path] = img.platform().String()
		index, err := cnbIndex(img.node)
		if err != nil {
			return err
		}
		w.files = append(w.files, cnbFile{path: path, index: index, nodes: []*node{img.node}})
	}
	if len(w.files) == 0 {
		return fault.New(fault.NotFound, "publishing to '%s': the index holds no images", w.to.Ref)
	}
	return nil
}

// alone is the path of the only file.
func (w *cnbWrite) alone() string {
	if w.stdout() {
		return "-"
	}
	return strings.TrimSuffix(w.to.Ref.Path, cnbExtension) + cnbExtension
}

// cnbIndex is an index.json the way pack writes it: indented by three spaces,
// one descriptor without platform or name.
func cnbIndex(n *node) ([]byte, error) {
	d := v1.Descriptor{MediaType: n.desc.MediaType, Digest: n.desc.Digest, Size: int64(len(n.raw))}
	return json.MarshalIndent(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{d}}, "", "   ")
}

func (w *cnbWrite) write(ctx context.Context, i int) error {
	temp, err := fsx.Create(w.files[i].path)
	if err != nil {
		return err
	}
	w.temps[i] = temp
	return w.writeTo(ctx, temp, w.files[i])
}

func (w *cnbWrite) writeTo(ctx context.Context, out io.Writer, f cnbFile) error {
	var blobs []ocilayout.Blob
	for _, c := range contents(f.nodes...) {
		blobs = append(blobs, ocilayout.Blob{Digest: c.desc.Digest, Size: c.desc.Size, Open: c.open})
	}
	if err := ocilayout.WriteTar(ctx, out, f.index, nil, blobs); err != nil {
		return fmt.Errorf("writing '%s': %w", f.path, err)
	}
	return nil
}

// Commit implements Staged.
func (w *cnbWrite) Commit(ctx context.Context) (Report, error) {
	if err := ctx.Err(); err != nil {
		w.Abort()
		return Report{}, err
	}
	if w.stdout() {
		if err := w.writeTo(ctx, w.Out, w.files[0]); err != nil {
			return Report{}, err
		}
		return w.report(Uploaded), nil
	}
	var written []string
	for i, t := range w.temps {
		if err := t.Commit(); err != nil {
			w.Abort()
			if len(written) > 0 {
				err = fmt.Errorf("%w (written already: '%s')", err, strings.Join(written, "', '"))
			}
			return Report{}, err
		}
		written = append(written, w.files[i].path)
		w.Observe.tell(Event{Kind: "write", Ref: w.files[i].path, Descriptor: w.files[i].nodes[0].desc})
	}
	return w.report(Uploaded), nil
}

// Abort implements Staged.
func (w *cnbWrite) Abort() {
	for _, t := range w.temps {
		if t != nil {
			_ = t.Abort() // there is an error to tell already, and it is the cause
		}
	}
}

func (w *cnbWrite) report(a Action) Report {
	w.tree.root.mark(a)
	r := w.tree.report(w.to.Ref.Display())
	in := map[v1.Hash]string{}
	for _, f := range w.files {
		for _, c := range contents(f.nodes...) {
			in[c.desc.Digest] = f.path
		}
	}
	for i := range r.Images {
		r.Images[i].Path = in[r.Images[i].Manifest]
	}
	return r
}
