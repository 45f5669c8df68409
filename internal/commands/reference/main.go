// Command reference writes the command reference (Markdown) and the man pages
// from the commands themselves: reference DIR writes DIR/cli and DIR/man.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/multipack/multipack/internal/commands"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: reference DIR")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "ERROR: writing the reference:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	root := commands.Root()
	root.DisableAutoGenTag = true
	for _, sub := range []string{"cli", "man"} {
		if err := os.RemoveAll(filepath.Join(dir, sub)); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	return each(root, func(cmd *cobra.Command) error {
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "_")
		var page bytes.Buffer
		if err := doc.GenMarkdown(cmd, &page); err != nil {
			return err
		}
		page.WriteString("\n### Exit codes\n\n```\n" + strings.TrimPrefix(commands.ExitCodes, "Exit codes:\n") + "\n```\n")
		if err := os.WriteFile(filepath.Join(dir, "cli", name+".md"), page.Bytes(), 0o644); err != nil {
			return err
		}
		var man bytes.Buffer
		// A fixed date: the pages change when the commands do, and at no other time.
		date := time.Unix(0, 0).UTC()
		header := &doc.GenManHeader{Section: "1", Date: &date, Source: "multipack", Manual: "multipack manual"}
		if err := doc.GenMan(cmd, header, &man); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "man", strings.ReplaceAll(name, "_", "-")+".1"), man.Bytes(), 0o644)
	})
}

// each calls f for cmd and every command below it that users see.
func each(cmd *cobra.Command, f func(*cobra.Command) error) error {
	if cmd.Hidden || cmd.Name() == "help" {
		return nil
	}
	if err := f(cmd); err != nil {
		return err
	}
	for _, c := range cmd.Commands() {
		if err := each(c, f); err != nil {
			return err
		}
	}
	return nil
}
