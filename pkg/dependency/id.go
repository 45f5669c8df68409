package dependency

import (
	"regexp"
	"strings"
	"sync"

	"github.com/multipack/multipack/internal/fault"
)

// ID names a buildpack in a CNB registry.
type ID struct {
	Namespace, Name string
	// Version is "" for the newest.
	Version string
}

// String is ns/name[@version].
func (i ID) String() string {
	if i.Version == "" {
		return i.Namespace + "/" + i.Name
	}
	return i.Namespace + "/" + i.Name + "@" + i.Version
}

// semantic is what pack takes for an id without "urn:" before it: an image name
// has a tag or a registry, which this has not.
var semantic = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9\-.]+/[a-z0-9\-.]+(?:@(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)` +
		`(?:-(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?` +
		`(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?)?$`)
})

var idPattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([a-z0-9\-.]+)/([a-z0-9\-.]+)(?:@([^@/\s]+))?$`)
})

// longestPart is how many characters a namespace and a name may have.
const longestPart = 253

// ParseID reads ns/name[@version] of a CNB registry. Every error is a fault.Usage.
func ParseID(s string) (ID, error) {
	m := idPattern().FindStringSubmatch(s)
	if m == nil || len(m[1]) > longestPart || len(m[2]) > longestPart || strings.Trim(m[1], ".") == "" || strings.Trim(m[2], ".") == "" {
		return ID{}, fault.New(fault.Usage, "it is no id of a CNB registry (namespace/name, or namespace/name@version)")
	}
	return ID{Namespace: m[1], Name: m[2], Version: m[3]}, nil
}

// file is where the id's versions stand in an index: one file for each id, in
// folders by the first letters of the name (the layout of registry-index).
func (i ID) file() string {
	name := i.Name
	file := i.Namespace + "_" + name
	switch {
	case len(name) < 3:
		return string(rune('0'+len(name))) + "/" + file
	case len(name) == 3:
		return "3/" + name[:2] + "/" + file
	default:
		return name[:2] + "/" + name[2:4] + "/" + file
	}
}
