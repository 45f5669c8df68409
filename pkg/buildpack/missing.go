package buildpack

import (
	"errors"
	"strings"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/platform"
)

// MissingPlatform is a dependency that lacks platforms.
type MissingPlatform struct {
	// Dependency is as the user wrote it.
	Dependency string
	// Wanted are the platforms that it lacks.
	Wanted []platform.Target
	// Found are the platforms that it has.
	Found []platform.Platform
}

// MissingPlatforms is the error that names every dependency and platform that
// cannot be packaged together, not only the first.
type MissingPlatforms struct{ Dependencies []MissingPlatform }

// Error is one line for each dependency.
func (m *MissingPlatforms) Error() string {
	lines := make([]string, len(m.Dependencies))
	for i, d := range m.Dependencies {
		wanted := make([]string, len(d.Wanted))
		for j, t := range d.Wanted {
			wanted[j] = "'" + t.String() + "'"
		}
		found := make([]string, len(d.Found))
		for j, p := range d.Found {
			found[j] = p.String()
		}
		lines[i] = "dependency '" + d.Dependency + "' has no " + strings.Join(wanted, ", ")
		if len(found) > 0 {
			lines[i] += " (found: " + strings.Join(found, ", ") + ")"
		} else {
			lines[i] += " (found: none)"
		}
	}
	return strings.Join(lines, "\n")
}

// CheckMissing is nil where nothing is missing, else a fault.NotFound around a
// *MissingPlatforms; dependencies that lack nothing are left out of it.
func CheckMissing(all []MissingPlatform) error {
	var lacking []MissingPlatform
	for _, d := range all {
		if len(d.Wanted) > 0 {
			lacking = append(lacking, d)
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	return fault.New(fault.NotFound, "resolving the dependencies: %w", &MissingPlatforms{Dependencies: lacking})
}

// Missing is the *MissingPlatforms in err's chain, if there is one.
func Missing(err error) (*MissingPlatforms, bool) {
	var m *MissingPlatforms
	ok := errors.As(err, &m)
	return m, ok
}

// MissingFolders is NewPlan's error for targets without a folder where other
// platforms have one.
type MissingFolders struct {
	// Tree is what messages call the tree.
	Tree string
	// Targets have no folder.
	Targets []platform.Target
	// Folders are those that are there, Platforms what they are for.
	Folders   []string
	Platforms []platform.Platform
}

func (m *MissingFolders) add(folder string, p platform.Platform) {
	m.Folders, m.Platforms = append(m.Folders, folder), append(m.Platforms, p)
}

// Error names all targets and all folders.
func (m *MissingFolders) Error() string {
	wanted := make([]string, len(m.Targets))
	for i, t := range m.Targets {
		wanted[i] = "'" + t.String() + "'"
		if t.Path != "" {
			wanted[i] = "'" + t.Path + "'"
		}
	}
	found := "none"
	if len(m.Folders) > 0 {
		found = strings.Join(m.Folders, ", ")
	}
	return "finding the platform folders of '" + m.Tree + "': no folder for " + strings.Join(wanted, ", ") + " (folders found: " + found + ")"
}

// Fit says whether a plain image may be used as a dependency for a target.
type Fit int

const (
	// Unfit says that the image is of another platform.
	Unfit Fit = iota
	// Unsaid says that the image does not name an architecture; it is accepted with a warning.
	Unsaid
	// Fits says that the image is of the target's platform.
	Fits
)

// FitOf compares an image's platform with a target. What the image leaves out
// (variant, os version) fits every value, and so does an os version that the
// target does not ask for.
func FitOf(target platform.Target, image platform.Platform) Fit {
	want := target.Platform.Normalize()
	// A config that says arm without a variant has not said arm/v7.
	variantSaid := image.Variant != ""
	have := image.Normalize()
	switch {
	case have.OS != "" && want.OS != "" && have.OS != want.OS:
		return Unfit
	case have.Arch == "":
		return Unsaid
	case want.Arch != "" && have.Arch != want.Arch,
		variantSaid && have.Variant != want.Variant,
		have.OSVersion != "" && want.OSVersion != "" && have.OSVersion != want.OSVersion:
		return Unfit
	}
	return Fits
}
