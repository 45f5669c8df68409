package commands

import "github.com/spf13/cobra"

func buildpackFamily(s *session) family {
	return familyOf(s, buildpackModule, &cobra.Command{
		Use:     "buildpack",
		Aliases: []string{"buildpacks"},
		Short:   "Package, inspect and compare buildpacks",
		Args:    cobra.ArbitraryArgs,
		RunE:    runGroup,
	})
}

func extensionFamily(s *session) family {
	return familyOf(s, extensionModule, &cobra.Command{
		Use:     "extension",
		Aliases: []string{"extensions"},
		Short:   "Package, inspect and compare extensions",
		Args:    cobra.ArbitraryArgs,
		RunE:    runGroup,
	})
}

func familyOf(s *session, m module, group *cobra.Command) family {
	return family{group, func() []*cobra.Command {
		return []*cobra.Command{newPackage(s, m), newInspect(s, m), newPackageDiff(s, m), newPackageVerify(s, m)}
	}}
}

// module is what the package and inspect commands are about; the two kinds
// differ in words and in the descriptor's name only.
type module struct{ word, descriptor string }

var (
	buildpackModule = module{word: "buildpack", descriptor: "buildpack.toml"}
	extensionModule = module{word: "extension", descriptor: "extension.toml"}
)

// article is the word with its article.
func (m module) article() string {
	if m.word == buildpackModule.word {
		return "a " + m.word
	}
	return "an " + m.word
}

// composites is what the help of `package` says of dependencies.
func (m module) composites() string {
	if m.word != buildpackModule.word {
		return ""
	}
	return `A composite's dependencies are those of package.toml: folders, archives, URLs, .cnb files, references of any kind, urn:cnb:registry:NS/NAME[@VERSION].
Each is found for each platform before anything is written; layers of packaged ones are mounted or streamed as they are.
`
}
