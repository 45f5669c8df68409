package inspect

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/visible"
	"github.com/multipack/multipack/pkg/buildpack"
)

// Where a package was found, in pack's words.
const (
	LocalImage    = "LOCAL IMAGE"
	RemoteImage   = "REMOTE IMAGE"
	LocalArchive  = "LOCAL ARCHIVE"
	RemoteArchive = "REMOTE ARCHIVE"
	RegistryImage = "REGISTRY IMAGE"
)

// Text says how Render writes a package.
type Text struct {
	// Ref is the package as the user named it, Location one of the constants above.
	Ref, Location string
	// Depth is how many levels of groups the detection order shows; negative is all.
	Depth int
	// Mixins lists the stacks' mixins instead of leaving them out.
	Mixins bool
}

// Render is the text of `pack buildpack inspect` or `pack extension inspect`,
// byte for byte. A module that an order names and the labels lack is an error.
func Render(info Info, t Text) (string, error) {
	var b strings.Builder
	if info.Kind == buildpack.KindExtension {
		fmt.Fprintf(&b, "Inspecting extension: '%s'\n\n%s:\n\nExtension:\n%s\n", visible.Text(t.Ref), t.Location, table(info.Modules))
		return b.String(), nil
	}
	order, err := detectionOrder(info, t.Depth)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "Inspecting buildpack: '%s'\n\n%s:\n\nStacks:\n", visible.Text(t.Ref), t.Location)
	for _, s := range info.Stacks {
		writeStack(&b, s, t.Mixins)
	}
	fmt.Fprintf(&b, "\nBuildpacks:\n%s\n\nDetection Order:\n", table(info.Modules))
	if order == "" {
		order = "  (none)\n"
	}
	b.WriteString(order + "\n")
	return b.String(), nil
}

func writeStack(b *strings.Builder, s buildpack.Stack, mixins bool) {
	fmt.Fprintf(b, "  ID: %s\n    Mixins:\n", visible.Text(s.ID))
	switch {
	case !mixins:
		b.WriteString("      (omitted)\n")
	case len(s.Mixins) == 0:
		b.WriteString("      (none)\n")
	default:
		for _, m := range s.Mixins {
			fmt.Fprintf(b, "      %s\n", visible.Text(m))
		}
	}
}

// table lists modules in columns, eight blanks apart.
func table(modules []Module) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 8, ' ', 0)
	fmt.Fprint(w, "  ID\tNAME\tVERSION\tHOMEPAGE\n")
	for _, m := range modules {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", visible.Text(m.ID), orDash(m.Name), visible.Text(m.Version), orDash(m.Homepage))
	}
	_ = w.Flush() // a strings.Builder takes everything
	return strings.TrimSuffix(b.String(), "\n")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return visible.Text(s)
}

func detectionOrder(info Info, depth int) (string, error) {
	var b strings.Builder
	p := orderPrinter{info: info, depth: depth, above: map[string]bool{}, w: tabwriter.NewWriter(&b, 0, 0, 4, ' ', 0)}
	root := buildpack.Order{{Group: []buildpack.Ref{{ModuleInfo: buildpack.ModuleInfo{ID: info.ID, Version: info.Version}}}}}
	if err := p.order(root, "", 0); err != nil {
		return "", err
	}
	_ = p.w.Flush()
	return strings.TrimSuffix(b.String(), "\n"), nil
}

type orderPrinter struct {
	info  Info
	depth int
	// above holds the modules on the way down, so that a circle ends.
	above map[string]bool
	w     *tabwriter.Writer
}

func (p *orderPrinter) order(order buildpack.Order, prefix string, level int) error {
	if p.depth >= 0 && level >= p.depth {
		return nil
	}
	for i, group := range order {
		branch, below := branches(i == len(order)-1)
		fmt.Fprintf(p.w, "%s%sGroup #%d:\n", prefix, branch, i+1)
		for j, ref := range group.Group {
			if err := p.ref(ref, prefix+below, j == len(group.Group)-1, level); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *orderPrinter) ref(ref buildpack.Ref, prefix string, last bool, level int) error {
	module, ok := p.info.module(ref.ID, ref.Version)
	if !ok {
		return fault.New(fault.Failed, "writing the detection order: missing buildpack '%s' from layer metadata", visible.Text(ref.FullName()))
	}
	marks := ""
	if ref.Optional {
		marks = "(optional)"
	}
	key := ref.FullName()
	cyclic := p.above[key]
	if cyclic {
		marks += "[cyclic]"
	}
	branch, below := branches(last)
	fmt.Fprintf(p.w, "%s%s%s\t%s\n", prefix, branch, visible.Text(key), marks)
	if cyclic {
		return nil
	}
	p.above[key] = true
	defer delete(p.above, key)
	return p.order(module.Order, prefix+below, level+1)
}

// branches are the lead of an item and of what stands below it.
func branches(last bool) (item, below string) {
	if last {
		return " └ ", "   "
	}
	return " ├ ", " │ "
}
