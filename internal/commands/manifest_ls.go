package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/multipack/multipack/internal/ui"
	"github.com/multipack/multipack/pkg/manifest/outline"
	"github.com/multipack/multipack/pkg/manifest/store"
	"github.com/multipack/multipack/pkg/reference"
)

// listsDocument is what `manifest ls -o` prints.
type listsDocument struct {
	Lists []listItem `json:"lists"`
	// Error tells of lists that cannot be read.
	Error *errorBody `json:"error,omitempty"`
}

// listItem is one list in it.
type listItem struct {
	// Name is canonical, Familiar the shortest name that means the list.
	Name      string   `json:"name"`
	Familiar  string   `json:"familiar"`
	Digest    string   `json:"digest"`
	Format    string   `json:"format"`
	Platforms []string `json:"platforms"`
	Entries   int      `json:"entries"`
	// Size is that of the index, Stored what the store holds for the list.
	Size     int64     `json:"size"`
	Stored   int64     `json:"stored"`
	Modified time.Time `json:"modified"`
}

func newManifestLs(s *session) *cobra.Command {
	return documents(&cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "Show the manifest lists of the local store",
		Long: `Show the manifest lists of the local store: name, digest, platforms, what the store holds for them in bytes, and when they were changed last.
A list that cannot be read does not hide the others; the exit code says that there is one.`,
		Example: `  multipack manifest ls
  multipack manifest ls -o json`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return s.listLists(cmd.Context()) },
	})
}

func (s *session) listLists(ctx context.Context) error {
	st, err := s.store()
	if err != nil {
		return err
	}
	lists, failed := st.List(ctx)
	doc := listsDocument{Lists: []listItem{}}
	for _, l := range lists {
		item, err := newListItem(l)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		doc.Lists = append(doc.Lists, item)
	}
	if s.globals.output == "" {
		s.console.Table(s.listTable(doc.Lists))
		return failed
	}
	if failed != nil {
		body := bodyOf(failed)
		doc.Error, failed = &body, &documentedError{failed}
	}
	if err := s.console.Document(s.globals.output, doc); err != nil {
		return err
	}
	return failed
}

func newListItem(l store.List) (listItem, error) {
	size, err := l.Index.Size()
	if err != nil {
		return listItem{}, err
	}
	stored, err := l.Stored()
	if err != nil {
		return listItem{}, err
	}
	item := listItem{
		Name: reference.Canonical(l.Name), Familiar: reference.Familiar(l.Name), Digest: l.Digest().String(),
		Format: string(l.Index.Format()), Platforms: []string{}, Entries: l.Index.Len(), Size: size, Stored: stored, Modified: l.Modified.UTC(),
	}
	for _, p := range l.Index.Platforms() {
		item.Platforms = append(item.Platforms, p.String())
	}
	return item, nil
}

func (s *session) listTable(items []listItem) ui.Table {
	t := ui.Table{Head: heads("NAME", "DIGEST", "PLATFORMS", "SIZE", "AGE"), Fixed: 1}
	for _, i := range items {
		t.Rows = append(t.Rows, []ui.Cell{
			{Text: i.Familiar}, {Text: outline.Short(i.Digest)}, {Text: strings.Join(i.Platforms, ",")},
			{Text: ui.Size(i.Stored)}, {Text: ageText(s.now().Sub(i.Modified))},
		})
	}
	return t
}

// now is the time by the session's clock.
func (s *session) now() time.Time {
	if s.app.Now != nil {
		return s.app.Now()
	}
	return time.Now()
}

func heads(names ...string) []ui.Cell {
	out := make([]ui.Cell, len(names))
	for i, n := range names {
		out[i] = ui.Cell{Text: n, Pen: ui.Strong}
	}
	return out
}

// ageText is a span of time for people, in its largest unit.
func ageText(d time.Duration) string {
	switch day := 24 * time.Hour; {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < day:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d/day))
	}
}
