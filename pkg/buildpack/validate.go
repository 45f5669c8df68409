package buildpack

import (
	"errors"
	"fmt"
	"strings"

	"github.com/multipack/multipack/internal/fault"
)

// Validate judges a package as a whole: every module of an order has a version
// and is there, every dependency is used, and the stacks have one in common.
// All problems come in one error: those of main's order, those of the
// dependencies' in their order, the unused, the stacks.
func Validate(main Module, deps []Module) error {
	if main.Descriptor.Kind == KindExtension {
		if len(deps) > 0 {
			return fault.New(fault.Failed, "validating extension '%s': an extension has no dependencies", main.FullName())
		}
		return nil
	}
	present := map[string]bool{}
	for _, dep := range deps {
		present[dep.FullName()] = true
	}
	var problems []error
	used := map[string]bool{}
	seen := map[string]bool{}
	for _, m := range append([]Module{main}, deps...) {
		for _, group := range m.Descriptor.Order {
			for _, ref := range group.Group {
				used[ref.FullName()] = true
				err := checkRef(m, ref, present)
				if err != nil && !seen[err.Error()] {
					seen[err.Error()] = true
					problems = append(problems, err)
				}
			}
		}
	}
	for _, dep := range deps {
		name := dep.FullName()
		if !used[name] {
			used[name] = true
			problems = append(problems, fmt.Errorf("buildpack '%s' is not used by buildpack '%s'", name, main.FullName()))
		}
	}
	if len(resolveStacks(main.Descriptor, deps)) == 0 {
		problems = append(problems, errors.New("no compatible stacks among provided buildpacks"))
	}
	if len(problems) == 0 {
		return nil
	}
	return fault.New(fault.Failed, "validating buildpack '%s': %w", main.FullName(), errors.Join(problems...))
}

// ValidateAll is Validate for every platform. What is wrong with all of them is
// said once, what is wrong with some names these.
func ValidateAll(builds []PlatformBuild) error {
	var errs []error
	wrong := map[string][]string{}
	for _, b := range builds {
		err := Validate(b.Main, b.Deps)
		if err == nil {
			continue
		}
		text := err.Error()
		if wrong[text] == nil {
			errs = append(errs, err)
		}
		wrong[text] = append(wrong[text], b.Target.String())
	}
	for i, err := range errs {
		if targets := wrong[err.Error()]; len(targets) < len(builds) {
			errs[i] = fmt.Errorf("packaging for '%s': %w", strings.Join(targets, "', '"), err)
		}
	}
	return errors.Join(errs...)
}

func checkRef(m Module, ref Ref, present map[string]bool) error {
	switch {
	case ref.Version == "":
		return fmt.Errorf("buildpack '%s' must specify a version when referencing buildpack '%s': buildpack '%s' does not have a version defined", m.FullName(), ref.ID, ref.ID)
	case !present[ref.FullName()]:
		return fmt.Errorf("buildpack '%s' references buildpack '%s' which is not present", m.FullName(), ref.FullName())
	}
	return nil
}
