package commands

import (
	"context"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/ui"
	"github.com/multipack/multipack/pkg/announce"
	"github.com/multipack/multipack/pkg/manifest/outline"
	"github.com/multipack/multipack/pkg/reference"
)

// announcementsDocument is what `manifest inspect --announcements -o` prints.
type announcementsDocument struct {
	Name          string                  `json:"name"`
	Announcements []announce.Announcement `json:"announcements"`
}

// inspectAnnouncements shows what jobs announced for a tag, and whether the
// tag has it.
func (s *session) inspectAnnouncements(ctx context.Context, given string, flags manifestInspectFlags) error {
	if flags.raw || flags.tree || flags.local {
		return flagFault("'--announcements' are tags of a registry: neither '--raw', '--tree' nor '--local' go with it")
	}
	ref, err := tagRef(given)
	if err != nil {
		return err
	}
	s.trust(flags.insecure, ref)
	client, err := s.registry()
	if err != nil {
		return err
	}
	list, err := announce.Announcements(ctx, s.tagsOf(client, ref, false), s.requestFor(ref, announce.Request{}))
	if err != nil {
		return err
	}
	if s.globals.output != "" {
		return s.console.Document(s.globals.output, announcementsDocument{Name: reference.Canonical(ref.Name), Announcements: list})
	}
	if len(list) == 0 {
		if _, err := client.Head(ctx, ref.Name); fault.Is(err, fault.NotFound) {
			return err
		}
		s.console.Note("Nothing is announced for '%s'", reference.Canonical(ref.Name))
		return nil
	}
	t := ui.Table{Head: heads("PLATFORM", "ANNOUNCED", "TAG", "STATE"), Fixed: 2}
	for _, a := range list {
		t.Rows = append(t.Rows, s.announcementRow(a))
	}
	s.console.Table(t)
	return nil
}

func (s *session) announcementRow(a announce.Announcement) []ui.Cell {
	says, state := "withdrawn", ui.Cell{Text: "in the index", Pen: ui.Good}
	if a.Image != nil {
		says = a.Image.String()
		if s.console.Width() > 0 && s.console.Width() < wide {
			says = outline.Short(says)
		}
	}
	switch {
	case a.Ignored != "":
		says, state = "-", ui.Cell{Text: "does not count: " + a.Ignored, Pen: ui.Faint}
	case a.Withdrawn && a.Held:
		state.Text = "not in the index"
	case a.Withdrawn:
		state = ui.Cell{Text: "still in the index", Pen: ui.Bad}
	case !a.Held:
		state = ui.Cell{Text: "missing in the index", Pen: ui.Bad}
	}
	return []ui.Cell{{Text: a.PlatformName, Pen: ui.Key}, {Text: says}, {Text: a.Tag}, state}
}
