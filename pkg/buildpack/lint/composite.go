package lint

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/platform"
)

// APIs are the Buildpack APIs that a lifecycle runs, major.minor; "" is no bound.
type APIs struct{ Oldest, Newest string }

// ParseAPIs reads OLDEST-NEWEST, or NEWEST alone; "" is any. Errors are fault.Usage.
func ParseAPIs(s string) (APIs, error) {
	oldest, newest, both := strings.Cut(s, "-")
	if !both {
		oldest, newest = "", s
	}
	for _, api := range []string{oldest, newest} {
		if (api != "" || both) && !buildpack.IsAPI(api) {
			return APIs{}, fault.New(fault.Usage, "reading the Buildpack APIs '%s': OLDEST-NEWEST is expected, as in '0.7-0.12'", s)
		}
	}
	if both && buildpack.CompareAPI(oldest, newest) > 0 {
		return APIs{}, fault.New(fault.Usage, "reading the Buildpack APIs '%s': the oldest stands first", s)
	}
	return APIs{Oldest: oldest, Newest: newest}, nil
}

// Builds looks at packages as wholes, one for each platform. What is found in
// all of them is told once, without a platform and before the rest. The order is
// that of the builds, and within one by rule and message.
func Builds(builds []buildpack.PlatformBuild, apis APIs) []Finding {
	found := make([][]Finding, len(builds))
	count := map[Finding]int{}
	for i, b := range builds {
		found[i] = append(Composite(b.Main, b.Deps, apis), undeclared(b)...)
		for _, f := range found[i] {
			count[f]++
		}
	}
	var common, own []Finding
	for i, b := range builds {
		for _, f := range found[i] {
			switch {
			case count[f] < len(builds):
				f.Platform = b.Target.String()
				own = append(own, f)
			case i == 0:
				common = append(common, f)
			}
		}
	}
	return append(common, own...)
}

// Composite looks at the modules of a composite, each finding once.
func Composite(main buildpack.Module, deps []buildpack.Module, apis APIs) []Finding {
	all := append([]buildpack.Module{main}, deps...)
	used := map[string]bool{}
	for _, m := range all {
		for _, g := range m.Descriptor.Order {
			for _, ref := range g.Group {
				used[ref.FullName()] = true
			}
		}
	}
	var out []Finding
	versions := map[string][]string{}
	reported := map[string]bool{}
	for i, m := range all {
		name, info := m.FullName(), m.Descriptor.Info
		if reported[name] {
			continue
		}
		reported[name] = true
		versions[info.ID] = append(versions[info.ID], info.Version)
		if i > 0 && !used[name] {
			out = append(out, Finding{Rule: RuleUnused, Message: fmt.Sprintf("no order names the dependency '%s'", name)})
		}
		out = append(out, apis.check(m)...)
	}
	for _, id := range slices.Sorted(maps.Keys(versions)) {
		if list := versions[id]; len(list) > 1 {
			slices.Sort(list)
			out = append(out, Finding{Rule: RuleTwoVersions, Message: fmt.Sprintf("'%s' is there in several versions: %s", id, strings.Join(list, ", "))})
		}
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.Rule, b.Rule), strings.Compare(a.Message, b.Message))
	})
	return out
}

// Silent are the findings about dependencies whose images do not say their
// architecture.
func Silent(dependencies []string) []Finding {
	var out []Finding
	for _, name := range dependencies {
		out = append(out, Finding{Rule: RuleSilent,
			Message: fmt.Sprintf("dependency '%s': its image does not say an architecture and is taken for every platform", name)})
	}
	return out
}

// check holds a module's API to the bounds.
func (a APIs) check(m buildpack.Module) []Finding {
	api := m.Descriptor.API
	switch {
	case a.Newest != "" && buildpack.CompareAPI(api, a.Newest) > 0:
		return []Finding{{Rule: RuleNewAPI, Message: fmt.Sprintf("'%s' needs Buildpack API %s, newer than %s", m.FullName(), api, a.Newest)}}
	case a.Oldest != "" && buildpack.CompareAPI(api, a.Oldest) < 0:
		return []Finding{{Rule: RuleOldAPI, Message: fmt.Sprintf("'%s' needs Buildpack API %s, older than %s", m.FullName(), api, a.Oldest)}}
	}
	return nil
}

// undeclared finds dependencies whose own [[targets]] leave out the platform
// that they are packaged for: the lifecycle will pass them over there.
func undeclared(b buildpack.PlatformBuild) []Finding {
	var out []Finding
	reported := map[string]bool{}
	for _, m := range b.Deps {
		declared := m.Descriptor.Targets
		if len(declared) == 0 || reported[m.FullName()] || slices.ContainsFunc(declared, func(t buildpack.Target) bool { return declares(t, b.Target) }) {
			continue
		}
		reported[m.FullName()] = true
		names := make([]string, len(declared))
		for i, t := range declared {
			names[i] = t.String()
		}
		out = append(out, Finding{Rule: RuleUndeclared, Message: fmt.Sprintf("the targets of '%s' are others: %s", m.FullName(), strings.Join(names, ", "))})
	}
	return out
}

// declares reports whether a declared target takes in the platform. What either
// leaves out is any.
func declares(t buildpack.Target, want platform.Target) bool {
	p := platform.Platform{OS: t.OS, Arch: t.Arch, Variant: t.Variant}.Normalize()
	w := want.Platform.Normalize()
	differ := func(a, b string) bool { return a != "" && b != "" && a != b }
	if differ(p.OS, w.OS) || differ(p.Arch, w.Arch) || t.Variant != "" && differ(p.Variant, w.Variant) {
		return false
	}
	return len(t.Distros) == 0 || want.Distro.Name == "" || slices.ContainsFunc(t.Distros, func(d buildpack.Distro) bool {
		return d.Name == want.Distro.Name && !differ(d.Version, want.Distro.Version)
	})
}
