package commands

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/spf13/cobra"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/ui"
	"github.com/multipack/multipack/pkg/manifest/verify"
	"github.com/multipack/multipack/pkg/ocilayout"
	"github.com/multipack/multipack/pkg/registry"
)

// verifyFlags are the flags of `manifest verify`.
type verifyFlags struct {
	deep, insecure, dryRun bool
	repairFrom             string
}

func newManifestVerify(s *session) *cobra.Command {
	var flags verifyFlags
	cmd := &cobra.Command{
		Use:   "verify LIST|REF",
		Short: "Check that everything a manifest list or an image points at is there and right",
		Long: `Check a manifest list of the local store, else an index or image of any reference, and everything it points at:
each image, config and layer is there with the right digest and size, platforms agree with the configs,
no digest and no platform is there twice, and every attestation describes an image of the index.

Manifests and configs are read, and so are layers on disk. Of layers in a registry the registry says that they are there and how large they are;
--deep reads those too. --repair-from copies what is missing or damaged from REF, which has to hold it under the same digests:
into the registry or layout that was checked, or, of a list, into the store. Findings that are left exit 6.`,
		Example: `  multipack manifest verify ghcr.io/acme/app:1
  multipack manifest verify app:1 --deep -o json
  multipack manifest verify ghcr.io/acme/app:1 --repair-from oci-archive:app.tar`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			return s.verify(cmd.Context(), given[0], flags)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&flags.deep, "deep", false, "read layers that are in a registry, too, and check their digests")
	f.StringVar(&flags.repairFrom, "repair-from", "", "copy what is missing or damaged from this `reference`")
	f.BoolVar(&flags.dryRun, "dry-run", false, "say what --repair-from would copy, and copy nothing")
	f.BoolVar(&flags.insecure, "insecure", false, "REF's registry may use plain HTTP or an unverified certificate")
	return cmd
}

func (s *session) verify(ctx context.Context, given string, flags verifyFlags) error {
	ref, err := s.localFirst(ctx, given)
	if err != nil {
		return err
	}
	s.trust(flags.insecure, ref)
	f, report, err := s.check(ctx, given, flags.deep)
	if err != nil {
		return err
	}
	doc := verifyDocument{Repaired: []v1.Hash{}}
	if flags.repairFrom != "" && len(report.Damaged()) > 0 {
		if doc.Repaired, err = s.repair(ctx, f, report, flags); err != nil {
			return fmt.Errorf("repairing '%s' from '%s': %w", given, flags.repairFrom, err)
		}
		if f, report, err = s.check(ctx, given, flags.deep); err != nil {
			return err
		}
	}
	doc.Name, doc.Report = f.name(), report
	return s.verified(f, doc, flags)
}

// check opens LIST|REF and checks it.
func (s *session) check(ctx context.Context, given string, deep bool) (found, verify.Report, error) {
	f, err := s.find(ctx, given)
	if err != nil {
		return f, verify.Report{}, err
	}
	client, err := s.registry()
	if err != nil {
		return f, verify.Report{}, err
	}
	o := verify.Options{Corrupt: isCorrupt}
	if !deep {
		o.Size = sizer{client}.size
	}
	report, err := verify.Artifact(ctx, f.artifact, o)
	if err != nil {
		err = fmt.Errorf("verifying '%s': %w", given, err)
	}
	return f, report, err
}

// isCorrupt knows the errors of content that is not what its digest says.
func isCorrupt(err error) bool {
	return errors.Is(err, ocilayout.ErrCorrupt) || errors.Is(err, registry.ErrContent)
}

// sizer asks registries for the sizes of layers; those on disk are to be read.
type sizer struct{ client *registry.Client }

func (s sizer) size(ctx context.Context, l v1.Layer) (int64, bool, error) {
	m, ok := l.(*remote.MountableLayer)
	if !ok {
		return 0, false, nil
	}
	repos := []name.Repository{m.Reference.Context()}
	if kept, ok := m.Layer.(interface {
		Held() bool
		From() []name.Repository
	}); ok {
		if kept.Held() {
			return 0, false, nil
		}
		repos = kept.From()
	}
	h, err := l.Digest()
	if err != nil {
		return 0, false, err
	}
	var errs []error
	for _, repo := range repos {
		size, err := s.client.BlobSize(ctx, repo, h)
		if err == nil {
			return size, true, nil
		}
		if !fault.Is(err, fault.NotFound) {
			return 0, false, err
		}
		errs = append(errs, err)
	}
	return 0, false, errors.Join(errs...)
}

// verifyDocument is -o json of `manifest verify`.
type verifyDocument struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	verify.Report
	// Repaired are the entries that were copied before the last check.
	Repaired []v1.Hash  `json:"repaired"`
	Error    *errorBody `json:"error,omitempty"`
}

// verified shows what was found.
func (s *session) verified(f found, doc verifyDocument, flags verifyFlags) error {
	n := doc.Findings()
	doc.OK = n == 0
	var err error
	if !doc.OK {
		err = fault.New(fault.Check, "verifying '%s': %s", f.given, plural(n, "finding"))
		if len(doc.Damaged()) > 0 && flags.repairFrom == "" {
			err = fault.Hint(err, "'--repair-from REF' copies what is missing from where it still is")
		}
	}
	if s.globals.output == ui.JSON {
		if err != nil {
			body := bodyOf(err)
			doc.Error, err = &body, &documentedError{err}
		}
		if e := s.console.Document(ui.JSON, doc); e != nil {
			return e
		}
		return err
	}
	s.writeVerified(doc)
	if err == nil {
		s.console.Success("Successfully verified '%s'", f.given)
	}
	return err
}

// writeVerified shows a row for each entry, and the findings below the table.
func (s *session) writeVerified(doc verifyDocument) {
	s.console.Result(doc.Name + "@" + doc.Digest.String())
	t := ui.Table{Head: []ui.Cell{{Text: "PLATFORM"}, {Text: "DIGEST"}, {Text: "BLOBS"}, {Text: "SIZE"}, {Text: "RESULT"}}, Fixed: 1}
	for _, e := range doc.Entries {
		result := ui.Cell{Text: "ok", Pen: ui.Good}
		if len(e.Findings) > 0 {
			result = ui.Cell{Text: plural(len(e.Findings), "finding"), Pen: ui.Bad}
		}
		t.Rows = append(t.Rows, []ui.Cell{
			{Text: entryName(e)}, {Text: e.Digest.String()}, {Text: fmt.Sprint(e.Blobs)}, {Text: ui.Size(e.Bytes)}, result,
		})
	}
	s.console.Table(t)
	for _, e := range doc.Entries {
		for _, finding := range e.Findings {
			s.console.Line(ui.Cell{Text: entryName(e) + ": "}, ui.Cell{Text: string(finding.Kind), Pen: ui.Bad}, ui.Cell{Text: ": " + finding.Message})
		}
	}
}

// entryName is what an entry is called in the table.
func entryName(e verify.Entry) string {
	switch {
	case e.Attests != (v1.Hash{}):
		return "attestation"
	case e.Platform != "":
		return e.Platform
	case types.MediaType(e.MediaType).IsIndex():
		return "index"
	}
	return "-"
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
