package commands

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// exitCodes stands in every command's help and in the reference.
const exitCodes = `Exit codes:
  0    done
  1    failed (network, disk, registry said no for another reason)
  2    wrong usage: flags, arguments, reference or platform; nothing was touched
  3    not found: list, image, entry, platform, file
  4    not allowed: 401/403, missing credentials
  5    conflict: list exists, platform taken, tag immutable, tag kept moving
  6    a check failed: lint, verify, diff or skew found differences
  130  interrupted`

const usageTemplate = `Usage:{{if .Runnable}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} [command]{{end}}{{if gt (len .Aliases) 0}}

Aliases:
  {{.NameAndAliases}}{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Global flags:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}

` + exitCodes + `
`

// nearestFlag is the command's flag that looks most like name, "" where none does.
func nearestFlag(cmd *cobra.Command, name string) string {
	best := ""
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		if strings.HasPrefix(f.Name, name) || strings.HasPrefix(name, f.Name) || editDistance(f.Name, name) <= 2 {
			if best == "" || editDistance(f.Name, name) < editDistance(best, name) {
				best = f.Name
			}
		}
	})
	return best
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
