package manifest_test

import (
	"fmt"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/pkg/manifest"
	"github.com/multipack/multipack/pkg/platform"
)

func hash(seed string) v1.Hash {
	h, _, err := v1.SHA256(strings.NewReader(seed))
	if err != nil {
		panic(err)
	}
	return h
}

// desc is an image's descriptor: its digest from the seed, its platform parsed.
func desc(seed, plat string) v1.Descriptor {
	d := v1.Descriptor{MediaType: types.OCIManifestSchema1, Size: int64(100 + len(seed)), Digest: hash(seed)}
	if plat != "" {
		p, err := platform.Parse(plat)
		if err != nil {
			panic(err)
		}
		d.Platform = p.V1()
	}
	return d
}

func attestation(seed, of string) v1.Descriptor {
	d := desc(seed, "")
	d.Platform = &v1.Platform{OS: "unknown", Architecture: "unknown"}
	d.Annotations = map[string]string{"vnd.docker.reference.digest": hash(of).String(), "vnd.docker.reference.type": "attestation-manifest"}
	return d
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func of(ds ...v1.Descriptor) manifest.Index {
	return must(manifest.New(types.OCIImageIndex).Add(ds...))
}

func raw(t testing.TB, i manifest.Index) string {
	t.Helper()
	b, err := i.Raw()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func sel(s string) manifest.Selector { return must(manifest.ParseSelector(s)) }

// shape is the entries as platform=seed-digest, for comparisons.
func shape(i manifest.Index) string {
	var out []string
	for _, e := range i.Entries() {
		out = append(out, e.String())
	}
	return strings.Join(out, " | ")
}

func short(seed string) string { return hash(seed).String()[:19] }

// pretty is an index as another tool might have written it: indented, unknown
// fields, odd key orders, repeated keys, numbers in several formats.
func pretty() string {
	return fmt.Sprintf(`{
   "x-first": 1.50e+2,
   "manifests": [
      {
         "digest": "%s",
         "size": 7143, "x-number": 1.0,
         "platform": { "os": "linux", "x-os": {"a": [1, 2.0]}, "architecture": "amd64" },
         "mediaType": "application/vnd.oci.image.manifest.v1+json"
      },
      {
         "mediaType": "application/vnd.oci.image.manifest.v1+json",
         "annotations": {"z": "1", "a": "twice"}, "annotations": {"z": "<&>", "a": "\u003c"},
         "size": 7682,
         "digest": "%s",
         "platform": {"architecture": "arm64", "os": "linux", "variant": "v8"}
      } ,
      {"mediaType":"application/vnd.oci.image.index.v1+json","size":5,"digest":"%s"}
   ],
   "schemaVersion": 2,
   "annotations" : { "k": "v" },
   "mediaType": "application/vnd.oci.image.index.v1+json", "x-last": null
}
`, hash("amd64"), hash("arm64"), hash("nested"))
}
