package commands

import (
	"encoding/csv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/manifest/gather"
	"github.com/multipack/multipack/pkg/platform"
)

// sourceFlags say what is taken of the sources of `manifest create` and `add`.
type sourceFlags struct {
	platforms              []string
	nested, noAttestations bool
	replace                bool
}

func (f *sourceFlags) register(fl *pflag.FlagSet, replace string) {
	fl.StringArrayVar(&f.platforms, "platform", nil, "take these `platforms` of the sources only, os/arch[/variant][:osversion], linux/*, local or all; each has to be there (repeatable)")
	fl.BoolVar(&f.nested, "nested", false, "keep a source that is an index as one entry that points at it, instead of adding its entries")
	fl.BoolVar(&f.noAttestations, "no-attestations", false, "leave attestations out")
	fl.BoolVar(&f.replace, "replace", false, replace)
}

// options are what the flags mean.
func (f *sourceFlags) options() (gather.Options, error) {
	list, err := platform.ParseList(f.platforms, platform.Local())
	if err != nil {
		return gather.Options{}, err
	}
	switch {
	case f.nested && !list.IsZero() && !list.All:
		return gather.Options{}, flagFault("'--nested' keeps an index as it is, '--platform' takes a part of it")
	case f.nested && f.noAttestations:
		return gather.Options{}, flagFault("'--nested' keeps an index as it is, '--no-attestations' takes a part of it")
	}
	return gather.Options{Nested: f.nested, NoAttestations: f.noAttestations, Platforms: list}, nil
}

// entryFlags change one entry: its platform and its annotations.
type entryFlags struct {
	platformFlags
	annotations []string
}

func (f *entryFlags) register(cmd *cobra.Command) {
	f.platformFlags.register(cmd.Flags())
	annotationFlags(cmd.Flags(), &f.annotations, "annotation of the entry")
}

// platformFlags are the fields of a platform that are set.
type platformFlags struct {
	os, arch, variant, osVersion string
	osFeatures                   []string
}

func (f *platformFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.os, "os", "", "set the entry's `os`")
	fl.StringVar(&f.arch, "arch", "", "set the entry's `architecture`")
	fl.StringVar(&f.variant, "variant", "", "set the `variant` of the architecture ('' takes it away)")
	fl.StringVar(&f.osVersion, "os-version", "", "set the `version` of the os ('' takes it away)")
	fl.StringArrayVar(&f.osFeatures, "os-feature", nil, "set a `feature` that the os has to have (repeatable; '' takes all away)")
}

// change is what the flags that were given mean.
func (f *platformFlags) change(fl *pflag.FlagSet) platform.Change {
	var c platform.Change
	for name, set := range map[string]func(){
		"os":         func() { c.OS = &f.os },
		"arch":       func() { c.Arch = &f.arch },
		"variant":    func() { c.Variant = &f.variant },
		"os-version": func() { c.OSVersion = &f.osVersion },
		"os-feature": func() { c.Features, c.ClearFeatures = f.osFeatures, true },
	} {
		if fl.Changed(name) {
			set()
		}
	}
	return c
}

// indexFlags are about the index itself.
type indexFlags struct {
	artifactType, subject string
}

func (f *indexFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.artifactType, "artifact-type", "", "set the index's artifact `type`")
	fl.StringVar(&f.subject, "subject", "", "set the manifest that the index refers to: a `reference`, which is looked up, or a descriptor as JSON")
}

// annotationFlags registers --annotation and pack's --annotations. Values end
// up in one list, in the order in which they are given.
func annotationFlags(fl *pflag.FlagSet, into *[]string, what string) {
	fl.Var(&annotationValue{into: into}, "annotation", what+", `name=value`; 'name-' deletes one (repeatable)")
	fl.Var(&annotationValue{into: into, several: true}, "annotations", what+", several separated by commas: `a=1,b=2`")
}

// annotationValue collects the values of a flag; of --annotations each holds
// several as pack reads them: a value with one '=' is taken as it is, others
// are a line of CSV.
type annotationValue struct {
	into    *[]string
	several bool
}

func (a *annotationValue) String() string { return "" }
func (a *annotationValue) Type() string   { return "name=value" }

func (a *annotationValue) Set(value string) error {
	switch {
	case !a.several:
		*a.into = append(*a.into, value)
		return nil
	case strings.Count(value, "=") == 1:
		*a.into = append(*a.into, strings.Trim(value, `"`))
		return nil
	}
	fields, err := csv.NewReader(strings.NewReader(value)).Read()
	if err != nil {
		return err
	}
	*a.into = append(*a.into, fields...)
	return nil
}

// publishFlags are those of create, add, annotate and rm that have them work on
// the tag in the registry, with nothing kept locally.
type publishFlags struct {
	appendFlags
	publish, insecure bool
}

func (f *publishFlags) register(fl *pflag.FlagSet) {
	fl.BoolVar(&f.publish, "publish", false, "work on the tag in the registry, with nothing kept locally, also while other jobs do the same")
	f.appendFlags.register(fl)
	f.registerInsecure(fl)
}

// checkPublish refuses flags of a tag for a list of the store, and such a list
// where a tag is to be changed.
func (f *publishFlags) checkPublish(list string) error {
	if !f.publish {
		return f.onlyWith("--publish")
	}
	if strings.HasPrefix(list, "local:") {
		return flagFault("'--publish' works on a tag of a registry, and '%s' is a list of the store", list)
	}
	return nil
}

func (f *publishFlags) registerInsecure(fl *pflag.FlagSet) {
	fl.BoolVar(&f.insecure, "insecure", false, "the registries named by the arguments may use plain HTTP or an unverified certificate")
}

// formatFlag reads --format, which pack takes in any case.
func formatFlag(given string) (manifest.Format, error) {
	f, err := manifest.ParseFormat(strings.ToLower(given))
	if err != nil {
		return "", fault.New(fault.Usage, "reading flag '--format': '%s' is neither 'oci' nor 'docker'", given)
	}
	return f, nil
}
