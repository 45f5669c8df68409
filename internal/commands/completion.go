package commands

import (
	"github.com/spf13/cobra"

	"github.com/multipack/multipack/internal/ui"
)

// flagValues are the words that flags take, for each group of commands.
var flagValues = map[string]map[string][]cobra.Completion{
	"buildpack": packageWords,
	"extension": packageWords,
	"manifest":  {"format": {"oci", "docker"}, "as": {"oci-archive", "oci-dir", "docker-archive"}},
}

var packageWords = map[string][]cobra.Completion{
	"format": {"image", "file"},
	"lint":   {lintOff, lintWarn, lintStrict},
}

// completeWords makes completion know the words that flags take, and gives the
// completion command the manners of the others: cobra's own answers a shell
// that it does not know with help and success.
func completeWords(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	_ = root.RegisterFlagCompletionFunc("output", outputFormats) // fails where there is no such flag only
	for _, group := range root.Commands() {
		if group.Name() == "completion" {
			polish(group)
			continue
		}
		for _, cmd := range group.Commands() {
			for name, words := range flagValues[group.Name()] {
				if cmd.Flags().Lookup(name) != nil {
					_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
				}
			}
		}
	}
}

// outputFormats are the documents that cmd can print.
func outputFormats(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if cmd.Annotations[formatsKey] != "" {
		return []cobra.Completion{ui.JSON, ui.YAML, ui.TOML}, cobra.ShellCompDirectiveNoFileComp
	}
	return []cobra.Completion{ui.JSON}, cobra.ShellCompDirectiveNoFileComp
}

// polish makes wrong words usage errors.
func polish(completion *cobra.Command) {
	completion.Args, completion.RunE = cobra.ArbitraryArgs, runGroup
	for _, shell := range completion.Commands() {
		shell.Args = args(cobra.NoArgs)
	}
}
