package buildpack

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/multipack/multipack/internal/fault"
)

// assumedAPI is the Buildpack API of a descriptor that names none.
const assumedAPI = "0.1"

// descriptorFile is the shape of both descriptor files. The decoder also
// reports what is in no field.
type descriptorFile struct {
	API       *string    `toml:"api"`
	Buildpack moduleFile `toml:"buildpack"`
	Extension moduleFile `toml:"extension"`
	Stacks    []Stack    `toml:"stacks"`
	Targets   []Target   `toml:"targets"`
	Order     Order      `toml:"order"`
	Metadata  struct {
		Multipack struct {
			Shared []string `toml:"shared"`
		} `toml:"multipack"`
	} `toml:"metadata"`
}

type moduleFile struct {
	ModuleInfo
	// The lifecycle reads it; labels do not have it.
	SBOMFormats []string `toml:"sbom-formats"`
}

// ParseBuildpack reads a buildpack.toml. name is what messages call it; every
// error names it, and the line and key where there is one. Keys that nothing
// reads are no error: they are in the result's Unknown. An os, architecture or
// variant that does not exist is a fault.Usage that names the nearest one.
func ParseBuildpack(name string, raw []byte) (Descriptor, error) {
	return parseDescriptor(KindBuildpack, name, raw)
}

// ParseExtension reads an extension.toml, in the way of ParseBuildpack.
func ParseExtension(name string, raw []byte) (Descriptor, error) {
	return parseDescriptor(KindExtension, name, raw)
}

// ParseDescriptor reads the descriptor of a kind of module.
func ParseDescriptor(kind, name string, raw []byte) (Descriptor, error) {
	return parseDescriptor(kind, name, raw)
}

func parseDescriptor(kind, name string, raw []byte) (Descriptor, error) {
	var file descriptorFile
	doc, err := decode(name, raw, &file)
	if err != nil {
		return Descriptor{}, err
	}
	d := Descriptor{
		File: name, Kind: kind, API: assumedAPI,
		Info: file.Buildpack.ModuleInfo, Stacks: file.Stacks, Targets: file.Targets, Order: file.Order,
		Shared:  file.Metadata.Multipack.Shared,
		Unknown: doc.unknownKeys(kind),
	}
	if kind == KindExtension {
		d.Info, d.Stacks, d.Order = file.Extension.ModuleInfo, nil, nil
	}
	if err := doc.checkIdentity(kind, d.Info); err != nil {
		return Descriptor{}, err
	}
	if file.API != nil {
		if d.API, err = parseAPI(*file.API); err != nil {
			return Descriptor{}, doc.problem(fault.Failed, "api", err)
		}
	}
	if d.IsComposite() && (len(d.Stacks) > 0 || len(d.Targets) > 0) {
		return Descriptor{}, doc.problem(fault.Failed, "order",
			fmt.Errorf("buildpack '%s': cannot have both 'targets'/'stacks' and an 'order' defined", d.Info.FullName()))
	}
	if err := errors.Join(doc.checkTargets(d.Targets)...); err != nil {
		return Descriptor{}, err
	}
	return d, nil
}

// unknownKeys are the keys of a descriptor that nothing reads. [metadata] is
// free for anybody's use, but for the table of this program; a table of the
// other kind of descriptor means nothing in this one.
func (d *document) unknownKeys(kind string) []UnknownKey {
	foreign := []string{"extension"}
	if kind == KindExtension {
		foreign = []string{"buildpack", "stacks", "order"}
	}
	out := d.unknown(func(name string) bool {
		return within(name, "metadata") && !strings.HasPrefix(name, "metadata.multipack.") ||
			strings.HasSuffix(name, "exec-env.name") || // ExecEnv reads it
			slices.ContainsFunc(foreign, func(f string) bool { return within(name, f) })
	})
	for _, f := range foreign {
		if d.meta.IsDefined(f) {
			out = append(out, UnknownKey{Key: f, Line: d.at.find(f)})
		}
	}
	slices.SortFunc(out, func(a, b UnknownKey) int { return strings.Compare(a.Key, b.Key) })
	return out
}

func within(key, table string) bool { return key == table || strings.HasPrefix(key, table+".") }

var apiVersion = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^v?(\d+)\.?(\d*)$`) })

// parseAPI gives major.minor. The grammar is the lifecycle's.
func parseAPI(s string) (string, error) {
	m := apiVersion().FindStringSubmatch(s)
	if m == nil {
		return "", fmt.Errorf("invalid api version '%s': could not parse '%s' as version", s, s)
	}
	major, err := strconv.ParseUint(m[1], 10, 64)
	if err != nil {
		return "", fmt.Errorf("invalid api version '%s': the number is too large", s)
	}
	minor := uint64(0)
	if m[2] != "" {
		if minor, err = strconv.ParseUint(m[2], 10, 64); err != nil {
			return "", fmt.Errorf("invalid api version '%s': the number is too large", s)
		}
	}
	return fmt.Sprintf("%d.%d", major, minor), nil
}

func (d *document) checkIdentity(kind string, info ModuleInfo) error {
	for _, field := range []struct{ key, value string }{{"id", info.ID}, {"version", info.Version}} {
		key := kind + "." + field.key
		if field.value == "" {
			return d.wrap(d.at.find(kind), fmt.Errorf("'%s' is required", key))
		}
		if err := checkPathPart(field.value); err != nil {
			return d.problem(fault.Failed, key, err)
		}
	}
	if strings.Contains(info.Version, "/") {
		return d.problem(fault.Failed, kind+".version", fmt.Errorf("'%s' cannot be part of a path: it contains a '/'", info.Version))
	}
	return nil
}

// checkPathPart refuses what cannot stand in the path of a layer: ids and
// versions become folders below /cnb.
func checkPathPart(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("%q cannot be part of a path: it is no valid UTF-8", s)
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return fmt.Errorf("%q cannot be part of a path: it contains a control character", s)
		}
	}
	if strings.Contains(s, `\`) {
		return fmt.Errorf("'%s' cannot be part of a path: it contains a backslash", s)
	}
	for part := range strings.SplitSeq(s, "/") {
		switch part {
		case "":
			return fmt.Errorf("'%s' cannot be part of a path: it has an empty element", s)
		case ".", "..":
			return fmt.Errorf("'%s' cannot be part of a path: it has the element '%s'", s, part)
		}
	}
	return nil
}

// IsAPI reports whether s is a Buildpack API: major[.minor].
func IsAPI(s string) bool {
	_, err := parseAPI(s)
	return err == nil
}

// CompareAPI orders two Buildpack APIs: negative when a is older than b. An API
// that is no version counts as the oldest.
func CompareAPI(a, b string) int {
	majorA, minorA := apiNumbers(a)
	majorB, minorB := apiNumbers(b)
	return cmp.Or(cmp.Compare(majorA, majorB), cmp.Compare(minorA, minorB))
}

func apiNumbers(s string) (major, minor uint64) {
	first, second, _ := strings.Cut(s, ".")
	major, _ = strconv.ParseUint(first, 10, 64)
	minor, _ = strconv.ParseUint(second, 10, 64)
	return major, minor
}
