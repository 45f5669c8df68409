package announce

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/pkg/manifest"
)

// parseEntry reads one descriptor and keeps its bytes.
func parseEntry(raw []byte) (manifest.Entry, error) {
	i, _, err := manifest.New(types.OCIImageIndex).AddEntries(manifest.AddOptions{}, manifest.Entry{Raw: raw})
	if err != nil {
		return manifest.Entry{}, fmt.Errorf("reading an entry: %w", err)
	}
	return i.Entries()[0], nil
}

// indexOf is an OCI index of just these entries.
func indexOf(e manifest.Entry, attached []manifest.Entry) (manifest.Index, error) {
	i, _, err := manifest.New(types.OCIImageIndex).AddEntries(manifest.AddOptions{}, append([]manifest.Entry{e}, attached...)...)
	return i, err
}

// sameJSON reports whether two documents say the same, however they are spelled.
func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, errX := decode(a)
	y, errY := decode(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

func decode(raw []byte) (v any, err error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	err = dec.Decode(&v)
	return v, err
}

// describeImage is the descriptor of an image that says no more than the image
// does: media type, size, digest, and the platform of its config. ok is false
// where the config names no platform.
func describeImage(m Manifest, config []byte) (d v1.Descriptor, ok bool, err error) {
	var file v1.ConfigFile
	if err := json.Unmarshal(config, &file); err != nil {
		return v1.Descriptor{}, false, fmt.Errorf("reading the config of '%s': %w", m.Digest, err)
	}
	d = v1.Descriptor{MediaType: m.MediaType, Size: int64(len(m.Raw)), Digest: m.Digest, Platform: file.Platform()}
	return d, file.OS != "" && file.Architecture != "", nil
}

// imageEntry is the entry that a plain image gets.
func imageEntry(m Manifest, config []byte) (e manifest.Entry, ok bool, err error) {
	d, ok, err := describeImage(m, config)
	if err != nil || !ok {
		return manifest.Entry{}, ok, err
	}
	e, err = manifest.NewEntry(d)
	return e, true, err
}
