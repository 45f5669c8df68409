package commands

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/ui"
	"github.com/multipack/multipack/pkg/manifest/store"
)

// prunedDocument is what `manifest prune -o json` prints.
type prunedDocument struct {
	Blobs  int        `json:"blobs"`
	Bytes  int64      `json:"bytes"`
	DryRun bool       `json:"dryRun,omitempty"`
	Error  *errorBody `json:"error,omitempty"`
}

func newManifestPrune(s *session) *cobra.Command {
	o := store.PruneOptions{OlderThan: store.Spared}
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Drop what no manifest list of the local store needs",
		Long: `Drop the blobs that no manifest list needs any more, and what killed commands left.
What is young is spared, because a command that is running may need it.`,
		Example: `  multipack manifest prune
  multipack manifest prune --older-than 24h --dry-run`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.OlderThan <= 0 {
				return fault.New(fault.Usage, "reading flag '--older-than': '%s' is not longer than nothing", o.OlderThan)
			}
			return s.prune(cmd.Context(), o)
		},
	}
	cmd.Flags().DurationVar(&o.OlderThan, "older-than", o.OlderThan, "`age` that what is dropped has at least")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "say what would be dropped")
	return cmd
}

func (s *session) prune(ctx context.Context, o store.PruneOptions) error {
	st, err := s.store()
	if err != nil {
		return err
	}
	pruned, err := st.Prune(ctx, o)
	doc := prunedDocument{Blobs: pruned.Blobs, Bytes: pruned.Bytes, DryRun: o.DryRun}
	if s.globals.output == ui.JSON {
		if err != nil {
			body := bodyOf(err)
			doc.Error, err = &body, &documentedError{err}
		}
		return errors.Join(s.console.Document(ui.JSON, doc), err)
	}
	if o.DryRun {
		s.console.Note("Would drop %d blobs, %s; they are older than %s", pruned.Blobs, ui.Size(pruned.Bytes), durationText(o.OlderThan))
		s.console.Success("Dry run: nothing was written")
	} else {
		s.console.Success("Dropped %d blobs, %s", pruned.Blobs, ui.Size(pruned.Bytes))
	}
	return err
}

// durationText is a span as it can be given, without the units that are zero.
func durationText(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if len(text) > len(zero) && text[len(text)-len(zero):] == zero {
			text = text[:len(text)-2]
		}
	}
	return text
}
