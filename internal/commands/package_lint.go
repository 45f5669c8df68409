package commands

import (
	"context"
	"strings"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack"
	"github.com/multipack/multipack/pkg/buildpack/lint"
)

// judge refuses what cannot be packaged and reports what is likely wrong, before
// anything is made or written. Where findings are failures they come first: what
// is not used by the order, say, is both.
func (p *packaging) judge(ctx context.Context, builds []buildpack.PlatformBuild) error {
	if p.flags.lintArg != lintStrict {
		if err := buildpack.ValidateAll(builds); err != nil {
			return p.explained(err)
		}
	}
	if p.flags.lintArg == lintOff {
		for _, f := range lint.Silent(p.found.Silent) { // said whatever is linted
			p.console.Warn("%s", f.Message)
		}
		return nil
	}
	findings, err := p.findings(ctx, builds)
	if err != nil {
		return err
	}
	if p.flags.lintArg == lintStrict {
		if err := lint.Check(findings); err != nil {
			return fault.Hint(err, "correct what is named, or use '--lint warn'")
		}
		return p.explained(buildpack.ValidateAll(builds))
	}
	for _, f := range findings {
		p.console.Warn("%s", f)
	}
	return nil
}

// findings are those about the module itself, about dependencies that come from
// folders, and about the package as a whole.
func (p *packaging) findings(ctx context.Context, builds []buildpack.PlatformBuild) ([]lint.Finding, error) {
	apis, err := lint.ParseAPIs(p.flags.lifecycleAPIs)
	if err != nil {
		return nil, err
	}
	out, err := lint.Plan(ctx, p.plan)
	if err != nil {
		return nil, err
	}
	out = append(lint.Alike(p.input.alike), out...)
	if len(p.input.config.Targets) > 0 && !p.input.descriptor.IsComposite() {
		out = append(out, lint.Finding{
			Rule: lint.RuleUnknownKey, Path: p.flags.config,
			Message: "nothing reads the key 'targets' here: those of a component are in its " + p.input.descriptor.FileName(),
		})
	}
	for _, plan := range p.found.Plans {
		found, err := lint.Plan(ctx, plan)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			switch {
			case f.Rule == lint.RuleEmptyArch, f.Rule == lint.RuleSamePlatform: // said of the package already
				continue
			case f.Path != "" && f.Rule != lint.RuleUnknownKey:
				f.Path = strings.TrimSuffix(plan.Name, "/") + "/" + f.Path
			}
			out = append(out, f)
		}
	}
	out = append(out, lint.Silent(p.found.Silent)...)
	return append(out, lint.Builds(builds, apis)...), nil
}

// explained adds what to do about an order whose modules are not there because
// nothing says where they are.
func (p *packaging) explained(err error) error {
	if err != nil && !p.input.hasConfig && p.input.descriptor.IsComposite() {
		return fault.Hint(err, "name the modules of the order in the [[dependencies]] of a package.toml, beside buildpack.toml or given with --config")
	}
	return err
}
