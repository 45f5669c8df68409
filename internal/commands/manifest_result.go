package commands

import (
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/internal/ui"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/publish"
	"github.com/multipack/multipack/pkg/reference"
)

// indexDocument is an index in -o json.
type indexDocument struct {
	// Name is its canonical name.
	Name   string `json:"name"`
	Digest string `json:"digest"`
	// Location is where `inspect` found it.
	Location  string `json:"location,omitempty"`
	MediaType string `json:"mediaType"`
	Format    string `json:"format,omitempty"`
	// Platform is that of a single image, by its config.
	Platform     string            `json:"platform,omitempty"`
	Size         int64             `json:"size"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Subject      *v1.Descriptor    `json:"subject,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	Entries      []entryDocument   `json:"entries"`
	// Changes are what create, add, annotate and rm did.
	Changes []changeDocument `json:"changes,omitempty"`
	// Append is set where the index is a tag that others may write too.
	Append *publish.Append `json:"append,omitempty"`
	DryRun bool            `json:"dryRun,omitempty"`
}

// entryDocument is one entry of an index.
type entryDocument struct {
	Platform     string            `json:"platform,omitempty"`
	OSFeatures   []string          `json:"osFeatures,omitempty"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType,omitempty"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	// AttestationOf is the image that an attestation is about.
	AttestationOf string `json:"attestationOf,omitempty"`
	// Origins are the references that the entry of a list was added from.
	Origins []string `json:"origins,omitempty"`
}

// changeDocument is what happened to one entry: added, replaced, unchanged,
// annotated or removed.
type changeDocument struct {
	Outcome  string `json:"outcome"`
	Platform string `json:"platform,omitempty"`
	Digest   string `json:"digest"`
	// Source is the argument that the entry comes from.
	Source string `json:"source,omitempty"`
	// Gone are the entries that had to go for it.
	Gone []string `json:"gone,omitempty"`
}

// newIndexDocument describes idx; origins may be nil.
func newIndexDocument(fullName string, idx manifest.Index, origins manifest.Origins) (indexDocument, error) {
	d, err := idx.Descriptor()
	if err != nil {
		return indexDocument{}, err
	}
	doc := indexDocument{
		Name: fullName, Digest: d.Digest.String(), MediaType: string(d.MediaType), Format: string(idx.Format()), Size: d.Size,
		ArtifactType: idx.ArtifactType(), Subject: idx.Subject(), Annotations: idx.Annotations(), Entries: []entryDocument{},
	}
	for _, e := range idx.Entries() {
		doc.Entries = append(doc.Entries, newEntryDocument(e, origins))
	}
	return doc, nil
}

func newEntryDocument(e manifest.Entry, origins manifest.Origins) entryDocument {
	d := e.Descriptor
	doc := entryDocument{
		Platform: e.Platform.String(), Digest: d.Digest.String(), Size: d.Size, MediaType: string(d.MediaType),
		ArtifactType: d.ArtifactType, Annotations: d.Annotations,
	}
	if d.Platform != nil {
		doc.OSFeatures = d.Platform.OSFeatures
	}
	if e.IsAttestation && e.AttestationOf != (v1.Hash{}) {
		doc.AttestationOf = e.AttestationOf.String()
	}
	if origins != nil {
		doc.Origins = origins(d.Digest)
	}
	return doc
}

// listLine is the line on stdout for a list that was written.
func listLine(tag name.Tag, digest string) string {
	return reference.Ref{Kind: reference.Local, Name: tag}.Display() + "@" + digest
}

// changed shows what was done to a list.
func (s *session) changed(job listJob, result listChange) error {
	for _, w := range result.warnings {
		s.console.Warn("%s", w)
	}
	for _, step := range result.steps {
		switch {
		case step.Outcome == string(manifest.Unchanged):
			s.console.Note("'%s' is in the list already", step.short())
		case len(step.Gone) > 0:
			s.console.Note("'%s' took the place of %s", step.short(), quoted(step.Gone))
		}
	}
	doc, err := newIndexDocument(reference.Canonical(job.tag), result.index, nil)
	if err != nil {
		return err
	}
	doc.Changes, doc.Append, doc.DryRun = result.steps, result.append, job.dryRun
	if s.globals.output == ui.JSON {
		err = s.console.Document(ui.JSON, doc)
	} else {
		s.console.Result(listLine(job.tag, doc.Digest))
	}
	if err != nil {
		return err
	}
	if job.dryRun {
		s.console.Success("Dry run: nothing was written")
		return nil
	}
	for _, line := range job.success {
		s.console.Success("%s", line)
	}
	return nil
}

// planned shows what a dry run would do.
func (s *session) planned(job listJob, result listChange) error {
	for _, item := range job.items {
		n, err := item.Bytes()
		if err != nil {
			return err
		}
		what := "manifest and config"
		if item.Deep {
			what = "manifest, config and layers"
		}
		s.console.Note("Would copy %s of '%s' into the store (at most %s)", what, item.Entry, ui.Size(n))
	}
	for _, step := range result.steps {
		s.console.Note("Would be %s: '%s'", step.Outcome, step.short())
	}
	return s.changed(job, result)
}

// short names the entry in notes.
func (c changeDocument) short() string {
	digest := c.Digest
	if len(digest) > 19 {
		digest = digest[:19]
	}
	if c.Platform == "" {
		return digest
	}
	return c.Platform + " " + digest
}

// quoted joins names for a sentence.
func quoted(names []string) string {
	out := ""
	for i, n := range names {
		if i > 0 {
			out += ", "
		}
		out += "'" + n + "'"
	}
	return out
}
