// Package commands is the command line: flags, arguments, wiring, and the
// choice of how a result is shown. It joins the other rooms and is the only
// importer of cobra.
package commands

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/multipack/multipack/internal/fault"
)

// App is one run's view of the outside world. It is built per run, so that the
// whole command line can run several times in one process.
type App struct {
	In       io.Reader
	Out, Err io.Writer
	// Getenv looks up the environment.
	Getenv func(string) string
	Now    func() time.Time
	// Version is what `multipack version` prints.
	Version string
}

// Run executes argv (the program's name included) and returns the exit code.
func (a *App) Run(ctx context.Context, argv []string) int {
	s := &session{app: a}
	defer s.close()
	args := arguments(argv)
	root := newRoot(s, args)
	completeWords(root)
	root.SetArgs(args)
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = s.lost()
	}
	if err == nil {
		return 0
	}
	if ctx.Err() != nil {
		err = fault.New(fault.Interrupted, "interrupted: %w", err)
	}
	if s.console == nil {
		s.globals.output = wanted(args) // the flags were not read to their end
	}
	return s.report(err)
}

// arguments are argv's without the program's name. A name that stands for a
// subcommand puts that subcommand in front; the Docker CLI calls its plugins
// with the plugin's own name as first argument.
func arguments(argv []string) []string {
	if len(argv) == 0 {
		return nil
	}
	program := strings.TrimSuffix(filepath.Base(argv[0]), ".exe")
	args := argv[1:]
	switch program {
	case "pack-manifest", "pack-buildpack", "pack-extension":
		return append([]string{strings.TrimPrefix(program, "pack-")}, args...)
	case "docker-multipack":
		if len(args) > 0 && args[0] == "multipack" {
			return args[1:]
		}
	}
	return args
}

// newRoot makes the commands, those of a group only where args may be about them:
// to make them all is a good part of what a start costs.
func newRoot(s *session, args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "multipack",
		Short: "Package Cloud Native Buildpacks for many platforms",
		Long: "multipack packages Cloud Native Buildpacks for many platforms: one image per platform, one index, one digest.\n\n" +
			"It speaks pack's words where pack has them, needs no daemon, and writes a tag only when everything under it is there.",
		Example: `  multipack buildpack package ghcr.io/acme/bp:1.2.0 --path . --platform linux/amd64,linux/arm64 --publish
  multipack buildpack inspect ghcr.io/acme/bp:1.2.0 --platform linux/arm64`,
		Version:       s.app.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          runGroup,
		Args:          cobra.ArbitraryArgs,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return s.start(cmd)
		},
	}
	s.globals.register(root.PersistentFlags())
	root.SetHelpCommand(&cobra.Command{Use: "help [command]", Short: "Show help for a command", Hidden: true, RunE: helpCommand})
	root.SetFlagErrorFunc(flagError)
	root.SetUsageTemplate(usageTemplate)
	root.SetVersionTemplate("{{.Version}}\n")
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveDefault)
	families := []family{buildpackFamily(s), extensionFamily(s), manifestFamily(s)}
	for _, f := range families {
		root.AddCommand(f.group)
	}
	root.AddCommand(newVersion(s), newPluginMetadata(s))
	chosen := chosen(root, args)
	for _, f := range families {
		if chosen == nil || chosen == f.group {
			f.group.AddCommand(f.commands()...)
		}
	}
	return root
}

// family is a group and how its commands are made.
type family struct {
	group    *cobra.Command
	commands func() []*cobra.Command
}

// chosen is the command of root that args begin with; nil where that is not
// plain to see.
func chosen(root *cobra.Command, args []string) *cobra.Command {
	if len(args) == 0 {
		return nil
	}
	for _, cmd := range root.Commands() {
		if cmd.Name() == args[0] || cmd.HasAlias(args[0]) {
			return cmd
		}
	}
	return nil
}

// runGroup is what a command does that only holds others: help, or the error for
// a word that none of them is.
func runGroup(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	err := fault.New(fault.Usage, "reading the command line: '%s' has no command '%s'", cmd.CommandPath(), args[0])
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fault.Hint(err, "did you mean '%s %s'?", cmd.CommandPath(), near[0])
	}
	return fault.Hint(err, "run '%s --help'", cmd.CommandPath())
}

func helpCommand(cmd *cobra.Command, args []string) error {
	found, rest, err := cmd.Root().Find(args)
	if err != nil || len(rest) > 0 {
		return runGroup(cmd.Root(), args)
	}
	return found.Help()
}
