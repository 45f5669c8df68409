package dependency

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/mod/semver"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/reference"
)

// Index is the index of a CNB registry: which versions of which buildpacks there
// are, and where. It holds the state of one moment. It is safe for concurrent use.
type Index struct {
	// name is what messages call it.
	name string
	// read gives a file of the index; fs.ErrNotExist where there is none.
	read func(ctx context.Context, file string) ([]byte, error)
	// old is why the index could not be brought up to date; nil for one that is.
	old error
}

// Entry is one version of a buildpack in a CNB registry.
type Entry struct {
	Namespace string `json:"ns"`
	Name      string `json:"name"`
	Version   string `json:"version"`
	// Yanked versions are not for new users: only who names one gets it.
	Yanked bool `json:"yanked"`
	// Address is an image's name with its digest.
	Address string `json:"addr"`
}

// Location is where an id of a CNB registry leads.
type Location struct {
	// Ref is an image with its digest.
	Ref reference.Ref
	// Warnings are what the user should know of it.
	Warnings []string
}

// Locate is the image of the id: of its version, else of the newest that is not
// yanked, in the order of semantic versions. Nothing of the kind is a
// fault.NotFound that lists the versions.
func (x *Index) Locate(ctx context.Context, id ID) (Location, error) {
	entries, err := x.entries(ctx, id)
	if err != nil {
		return Location{}, err
	}
	if x.old != nil && id.Version == "" {
		return Location{}, fault.Hint(fmt.Errorf("looking up the newest version of '%s': %w", id, x.old), "name the version: an older copy of the index is there")
	}
	entry, err := x.choose(id, entries)
	if err != nil {
		return Location{}, err
	}
	if _, err := name.NewDigest(entry.Address); err != nil {
		return Location{}, x.damaged(id, fmt.Errorf("the address '%s' is no image name with a digest", entry.Address))
	}
	var at Location
	if at.Ref, err = reference.Parse("docker://"+entry.Address, nil); err != nil {
		return Location{}, x.damaged(id, err)
	}
	if x.old != nil {
		at.Warnings = append(at.Warnings, fmt.Sprintf("an older copy of CNB registry '%s' is used: %v", x.name, x.old))
	}
	if entry.Yanked {
		at.Warnings = append(at.Warnings, fmt.Sprintf("it was yanked from CNB registry '%s'", x.name))
	}
	return at, nil
}

// entries are all versions of the id, in the order of the file.
func (x *Index) entries(ctx context.Context, id ID) ([]Entry, error) {
	raw, err := x.read(ctx, id.file())
	if errors.Is(err, fs.ErrNotExist) {
		err := fault.New(fault.NotFound, "CNB registry '%s' has no buildpack '%s/%s'", x.name, id.Namespace, id.Name)
		return nil, fault.Hint(err, "for the image of that name write 'docker://%s/%s'", id.Namespace, id.Name)
	}
	if err != nil {
		return nil, fault.New(fault.Failed, "reading '%s' of CNB registry '%s': %w", id.file(), x.name, err)
	}
	var out []Entry
	for number, line := range bytes.Split(raw, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, x.damaged(id, fmt.Errorf("line %d: %w", number+1, err))
		}
		out = append(out, e)
	}
	return out, nil
}

func (x *Index) choose(id ID, entries []Entry) (Entry, error) {
	entries = lastOfEach(entries)
	if id.Version != "" {
		for _, e := range entries {
			if e.Version == id.Version {
				return e, nil
			}
		}
		return Entry{}, fault.New(fault.NotFound, "CNB registry '%s' has no version '%s' of '%s/%s' (versions found: %s)",
			x.name, id.Version, id.Namespace, id.Name, versions(entries))
	}
	var newest Entry
	var at string
	for _, e := range entries {
		v, ok := ordered(e.Version)
		if e.Yanked || !ok || at != "" && semver.Compare(v, at) <= 0 {
			continue
		}
		newest, at = e, v
	}
	if at == "" {
		return Entry{}, fault.New(fault.NotFound, "CNB registry '%s' has no version of '%s' that is not yanked (versions found: %s)", x.name, id, versions(entries))
	}
	return newest, nil
}

// ordered is a semantic version as package semver writes it, with a v. Of
// what that package reads beyond the specification (v1, v1.2) nothing is taken.
func ordered(version string) (string, bool) {
	v := "v" + version
	return v, semver.IsValid(v) && semver.Canonical(v) == strings.TrimSuffix(v, semver.Build(v))
}

// lastOfEach keeps the last line of a version that stands there twice.
func lastOfEach(entries []Entry) []Entry {
	at := map[string]int{}
	for i, e := range entries {
		at[e.Version] = i
	}
	var out []Entry
	for i, e := range entries {
		if at[e.Version] == i {
			out = append(out, e)
		}
	}
	return out
}

// versions are for a message: the newest lines of a file are its last ones.
func versions(entries []Entry) string {
	const most = 8
	var out []string
	for _, e := range slices.Backward(entries) {
		if len(out) == most {
			out = append(out, "…")
			break
		}
		v := e.Version
		if e.Yanked {
			v += " (yanked)"
		}
		out = append(out, v)
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

func (x *Index) damaged(id ID, err error) error {
	return fault.New(fault.Failed, "reading '%s' of CNB registry '%s': %w", id.file(), x.name, err)
}

// folderIndex reads the index that lies in a folder, a clone's work tree or not.
func folderIndex(name, dir string) *Index {
	return &Index{name: name, read: func(_ context.Context, file string) ([]byte, error) {
		raw, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(file)))
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return raw, err
	}}
}
