package commands

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/multipack/multipack/internal/ui"
	"github.com/multipack/multipack/pkg/reference"
)

// existsDocument is what `manifest exists -o json` prints of a list that is there.
type existsDocument struct {
	Name   string `json:"name"`
	Exists bool   `json:"exists"`
}

func newManifestExists(s *session) *cobra.Command {
	return &cobra.Command{
		Use:     "exists LIST",
		Short:   "Tell by the exit code whether a manifest list is in the local store",
		Long:    `Tell by the exit code whether a manifest list is in the local store: 0 where it is, 3 where it is not.`,
		Example: `  multipack manifest exists app:1 || multipack manifest create app:1`,
		Args:    args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, given []string) error { return s.listExists(cmd.Context(), given[0]) },
	}
}

func (s *session) listExists(ctx context.Context, given string) error {
	tags, err := s.existing(ctx, []string{given})
	if err != nil {
		return err
	}
	if s.globals.output == ui.JSON {
		return s.console.Document(ui.JSON, existsDocument{Name: reference.Canonical(tags[0]), Exists: true})
	}
	return nil
}
