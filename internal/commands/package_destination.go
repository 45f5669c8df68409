package commands

import (
	"strings"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/internal/ui"
	"github.com/multipack/multipack/pkg/reference"
)

// destination is where a package goes.
type destination struct {
	ref  reference.Ref
	tags []reference.Ref
	// stem is the name of the .cnb files without their ending; "" where the
	// destination is no file.
	stem string
	// given is NAME as the user wrote it.
	given string
}

// dockerScheme in front of a name says that it is one in a registry, with
// --publish or without.
const dockerScheme = "docker://"

// newDestination reads NAME, --tag and the flags that say where they lead.
func newDestination(name string, f *packageFlags) (destination, error) {
	if f.format == "file" {
		return fileDestination(name, f)
	}
	ref, err := parseRef(name)
	if err != nil {
		return destination{}, err
	}
	d := destination{ref: ref, given: name}
	switch ref.Kind {
	case reference.Registry:
		if ref.Digest != "" {
			return destination{}, fault.New(fault.Usage, "reading the destination '%s': a digest cannot be written, only a tag", name)
		}
		if !f.publish && !strings.HasPrefix(name, dockerScheme) {
			d.ref.Kind = reference.Daemon
		}
	case reference.File:
		return fileDestination(name, f)
	}
	if f.singleFile {
		return destination{}, fault.Hint(flagFault("'--single-file' is about files, and '%s' is none", name), "add '--format file', or name a .cnb file")
	}
	switch ref.Kind {
	case reference.Local:
		return destination{}, fault.Hint(fault.New(fault.Usage, "reading the destination '%s': a package cannot be written into a local list", name),
			"package to a layout and run 'multipack manifest add %s oci-layout://…'", reference.Familiar(ref.Name))
	}
	for _, t := range f.tags {
		tag, err := d.tag(t)
		if err != nil {
			return destination{}, err
		}
		d.tags = append(d.tags, tag)
	}
	return d, nil
}

// fileDestination is NAME as .cnb file: the ending is added where it is missing,
// and nothing but ".cnb" counts as one.
func fileDestination(name string, f *packageFlags) (destination, error) {
	if len(f.tags) > 0 {
		return destination{}, flagFault("'--tag' has no meaning for a .cnb file")
	}
	if name == "" || strings.HasSuffix(name, "/") {
		return destination{}, fault.New(fault.Usage, "reading the destination '%s': it is no file name", name)
	}
	if name == "-" {
		return destination{ref: reference.Ref{Kind: reference.File, Path: name, Given: name}, given: name}, nil
	}
	stem := strings.TrimSuffix(name, ".cnb")
	return destination{ref: reference.Ref{Kind: reference.File, Path: stem + ".cnb", Given: name}, stem: stem, given: name}, nil
}

// tag reads one --tag: a full name, or a tag of the destination's own
// repository or layout.
func (d destination) tag(given string) (reference.Ref, error) {
	switch d.ref.Kind {
	case reference.DockerArchive, reference.Stdio:
		return reference.Ref{}, flagFault("'--tag' has no meaning for '%s'", d.given)
	}
	if !strings.ContainsAny(given, "/:@") && d.ref.Kind != reference.Daemon {
		if given == "" {
			return reference.Ref{}, flagFault("'--tag' wants a tag or a name, not ''")
		}
		tagged := d.ref.WithTag(given)
		_, err := parseRef(tagged.Given)
		return tagged, err
	}
	ref, err := parseRef(given)
	if err != nil {
		return reference.Ref{}, err
	}
	if ref.Digest != "" {
		return reference.Ref{}, fault.New(fault.Usage, "reading '--tag %s': a digest cannot be written, only a tag", given)
	}
	if ref.Kind == reference.Registry && d.ref.Kind == reference.Daemon {
		ref.Kind = reference.Daemon
	}
	if ref.Kind != d.ref.Kind {
		return reference.Ref{}, fault.New(fault.Usage, "reading '--tag %s': it leads to %s, but '%s' to %s", given, medium(ref.Kind), d.given, medium(d.ref.Kind))
	}
	return ref, nil
}

// medium is a kind of destination with its article.
func medium(k reference.Kind) string {
	if word := k.String(); !strings.HasPrefix(word, "OCI") {
		return "a " + word
	}
	return "an " + k.String()
}

// warn says which flags have no effect here.
func (d destination) warn(c *ui.Console, f *packageFlags) {
	if f.publish && d.ref.Kind != reference.Registry {
		c.Warn("--publish has no effect: '%s' is not in a registry", d.given)
	}
	if f.noAnnounce && d.ref.Kind == reference.Layout {
		c.Warn("--no-announce has no effect: in a layout nothing is announced")
	}
	if f.suffix && d.ref.Kind != reference.Registry {
		c.Warn("--append-image-name-suffix will be ignored, use combined with --publish")
	}
}

// stdout reports whether the artifact itself goes to standard output.
func (d destination) stdout() bool { return d.ref.Kind == reference.Stdio || d.ref.Path == "-" }

// saved is where the last line on stderr says the package went.
func (d destination) saved() string {
	switch d.ref.Kind {
	case reference.Registry:
		return "registry"
	case reference.Daemon:
		return "docker daemon"
	case reference.File:
		return "file"
	case reference.Layout:
		return "layout"
	default:
		return "archive"
	}
}
