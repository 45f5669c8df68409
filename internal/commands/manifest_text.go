package commands

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/ui"
	"github.com/multipack/multipack/internal/visible"
	"github.com/multipack/multipack/pkg/manifest/outline"
)

// wide is the width of a terminal from which on a whole digest is shown beside
// other things; wider the one from which on two of them are.
const (
	wide  = 150
	wider = 180
)

// brief is one of two digests on a line: as much of it as the terminal has room
// for, and all of it elsewhere.
func (s *session) brief(digest string) string {
	if w := s.console.Width(); w > 0 && w < wider {
		return outline.Short(digest)
	}
	return digest
}

// writeIndex shows an index, or a single image, to people.
func (s *session) writeIndex(doc indexDocument) {
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(s.console.Out(), "%s %s\n", s.console.Paint(ui.Key, fmt.Sprintf("%-14s", name+":")), visible.Text(value))
		}
	}
	row("Name", doc.Name)
	row("Found in", doc.Location)
	row("Digest", doc.Digest)
	row("Media type", doc.MediaType)
	row("Size", ui.Size(doc.Size))
	row("Platform", doc.Platform)
	row("Artifact type", doc.ArtifactType)
	if doc.Subject != nil {
		row("Subject", doc.Subject.Digest.String())
	}
	row("Annotations", pairs(doc.Annotations))
	if doc.Format == "" {
		return
	}
	s.console.Result("")
	if len(doc.Entries) == 0 {
		s.console.Result("The index is empty.")
		return
	}
	platforms := map[string]string{}
	for _, e := range doc.Entries {
		platforms[e.Digest] = e.Platform
	}
	t := entryTable(doc.Entries, platforms, false)
	if !t.Fits(s.console.Width()) {
		t = entryTable(doc.Entries, platforms, true)
	}
	s.console.Table(t)
}

// entryTable has a row for each entry; a narrow one has what tells them apart:
// short digests, and media types without what all of them begin with. The column
// of annotations is there where any entry has some.
func entryTable(entries []entryDocument, platforms map[string]string, narrow bool) ui.Table {
	annotated := slices.ContainsFunc(entries, func(e entryDocument) bool { return len(e.Annotations) > 0 })
	t := ui.Table{Head: heads("PLATFORM", "DIGEST", "SIZE", "MEDIA TYPE"), Fixed: 2}
	if annotated {
		t.Head = append(t.Head, heads("ANNOTATIONS")...)
	}
	for _, e := range entries {
		digest, mediaType := e.Digest, e.MediaType
		if narrow {
			digest, mediaType = outline.Short(digest), strings.TrimPrefix(mediaType, "application/vnd.")
		}
		row := []ui.Cell{{Text: e.shownPlatform(platforms)}, {Text: digest}, {Text: ui.Size(e.Size)}, {Text: mediaType}}
		if annotated {
			row = append(row, ui.Cell{Text: pairs(e.Annotations)})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// shownPlatform is the entry's platform; of an attestation what it is about, and
// of what has no platform what it is.
func (e entryDocument) shownPlatform(platforms map[string]string) string {
	switch {
	case e.AttestationOf != "":
		about := platforms[e.AttestationOf]
		if about == "" {
			about = outline.Short(e.AttestationOf)
		}
		return "attestation of " + about
	case len(e.OSFeatures) > 0:
		return e.Platform + " (" + strings.Join(e.OSFeatures, ", ") + ")"
	case e.Platform != "":
		return e.Platform
	case types.MediaType(e.MediaType).IsIndex():
		return "index"
	case e.ArtifactType != "":
		return e.ArtifactType
	}
	return "-"
}

// pairs are annotations on one line, sorted.
func pairs(m map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+"="+m[k])
	}
	return strings.Join(out, ", ")
}

// treeDocument is what `manifest inspect --tree -o` prints.
type treeDocument struct {
	Name     string `json:"name"`
	Location string `json:"location"`
	outline.Outline
}

func newTreeDocument(f found, o outline.Outline) treeDocument {
	return treeDocument{Name: f.name(), Location: f.location(), Outline: o}
}

// treeText shows an outline to people.
type treeText struct{ console *ui.Console }

func (t treeText) write(name string, o outline.Outline) {
	platforms := map[string]string{}
	note(o.Root, platforms)
	t.line(t.console.Paint(ui.Strong, visible.Text(name)) + "  " + t.title(o.Root, platforms))
	t.below(o.Root, "", platforms)
	t.line(fmt.Sprintf("%s in all, %s in %d blobs where what is shared counts once", ui.Size(o.TotalBytes), ui.Size(o.UniqueBytes), o.Blobs))
}

// line writes a line in which all that comes from images is visible.
func (t treeText) line(text string) { fmt.Fprintln(t.console.Out(), text) }

// note remembers the platforms of images for the titles of their attestations.
func note(n outline.Node, platforms map[string]string) {
	if n.Platform != "" && platforms[n.Digest] == "" {
		platforms[n.Digest] = visible.Text(n.Platform)
	}
	for _, e := range n.Entries {
		note(e, platforms)
	}
}

func (t treeText) title(n outline.Node, platforms map[string]string) string {
	what := string(n.Kind)
	switch {
	case n.AttestationOf != "" && platforms[n.AttestationOf] != "":
		what = "attestation of " + platforms[n.AttestationOf]
	case n.AttestationOf != "":
		what = "attestation of " + outline.Short(n.AttestationOf)
	case n.ArtifactType != "":
		what += " of type " + visible.Text(n.ArtifactType)
	}
	switch {
	case n.Platform == "":
	case n.Kind == outline.Image && n.ArtifactType == "":
		what = visible.Text(n.Platform)
	default:
		what = visible.Text(n.Platform) + "  " + what
	}
	text := fmt.Sprintf("%s  %s  %s", t.console.Paint(ui.Key, what), outline.Short(n.Digest), ui.Size(n.Bytes))
	switch {
	case n.Missing:
		text = fmt.Sprintf("%s  %s  %s", t.console.Paint(ui.Key, what), outline.Short(n.Digest), t.console.Paint(ui.Bad, "missing"))
	case n.Repeated:
		text += t.console.Paint(ui.Faint, "  as above")
	}
	return text
}

// below writes what n points at; indent stands before each line.
func (t treeText) below(n outline.Node, indent string, platforms map[string]string) {
	var lines []string
	if n.Config != nil {
		lines = append(lines, t.blob("config", *n.Config))
	}
	for _, l := range n.Layers {
		lines = append(lines, t.blob("layer", l))
	}
	for i, line := range lines {
		t.line(indent + branch(i == len(lines)-1) + line)
	}
	for i, e := range n.Entries {
		last := i == len(n.Entries)-1
		t.line(indent + branch(last) + t.title(e, platforms))
		if last {
			t.below(e, indent+"   ", platforms)
		} else {
			t.below(e, indent+"│  ", platforms)
		}
	}
}

func branch(last bool) string {
	if last {
		return "└─ "
	}
	return "├─ "
}

func (t treeText) blob(what string, b outline.Blob) string {
	text := fmt.Sprintf("%-6s  %s  %s", what, outline.Short(b.Digest), ui.Size(b.Size))
	switch {
	case b.Elsewhere:
		text += t.console.Paint(ui.Faint, "  not in the registry")
	case b.SharedWith != "":
		text += t.console.Paint(ui.Faint, "  shared with "+visible.Text(b.SharedWith))
	}
	return text
}
