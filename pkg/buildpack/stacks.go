package buildpack

import (
	"slices"
	"strings"
)

// anyStack is the stack id that stands for every stack.
const anyStack = "*"

// declaredStacks are a module's stacks. A component without any is for every
// stack: it says what it runs on by targets.
func declaredStacks(d Descriptor) []Stack {
	if len(d.Stacks) == 0 && !d.IsComposite() {
		return []Stack{{ID: anyStack}}
	}
	return d.Stacks
}

// resolveStacks are the stacks that all modules of a package can run on, by
// pack's rules: deps are folded into main's; a composite without stacks says
// nothing. The result is empty where they have none in common. pack folds in
// packaging order, which decides the order of several stacks; here it is that of
// id@version, so that the order of the dependencies does not matter.
func resolveStacks(main Descriptor, deps []Module) []Stack {
	stacks := declaredStacks(main)
	deps = slices.Clone(deps)
	slices.SortStableFunc(deps, func(a, b Module) int { return strings.Compare(a.FullName(), b.FullName()) })
	for _, dep := range deps {
		declared := declaredStacks(dep.Descriptor)
		switch {
		case len(stacks) == 0:
			stacks = declared
		case len(declared) > 0:
			stacks = mergeStacks(stacks, declared)
		}
	}
	return stacks
}

func mergeStacks(a, b []Stack) []Stack {
	isAny := func(s Stack) bool { return s.ID == anyStack }
	anyA, anyB := slices.ContainsFunc(a, isAny), slices.ContainsFunc(b, isAny)
	switch {
	case anyA && anyB:
		return []Stack{{ID: anyStack}}
	case anyA:
		return b
	case anyB:
		return a
	}
	mixins := map[string][]string{}
	for _, s := range a {
		mixins[s.ID] = s.Mixins
	}
	var out []Stack
	for _, s := range b {
		if have, ok := mixins[s.ID]; ok {
			union := slices.Concat(have, s.Mixins)
			slices.Sort(union)
			out = append(out, Stack{ID: s.ID, Mixins: slices.Compact(union)})
		}
	}
	return out
}
