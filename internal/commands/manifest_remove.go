package commands

import (
	"context"
	"errors"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/ui"
	"github.com/multipack/multipack/pkg/reference"
)

// removedDocument is what `manifest remove -o json` prints.
type removedDocument struct {
	Removed []string   `json:"removed"`
	DryRun  bool       `json:"dryRun,omitempty"`
	Error   *errorBody `json:"error,omitempty"`
}

func newManifestRemove(s *session) *cobra.Command {
	var all, dryRun bool
	cmd := &cobra.Command{
		Use:     "remove LIST…",
		Aliases: []string{"delete"},
		Short:   "Delete manifest lists from the local store",
		Long: `Delete manifest lists, with all that the store holds for them. Registries are not touched.

Either all lists that are named go, or none. A damaged list can be removed too.
To take entries out of a list, use 'multipack manifest rm'.`,
		Example: `  multipack manifest remove app:1 app:2
  multipack manifest delete --all`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, given []string) error {
			switch {
			case all && len(given) > 0:
				return flagFault("'--all' means every list, and none is named then")
			case !all && len(given) == 0:
				return fault.Hint(fault.New(fault.Usage, "reading the arguments of '%s': no list is named", cmd.CommandPath()), "name lists, or use '--all'")
			}
			return s.removeLists(cmd.Context(), given, all, dryRun)
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "delete every list")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say which lists would be deleted")
	return cmd
}

func (s *session) removeLists(ctx context.Context, given []string, all, dryRun bool) error {
	st, err := s.store()
	if err != nil {
		return err
	}
	var tags []name.Tag
	var unreadable error
	if all {
		lists, err := st.List(ctx)
		unreadable = err
		for _, l := range lists {
			tags = append(tags, l.Name)
		}
	} else if tags, err = s.existing(ctx, given); err != nil {
		return err
	}
	doc := removedDocument{Removed: []string{}, DryRun: dryRun}
	errs := []error{unreadable}
	for _, tag := range tags {
		if !dryRun {
			if err := st.Remove(ctx, tag); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		doc.Removed = append(doc.Removed, reference.Canonical(tag))
	}
	return s.removed(doc, errors.Join(errs...))
}

// existing are the lists of these names, each once. One that is not there is
// an error, before any of the others goes.
func (s *session) existing(ctx context.Context, given []string) ([]name.Tag, error) {
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	var tags []name.Tag
	var errs []error
	seen := map[name.Tag]bool{}
	for _, g := range given {
		tag, err := listName(g)
		if err != nil {
			return nil, err
		}
		if seen[tag] {
			continue
		}
		seen[tag] = true
		tags = append(tags, tag)
		exists, err := st.Exists(ctx, tag)
		if err == nil && !exists {
			_, err = st.Load(ctx, tag) // whose error names what is near
		}
		errs = append(errs, err)
	}
	return tags, errors.Join(errs...)
}

// removed shows what was deleted.
func (s *session) removed(doc removedDocument, err error) error {
	if s.globals.output == ui.JSON {
		if err != nil {
			body := bodyOf(err)
			doc.Error, err = &body, &documentedError{err}
		}
		if e := s.console.Document(ui.JSON, doc); e != nil {
			return e
		}
	}
	for _, name := range doc.Removed {
		if doc.DryRun {
			s.console.Note("Would delete '%s'", name)
		} else {
			s.console.Debug("Deleted '%s'", name)
		}
	}
	switch {
	case err != nil:
		return err
	case doc.DryRun:
		s.console.Success("Dry run: nothing was written")
	default:
		s.console.Success("Successfully deleted manifest list(s) from local storage")
	}
	return nil
}
