package manifest

import (
	"encoding/json"
	"fmt"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
)

// Format is the word for an index's media type.
type Format string

// The formats.
const (
	FormatOCI    Format = "oci"
	FormatDocker Format = "docker"
)

// ParseFormat reads "oci" or "docker"; anything else is a fault.Usage.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case FormatOCI, FormatDocker:
		return f, nil
	}
	return "", fault.New(fault.Usage, "parsing format '%s': it is 'oci' or 'docker'", s)
}

// MediaType is that of an index of the format.
func (f Format) MediaType() types.MediaType {
	if f == FormatDocker {
		return types.DockerManifestList
	}
	return types.OCIImageIndex
}

// Format is the index's.
func (i Index) Format() Format {
	if i.mediaType == types.DockerManifestList {
		return FormatDocker
	}
	return FormatOCI
}

// Convert is the index in another format, with sentences that say what was
// lost. A Docker manifest list has no annotations, no artifactType, no subject
// and no embedded data, neither on itself nor on its entries, and without
// annotations no attestations. Entries keep their media types: those are part
// of what their digests cover. The same format gives i itself.
func (i Index) Convert(f Format) (Index, []string) {
	if f == i.Format() {
		return i, nil
	}
	value, _ := json.Marshal(f.MediaType()) // a string always marshals
	next := i.withField("mediaType", value)
	next.mediaType = f.MediaType()
	if f != FormatDocker {
		return next, nil
	}
	var lost []string
	for _, name := range []string{"annotations", "artifactType", "subject"} {
		if next.doc.find(name) >= 0 {
			lost = append(lost, fmt.Sprintf("'%s' of the index", name))
			next = next.withoutField(name)
		}
	}
	entries := make([]slot, 0, len(next.entries))
	for _, s := range next.entries {
		if s.IsAttestation {
			lost = append(lost, fmt.Sprintf("the attestation '%s'", short(s.Descriptor.Digest)))
			continue
		}
		o, _ := cutObject(s.Entry.Raw)
		for _, name := range []string{"annotations", "artifactType", "data"} {
			if o.find(name) >= 0 {
				lost = append(lost, fmt.Sprintf("'%s' of '%s'", name, s.Entry))
				o = o.without(name)
			}
		}
		s.Entry, _ = parseEntry(o.bytes()) // what it needs was not touched
		entries = append(entries, s)
	}
	return next.edited(entries), lost
}
