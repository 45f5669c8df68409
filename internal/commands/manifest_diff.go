package commands

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/ui"
	"github.com/multipack/multipack/pkg/manifest"
)

func newManifestDiff(s *session) *cobra.Command {
	return documents(&cobra.Command{
		Use:   "diff A B",
		Short: "Show what differs between two manifest lists, indexes or images",
		Long: `Show which entries B has that A has not (+), which it lacks (-), and which are different there (~), and what else differs in the index.

A and B are lists of the local store, else references of any kind. An image is compared as an index with one entry.
The first line names both with their digests. The exit code is 6 when they differ, and 0 when they say the same, also where their bytes differ in white space.`,
		Example: `  multipack manifest diff app:1 ghcr.io/acme/app:1
  multipack manifest diff ghcr.io/acme/app:1 oci-archive:app.tar -o json`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return s.diff(cmd.Context(), given[0], given[1])
		},
	})
}

// diffDocument is -o json of `manifest diff`.
type diffDocument struct {
	A         sideDocument        `json:"a"`
	B         sideDocument        `json:"b"`
	Equal     bool                `json:"equal"`
	Added     []entryDocument     `json:"added"`
	Removed   []entryDocument     `json:"removed"`
	Changed   []entryDiffDocument `json:"changed"`
	Fields    []string            `json:"fields"`
	Reordered bool                `json:"reordered"`
	Error     *errorBody          `json:"error,omitempty"`
}

// sideDocument is one of two things that are compared.
type sideDocument struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
}

// entryDiffDocument is an entry that both have, with something else in it.
type entryDiffDocument struct {
	Old    entryDocument `json:"old"`
	New    entryDocument `json:"new"`
	Fields []string      `json:"fields"`
}

func (s *session) diff(ctx context.Context, a, b string) error {
	var side [2]sideDocument
	var index [2]manifest.Index
	for n, given := range []string{a, b} {
		f, err := s.find(ctx, given)
		if err != nil {
			return err
		}
		if index[n], err = indexOf(f); err != nil {
			return fmt.Errorf("comparing '%s': %w", given, err)
		}
		h, err := f.artifact.Digest()
		if err != nil {
			return err
		}
		side[n] = sideDocument{Name: f.name(), Digest: h.String()}
	}
	d := manifest.Diff(index[0], index[1])
	doc := newDiffDocument(side, d)
	err := error(nil)
	if !doc.Equal {
		err = fault.New(fault.Check, "comparing '%s' with '%s': they differ", a, b)
	}
	if s.globals.output == "" {
		s.writeDiff(doc, d)
		return err
	}
	if err != nil {
		body := bodyOf(err)
		doc.Error, err = &body, &documentedError{err}
	}
	if e := s.console.Document(s.globals.output, doc); e != nil {
		return e
	}
	return err
}

// indexOf is what was found as an index; an image is the only entry of one.
func indexOf(f found) (manifest.Index, error) {
	if img, ok := f.artifact.(v1.Image); ok {
		return manifest.Around(img)
	}
	raw, err := f.artifact.RawManifest()
	if err != nil {
		return manifest.Index{}, err
	}
	return manifest.Parse(raw)
}

func newDiffDocument(side [2]sideDocument, d manifest.Difference) diffDocument {
	doc := diffDocument{
		A: side[0], B: side[1], Equal: d.IsEmpty(), Reordered: d.Reordered,
		Added: []entryDocument{}, Removed: []entryDocument{}, Changed: []entryDiffDocument{}, Fields: append([]string{}, d.Fields...),
	}
	for _, e := range d.Added {
		doc.Added = append(doc.Added, newEntryDocument(e, nil))
	}
	for _, e := range d.Removed {
		doc.Removed = append(doc.Removed, newEntryDocument(e, nil))
	}
	for _, c := range d.Changed {
		doc.Changed = append(doc.Changed, entryDiffDocument{Old: newEntryDocument(c.Old, nil), New: newEntryDocument(c.New, nil), Fields: c.Fields})
	}
	return doc
}

// writeDiff shows a difference as a table: what is compared in the first line,
// then a row for each entry that differs.
func (s *session) writeDiff(doc diffDocument, d manifest.Difference) {
	s.console.Result(fmt.Sprintf("%s@%s %s@%s", doc.A.Name, doc.A.Digest, doc.B.Name, doc.B.Digest))
	if doc.Equal {
		s.console.Note("They say the same")
		return
	}
	t := ui.Table{Head: []ui.Cell{{}, {Text: "PLATFORM"}, {Text: "DIGEST"}, {Text: "DIFFERENCE"}}, Fixed: 2}
	row := func(sign string, pen ui.Pen, what, digest, how string) {
		t.Rows = append(t.Rows, []ui.Cell{{Text: sign, Pen: pen}, {Text: what}, {Text: s.brief(digest)}, {Text: how}})
	}
	for _, e := range d.Removed {
		row("-", ui.Bad, kindText(e), e.Descriptor.Digest.String(), "removed")
	}
	for _, e := range d.Added {
		row("+", ui.Good, kindText(e), e.Descriptor.Digest.String(), "added")
	}
	for _, c := range d.Changed {
		row("~", ui.Changed, kindText(c.Old), c.Old.Descriptor.Digest.String(), strings.Join(s.changeTexts(c), "; "))
	}
	for _, field := range doc.Fields {
		row("~", ui.Changed, "the index", "", field)
	}
	if doc.Reordered {
		row("~", ui.Changed, "the index", "", "order of the entries")
	}
	s.console.Table(t)
}

// kindText is what an entry is called: its platform, else what it is.
func kindText(e manifest.Entry) string {
	switch {
	case e.IsAttestation:
		return "attestation"
	case e.Platform.String() != "":
		return e.Platform.String()
	case e.IsIndex:
		return "index"
	}
	return "-"
}

// changeTexts say what is different about an entry.
func (s *session) changeTexts(c manifest.Change) []string {
	var out []string
	for _, field := range c.Fields {
		switch field {
		case "digest":
			out = append(out, "digest now "+s.brief(c.New.Descriptor.Digest.String()))
		case "platform":
			out = append(out, "platform now "+orDefault(c.New.Platform.String(), "none"))
		case "mediaType":
			out = append(out, "media type now "+string(c.New.Descriptor.MediaType))
		case "annotations":
			out = append(out, annotationTexts(c.Old.Descriptor.Annotations, c.New.Descriptor.Annotations)...)
		default:
			out = append(out, field)
		}
	}
	return out
}

// annotationTexts say which annotations are different, sorted by name.
func annotationTexts(a, b map[string]string) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if now, ok := b[k]; !ok {
			out = append(out, fmt.Sprintf("annotation '%s' gone", k))
		} else if now != a[k] {
			out = append(out, fmt.Sprintf("annotation '%s' now '%s'", k, now))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(b)) {
		if _, ok := a[k]; !ok {
			out = append(out, fmt.Sprintf("annotation '%s' new: '%s'", k, b[k]))
		}
	}
	return out
}
