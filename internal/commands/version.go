package commands

import (
	"runtime"

	"github.com/spf13/cobra"

	"github.com/multipack/multipack/internal/ui"
)

func newVersion(s *session) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show the version",
		Example: "  multipack version\n  multipack version -o json",
		Args:    args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if s.globals.output == ui.JSON {
				return s.console.Document(ui.JSON, map[string]string{
					"version": s.app.Version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
				})
			}
			s.console.Result(s.app.Version)
			return nil
		},
	}
}

// newPluginMetadata answers the Docker CLI, which asks every plugin who it is
// (docker/cli, "CLI plugins").
func newPluginMetadata(s *session) *cobra.Command {
	return &cobra.Command{
		Use:    "docker-cli-plugin-metadata",
		Hidden: true,
		Args:   args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return s.console.Document(ui.JSON, map[string]string{
				"SchemaVersion": "0.1.0", "Vendor": "multipack", "Version": s.app.Version,
				"ShortDescription": "Package Cloud Native Buildpacks for many platforms",
			})
		},
	}
}
