package manifest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/multipack/multipack/internal/fault"
	"github.com/multipack/multipack/pkg/manifest"
)

func TestParseKeepsBytes(t *testing.T) {
	t.Parallel()
	in := pretty()
	i, err := manifest.Parse([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	if got := raw(t, i); got != in {
		t.Errorf("raw bytes changed:\n%s", got)
	}
	if d := must(i.Digest()); d != hash(in) || must(i.Size()) != int64(len(in)) {
		t.Errorf("digest %s", d)
	}
	e := i.Entries()
	if len(e) != 3 || e[0].Platform.String() != "linux/amd64" || e[1].Platform.String() != "linux/arm64" || !e[2].IsIndex {
		t.Errorf("entries: %+v", e)
	}
	if e[1].Descriptor.Annotations["a"] != "<" || e[1].Descriptor.Annotations["z"] != "<&>" {
		t.Errorf("repeated keys: %v", e[1].Descriptor.Annotations)
	}
	// The value is immutable whatever is done to what it gave out.
	e[0].Raw[0], e[1].Descriptor.Annotations["a"] = 'X', "changed"
	e[0].Descriptor.Platform.OS = "changed"
	b, _ := i.Raw()
	b[0] = 'X'
	if got := raw(t, i); got != in || i.Entries()[0].Descriptor.Platform.OS != "linux" || i.Entries()[1].Descriptor.Annotations["a"] != "<" {
		t.Error("the index was changed from outside")
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	entry := fmt.Sprintf(`{"mediaType":"m","size":1,"digest":"%s"}`, hash("x"))
	oci := `"mediaType":"application/vnd.oci.image.index.v1+json"`
	for name, c := range map[string]struct {
		in, want string
		kind     bool // ErrNotIndex
	}{
		"empty":          {"", "no JSON", false},
		"truncated":      {`{"schemaVersion":2,"manifests":[`, "no JSON", false},
		"trailing":       {`{"schemaVersion":2,"manifests":[]}{}`, "no JSON", false},
		"array":          {`[]`, "no JSON object", false},
		"null":           {`null`, "no JSON object", false},
		"image":          {`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[]}`, "image manifest", true},
		"bare image":     {`{"schemaVersion":2,"config":{},"layers":[]}`, "image manifest", true},
		"schema 1":       {`{"schemaVersion":1,"fsLayers":[]}`, "schema version 1", true},
		"other type":     {`{"schemaVersion":2,"mediaType":"text/plain","manifests":[]}`, "text/plain", true},
		"no version":     {`{` + oci + `,"manifests":[]}`, "schemaVersion", false},
		"version 3":      {`{"schemaVersion":3,` + oci + `,"manifests":[]}`, "schemaVersion", false},
		"no manifests":   {`{"schemaVersion":2,` + oci + `}`, "manifests", false},
		"manifests text": {`{"schemaVersion":2,"manifests":"x"}`, "no JSON array", false},
		"ambiguous":      {`{"schemaVersion":2,` + oci + `,"manifests":[],"layers":[]}`, "could be taken for an image", false},
		"entry text":     {`{"schemaVersion":2,"manifests":[` + entry + `,"x"]}`, "entry 2", false},
		"no digest":      {`{"schemaVersion":2,"manifests":[{"mediaType":"m","size":1}]}`, "'digest'", false},
		"bad digest":     {`{"schemaVersion":2,"manifests":[{"mediaType":"m","size":1,"digest":"sha256:xyz"}]}`, "entry 1", false},
		"no size":        {strings.Replace(`{"schemaVersion":2,"manifests":[`+entry+`]}`, `"size":1,`, "", 1), "'size'", false},
		"negative size":  {strings.Replace(`{"schemaVersion":2,"manifests":[`+entry+`]}`, `"size":1`, `"size":-1`, 1), "'size'", false},
		"no type":        {strings.Replace(`{"schemaVersion":2,"manifests":[`+entry+`]}`, `"mediaType":"m",`, "", 1), "'mediaType'", false},
		"platform text":  {strings.Replace(`{"schemaVersion":2,"manifests":[`+entry+`]}`, `"size"`, `"platform":"linux","size"`, 1), "'platform'", false},
		"annotations":    {`{"schemaVersion":2,"manifests":[],"annotations":{"a":1}}`, "'annotations'", false},
		"subject":        {`{"schemaVersion":2,"manifests":[],"subject":{}}`, "'subject'", false},
	} {
		_, err := manifest.Parse([]byte(c.in))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if errors.Is(err, manifest.ErrNotIndex) != c.kind || c.kind != fault.Is(err, fault.Usage) {
			t.Errorf("%s: kind of %v", name, err)
		}
	}
}

func TestParseTolerates(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		`{"schemaVersion":2,"manifests":[]}`,
		`{"schemaVersion":2,"manifests":null,"annotations":null,"subject":null}`,
		` { "schemaVersion" : 2 , "manifests" : [ ] } `,
	} {
		i, err := manifest.Parse([]byte(in))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if i.MediaType() != types.OCIImageIndex || i.Len() != 0 || raw(t, i) != in {
			t.Errorf("%s: read as %s with %d entries", in, i.MediaType(), i.Len())
		}
		next, err := i.Add(desc("x", "linux/amd64"))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := manifest.Parse([]byte(raw(t, next))); err != nil || again.Len() != 1 {
			t.Errorf("%s: after adding: %s: %v", in, raw(t, next), err)
		}
	}
}

func TestZeroIndex(t *testing.T) {
	t.Parallel()
	if _, err := (manifest.Index{}).Raw(); err == nil {
		t.Error("the zero value has bytes")
	}
	if _, err := manifest.Bind(manifest.Index{}, nil); err == nil {
		t.Error("the zero value can be bound")
	}
}

// pack's index for several platforms is go-containerregistry's JSON of an
// IndexManifest whose entries have these four fields.
func TestBytesArePacks(t *testing.T) {
	t.Parallel()
	arm := desc("arm", "linux/arm/v6")
	win := desc("win", "windows/amd64:10.0.20348.1970")
	win.Platform.OSFeatures = []string{"win32k"}
	noted := desc("noted", "linux/s390x")
	noted.Annotations = map[string]string{"b": "<&>", "a": "1"}
	noted.ArtifactType = "application/x"
	for name, ds := range map[string][]v1.Descriptor{
		"empty":    {},
		"two":      {desc("amd", "linux/amd64"), desc("arm64", "linux/arm64")},
		"variants": {arm, win},
		"all":      {noted, arm},
	} {
		want := must(must(empty.Index.IndexManifest()).DeepCopy(), nil)
		want.Manifests = append([]v1.Descriptor{}, ds...)
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := raw(t, must(manifest.New(types.OCIImageIndex).Add(ds...))); got != string(text) {
			t.Errorf("%s:\n got %s\nwant %s", name, got, text)
		}
	}
}

func TestRawIsWhatIsSeen(t *testing.T) {
	t.Parallel()
	i := must(manifest.Parse([]byte(pretty())))
	next := must(i.Add(desc("new", "linux/s390x")))
	back, gone, err := next.Remove(sel("linux/s390x"))
	if err != nil || len(gone) != 1 || gone[0].Digest != hash("new") {
		t.Fatal(gone, err)
	}
	if raw(t, back) != pretty() {
		t.Errorf("adding and removing changed other bytes:\n%s", raw(t, back))
	}
	first, _, err := i.Remove(sel("linux/amd64"))
	if err != nil {
		t.Fatal(err)
	}
	want := pretty()
	from := strings.Index(want, `{
         "digest"`)
	to := strings.Index(want, `{
         "mediaType"`)
	if want = want[:from] + want[to:]; raw(t, first) != want {
		t.Errorf("removing the first entry:\n%s", raw(t, first))
	}
	if raw(t, i) != pretty() {
		t.Error("an edit changed the value it started from")
	}
}

func TestTopLevel(t *testing.T) {
	t.Parallel()
	i := must(manifest.Parse([]byte(pretty())))
	next := i.Annotate(manifest.Annotation{Key: "a", Value: "1"}, manifest.Annotation{Key: "k", Delete: true}).WithArtifactType("application/x")
	subject := desc("subject", "")
	next = must(next.WithSubject(&subject))
	if got := next.Annotations(); len(got) != 1 || got["a"] != "1" || next.ArtifactType() != "application/x" || next.Subject().Digest != subject.Digest {
		t.Errorf("%v %v %v", got, next.ArtifactType(), next.Subject())
	}
	for _, kept := range []string{`"x-first": 1.50e+2`, `"x-last": null`, `"x-number": 1.0`, `{"a": [1, 2.0]}`} {
		if !strings.Contains(raw(t, next), kept) {
			t.Errorf("%s is lost:\n%s", kept, raw(t, next))
		}
	}
	next = next.Annotate(manifest.Annotation{Key: "a", Delete: true}).WithArtifactType("")
	next = must(next.WithSubject(nil))
	if strings.Contains(raw(t, next), "artifactType") || next.Annotations() != nil || next.Subject() != nil {
		t.Errorf("not taken away:\n%s", raw(t, next))
	}
	// The way to a value does not show in its bytes.
	plain := of(desc("x", "linux/amd64"))
	a, b := manifest.Annotation{Key: "a", Value: "1"}, manifest.Annotation{Key: "b", Value: "2"}
	one := raw(t, must(plain.Annotate(b).WithArtifactType("t").Annotate(a).WithSubject(&subject)))
	two := raw(t, must(plain.WithSubject(&subject)).Annotate(a, b).WithArtifactType("t"))
	whole, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{desc("x", "linux/amd64")},
		Annotations: map[string]string{"a": "1", "b": "2"}, Subject: &subject, ArtifactType: "t"})
	if err != nil || one != two || one != string(whole) {
		t.Errorf("one value, several bytes:\n%s\n%s\n%s", one, two, whole)
	}
	if same := plain.Annotate(manifest.Annotation{Key: "none", Delete: true}); raw(t, same) != raw(t, plain) {
		t.Error("deleting what is not there changed the index")
	}
	if _, err := plain.WithSubject(&v1.Descriptor{}); err == nil {
		t.Error("a subject without digest was taken")
	}
}

func TestParseAnnotations(t *testing.T) {
	t.Parallel()
	got, err := manifest.ParseAnnotations([]string{"a=b=c,d", "k-", "e="})
	if err != nil || fmt.Sprint(got) != fmt.Sprint([]manifest.Annotation{{Key: "a", Value: "b=c,d"}, {Key: "k", Delete: true}, {Key: "e"}}) {
		t.Errorf("%v %v", got, err)
	}
	for _, bad := range []string{"", "a", "=b", "-"} {
		if _, err := manifest.ParseAnnotations([]string{bad}); !fault.Is(err, fault.Usage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if m := manifest.Apply(map[string]string{"k": "v"}, got[1:2]); m != nil {
		t.Errorf("none left: %v", m)
	}
}
