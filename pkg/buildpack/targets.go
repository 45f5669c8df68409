package buildpack

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
)

// defaultOS is what an absent os of a target is built as: pack's default, and
// every image has to name one.
const defaultOS = "linux"

// Targets are the platforms that [[targets]] ask for, in their order: one for
// each distribution and version, normalised, each once. An absent os is linux
// (as pack has it); an absent architecture stays empty, which means any.
func Targets(targets []Target) []platform.Target { return Dedupe(Expand(targets)) }

// Expand is Targets with those that are there more than once.
func Expand(targets []Target) []platform.Target {
	var out []platform.Target
	for _, t := range targets {
		out = append(out, t.expand()...)
	}
	return out
}

// Dedupe normalises targets and keeps the first of those that are alike.
func Dedupe(targets []platform.Target) []platform.Target {
	out, _ := splitAlike(targets)
	return out
}

// Alike are the targets that Dedupe leaves out: those that stand for a platform
// and a distribution that an earlier one stands for.
func Alike(targets []platform.Target) []platform.Target {
	_, out := splitAlike(targets)
	return out
}

func splitAlike(targets []platform.Target) (first, again []platform.Target) {
	for _, t := range targets {
		t.Platform = t.Platform.Normalize()
		if slices.ContainsFunc(first, func(have platform.Target) bool { return sameTarget(have, t) }) {
			again = append(again, t)
			continue
		}
		first = append(first, t)
	}
	return first, again
}

// InOrder sorts targets, so that their order does not depend on how they were
// asked for: those that the file declares first, in its order, then the others
// by their names.
func InOrder(targets, declared []platform.Target) []platform.Target {
	place := func(t platform.Target) int {
		if i := slices.IndexFunc(declared, func(d platform.Target) bool { return sameTarget(d, t) }); i >= 0 {
			return i
		}
		return len(declared)
	}
	out := slices.Clone(targets)
	slices.SortStableFunc(out, func(a, b platform.Target) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a.String(), b.String()))
	})
	return out
}

func sameTarget(a, b platform.Target) bool {
	return a.Platform == b.Platform && a.Distro == b.Distro
}

func (t Target) expand() []platform.Target {
	base := platform.Target{Platform: platform.Platform{OS: t.OS, Arch: t.Arch, Variant: t.Variant}, Path: cleanFolder(t.Path)}
	if base.Platform.OS == "" {
		base.Platform.OS = defaultOS
	}
	base.Platform = base.Platform.Normalize()
	if len(t.Distros) == 0 {
		return []platform.Target{base}
	}
	out := make([]platform.Target, len(t.Distros))
	for i, d := range t.Distros {
		out[i] = base
		out[i].Distro = platform.Distro{Name: d.Name, Version: d.Version}
		out[i].Platform.OSVersion = d.Version
	}
	return out
}

func cleanFolder(p string) string {
	if p == "" {
		return ""
	}
	return path.Clean(p)
}

// checkTargets gives one error for each target that names what does not exist.
func (d *document) checkTargets(targets []Target) []error {
	var out []error
	for i, t := range targets {
		if key, err := t.check(); err != nil {
			out = append(out, d.problem(fault.Usage, fmt.Sprintf("targets[%d].%s", i, key), err))
		}
	}
	return out
}

// check gives the key whose value is wrong. Fields that are absent are not
// looked at: what stands in for them here exists.
func (t Target) check() (string, error) {
	known := platform.Platform{OS: t.OS, Arch: t.Arch}
	if t.OS == "" {
		known.OS = defaultOS
	}
	if t.Arch == "" {
		if t.Variant != "" {
			return "variant", fmt.Errorf("a variant needs an 'arch'")
		}
		known.Arch = "amd64"
	}
	if t.OS != "" {
		if _, err := platform.Parse(t.OS + "/amd64"); err != nil {
			return "os", reason(err)
		}
	}
	if _, err := platform.Parse(known.OS + "/" + known.Arch); err != nil {
		return "arch", reason(err)
	}
	if t.Variant != "" {
		if _, err := platform.Parse(known.OS + "/" + known.Arch + "/" + t.Variant); err != nil {
			return "variant", reason(err)
		}
	}
	for _, distro := range t.Distros {
		if distro.Name == "" {
			return "distros", fmt.Errorf("a distribution has no name")
		}
		if strings.ContainsAny(distro.Name+distro.Version, "/@:; ") {
			return "distros", fmt.Errorf("'%s' is no distribution and version", fullName(distro.Name, distro.Version))
		}
	}
	if p := t.Path; p != "" {
		if path.IsAbs(p) || strings.Contains(p, `\`) || !isLocal(path.Clean(p)) {
			return "path", fmt.Errorf("'%s' is no folder below the buildpack's root", p)
		}
	}
	return "", nil
}

func isLocal(p string) bool { return p != ".." && !strings.HasPrefix(p, "../") && !path.IsAbs(p) }

// reason is the innermost error: what is wrong, without what was being parsed.
func reason(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok || u.Unwrap() == nil {
			return err
		}
		err = u.Unwrap()
	}
}
