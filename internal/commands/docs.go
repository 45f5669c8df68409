package commands

import "github.com/spf13/cobra"

// Root is the command tree by itself, for the generated reference: nothing in
// it can be run.
func Root() *cobra.Command {
	root := newRoot(&session{app: &App{Version: "dev", Getenv: func(string) string { return "" }}}, nil)
	root.InitDefaultCompletionCmd()
	return root
}

// ExitCodes is the text that stands in every command's help.
const ExitCodes = exitCodes
