package commands

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/buildpack/lint"
	"github.com/multipack/multipack/pkg/dependency"
	"github.com/multipack/multipack/pkg/manifest"
)

// packageFlags are the flags of `buildpack package` and `extension package`, as given.
type packageFlags struct {
	appendFlags
	path, config, format              string
	publish, suffix, append           bool
	targets, platforms                []string
	labels                            map[string]string
	annotations                       []string
	indexAnnotations                  []string
	tags, shared                      []string
	pullPolicy, buildpackRegistry     string
	flatten                           bool
	flattenExclude                    []string
	singleFile, dryRun, insecure      bool
	metadataFile, digestFile, lintArg string
	lifecycleAPIs                     string
}

func (f *packageFlags) register(cmd *cobra.Command, m module) {
	f.registerContent(cmd, m)
	fl := cmd.Flags()
	fl.StringVarP(&f.format, "format", "f", "", "`kind` of result, image or file: an image in a registry or the daemon, or .cnb files")
	fl.BoolVar(&f.publish, "publish", false, "publish to the registry that NAME names, instead of the daemon")
	fl.StringSliceVar(&f.tags, "tag", nil, "further `name` for the result: a tag of NAME's repository or layout, or a full name (repeatable)")
	fl.BoolVar(&f.append, "append", false, "keep what is under the tag already and put these platforms in, also while other jobs do the same")
	f.appendFlags.register(fl)
	fl.BoolVar(&f.suffix, "append-image-name-suffix", false, "also tag each platform's image with NAME's tag and -os-arch[-variant]")
	fl.BoolVar(&f.singleFile, "single-file", false, "with --format file: one .cnb for all platforms")
	fl.BoolVar(&f.dryRun, "dry-run", false, "do everything but write; print the digests that the real run gives")
	fl.StringVar(&f.metadataFile, "metadata-file", "", "write a JSON `file` that says what was made and what happened to each blob")
	fl.StringVar(&f.digestFile, "digestfile", "", "write the digest to `file`")
	fl.StringVar(&f.lintArg, "lint", lintWarn, "`mode` of the checks before anything is written: off, warn or strict (findings exit 6)")
	fl.StringVar(&f.lifecycleAPIs, "lifecycle-apis", "", "Buildpack API `range` of the lifecycle to lint against, OLDEST-NEWEST or NEWEST, as in 0.7-0.12")
	fl.BoolVar(&f.insecure, "insecure", false, "NAME's registry may use plain HTTP or an unverified certificate")
}

// registerContent registers the flags that decide the package's bytes.
func (f *packageFlags) registerContent(cmd *cobra.Command, m module) {
	fl := cmd.Flags()
	fl.StringVarP(&f.path, "path", "p", "", "`folder` or archive (.tgz, .tar, file://, http(s)://) of the "+m.word)
	fl.StringVarP(&f.config, "config", "c", "", "package.toml `file`; its relative paths start at its own folder")
	fl.StringArrayVar(&f.platforms, "platform", nil, "`platform` to build for, os/arch[/variant][:osversion], local or all (repeatable; default: the [[targets]])")
	fl.StringSliceVarP(&f.targets, "target", "t", nil, "`target` to build for, os/arch[/variant][:distro@version[;distro@version]] (repeatable)")
	fl.StringToStringVarP(&f.labels, "label", "l", nil, "label of each image, `name=value` (repeatable, or separated by commas)")
	fl.Lookup("label").DefValue = ""
	fl.StringArrayVar(&f.annotations, "annotation", nil, "annotation of each image's manifest and index entry, `name=value` (repeatable)")
	fl.StringArrayVar(&f.indexAnnotations, "index-annotation", nil, "annotation of the index, `name=value` (repeatable)")
	fl.StringArrayVar(&f.shared, "shared", nil, "`glob` of files of the root that every platform's folder gets (repeatable)")
	fl.StringVar(&f.pullPolicy, "pull-policy", "", "`policy` for dependencies that are images: always from the registry, if-not-present in the daemon, never (docker-daemon: ones, and without --publish all)")
	fl.StringVarP(&f.buildpackRegistry, "buildpack-registry", "r", "", "CNB `registry` for urn:cnb:registry: dependencies: a name of pack's configuration, a git URL or a folder")
	fl.BoolVar(&f.flatten, "flatten", false, "put all modules into one layer")
	fl.StringSliceVarP(&f.flattenExclude, "flatten-exclude", "e", nil, "`id@version` of a module that keeps its own layer (repeatable)")
}

// lintModes are the values of --lint.
const (
	lintOff    = "off"
	lintWarn   = "warn"
	lintStrict = "strict"
)

// check refuses values and combinations that mean nothing, before anything is
// read or downloaded.
func (f *packageFlags) check() error {
	switch {
	case f.path != "" && f.config != "":
		return flagFault("'--path' and '--config' exclude each other: package.toml names the folder itself")
	case f.format != "" && f.format != "image" && f.format != "file":
		return flagFault("'--format' is 'image' or 'file', not '%s'", f.format)
	case len(f.flattenExclude) > 0 && !f.flatten:
		return fault.Hint(flagFault("'--flatten-exclude' is about flattening"), "add '--flatten'")
	case f.lintArg != lintOff && f.lintArg != lintWarn && f.lintArg != lintStrict:
		return flagFault("'--lint' is 'off', 'warn' or 'strict', not '%s'", f.lintArg)
	}
	if _, err := dependency.ParsePull(f.pullPolicy); err != nil {
		return err
	}
	if _, err := lint.ParseAPIs(f.lifecycleAPIs); err != nil {
		return err
	}
	if _, ok := f.labels[""]; ok {
		return flagFault("'--label' wants name=value, and the name is missing")
	}
	if _, err := keyValues("annotation", f.annotations); err != nil {
		return err
	}
	if _, err := manifest.ParseAnnotations(f.indexAnnotations); err != nil {
		return err
	}
	_, _, err := f.named()
	return err
}

func flagFault(format string, args ...any) error {
	return fault.New(fault.Usage, "reading the flags: "+format, args...)
}

// keyValues reads repeated name=value flags; a value may hold commas.
func keyValues(flag string, given []string) (map[string]string, error) {
	out := map[string]string{}
	for _, g := range given {
		k, v, ok := strings.Cut(g, "=")
		if !ok || k == "" {
			return nil, flagFault("'--%s' wants name=value, not '%s'", flag, g)
		}
		out[k] = v
	}
	return out, nil
}
