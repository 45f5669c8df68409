// Package lint finds what packages well and then does not run: binaries of
// another platform, entry points that are missing or cannot be executed, keys
// that nothing reads. It reads the heads of the files in bin/ and nothing else.
package lint

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/platform"
)

// The rules.
const (
	RuleForeignBinary  = "foreign-binary"
	RuleMissingEntry   = "missing-entry-point"
	RuleNotExecutable  = "not-executable"
	RuleCarriageReturn = "carriage-return"
	RuleEmptyArch      = "empty-architecture"
	RuleSamePlatform   = "same-platform"
	RuleUnknownKey     = "unknown-key"
	RuleUnused         = "unused-dependency"
	RuleTwoVersions    = "two-versions"
	RuleNewAPI         = "api-too-new"
	RuleOldAPI         = "api-too-old"
	RuleUndeclared     = "undeclared-platform"
	RuleSilent         = "silent-platform"
)

// Finding is one thing that is likely wrong.
type Finding struct {
	// Rule is one of the rules above.
	Rule string `json:"rule"`
	// Platform is the target it is about, "" when it is about all of them.
	Platform string `json:"platform,omitempty"`
	// Path is the file below the buildpack's root, with ":line" where known; "" when it is about no file.
	Path string `json:"path,omitempty"`
	// Message says what is wrong, without platform and path.
	Message string `json:"message"`
}

// String is the finding on one line.
func (f Finding) String() string {
	s := f.Message
	if f.Path != "" {
		s = f.Path + ": " + s
	}
	if f.Platform != "" {
		s = f.Platform + ": " + s
	}
	return s + " (" + f.Rule + ")"
}

// Plan looks at what is going to be packaged. Findings are in a fixed order:
// those about all platforms, then by the plan's targets, each by path and rule.
// An error is a file that cannot be read.
func Plan(ctx context.Context, plan buildpack.Plan) ([]Finding, error) {
	out := unknownKeys(plan.Descriptor)
	out = append(out, samePlatforms(plan.Items)...)
	for _, item := range plan.Items {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		found, err := ofItem(plan.Descriptor, item)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// Check is the error that makes findings fail a run: a fault.Check that lists
// them; nil when there are none.
func Check(findings []Finding) error {
	if len(findings) == 0 {
		return nil
	}
	lines := make([]string, len(findings))
	for i, f := range findings {
		lines[i] = f.String()
	}
	word := "findings"
	if len(findings) == 1 {
		word = "finding"
	}
	return fault.New(fault.Check, "linting the buildpack: %d %s:\n%s", len(findings), word, strings.Join(lines, "\n"))
}

func ofItem(root buildpack.Descriptor, item buildpack.PlanItem) ([]Finding, error) {
	var out []Finding
	if item.Target.Platform.Arch == "" {
		out = append(out, Finding{Rule: RuleEmptyArch, Message: "no architecture is said: the image will fit none when a platform is asked for"})
	}
	// A copy of the root's file has the root's findings, which are there already.
	if !slices.Equal(item.Descriptor.Unknown, root.Unknown) {
		out = append(out, unknownKeys(item.Descriptor)...)
	}
	if !root.IsComposite() {
		out = append(out, entryPoints(root.Kind, item)...)
	}
	files, err := binFiles(item)
	if err != nil {
		return nil, err
	}
	out = append(out, files...)
	for i := range out {
		out[i].Platform = item.Target.String()
		if out[i].Path != "" && item.Folder != "." && out[i].Rule != RuleUnknownKey {
			out[i].Path = item.Folder + "/" + out[i].Path
		}
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Rule, b.Rule))
	})
	return out, nil
}

func unknownKeys(d buildpack.Descriptor) []Finding {
	var out []Finding
	for _, k := range d.Unknown {
		place := d.File
		if k.Line > 0 {
			place = fmt.Sprintf("%s:%d", d.File, k.Line)
		}
		out = append(out, Finding{Rule: RuleUnknownKey, Path: place, Message: fmt.Sprintf("nothing reads the key '%s'", k.Key)})
	}
	return out
}

// Alike gives a finding for each of the targets that buildpack.Alike gives.
func Alike(again []platform.Target) []Finding {
	var out []Finding
	for _, t := range again {
		out = append(out, Finding{Rule: RuleSamePlatform, Platform: t.String(),
			Message: "it is named more than once: one image is made for it"})
	}
	return out
}

// samePlatforms finds targets whose images an index cannot tell apart.
func samePlatforms(items []buildpack.PlanItem) []Finding {
	var out []Finding
	first := map[platform.Platform]string{}
	for _, item := range items {
		p := item.Target.Platform.Normalize()
		if have, ok := first[p]; ok {
			out = append(out, Finding{Rule: RuleSamePlatform, Platform: item.Target.String(),
				Message: fmt.Sprintf("its image is of the same platform as that of '%s'", have)})
			continue
		}
		first[p] = item.Target.String()
	}
	return out
}
