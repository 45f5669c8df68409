package announce

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/multipack/multipack/pkg/manifest"
)

// randomIndex makes an index of what there is: images of three platforms, with
// and without annotations and attestations, a nested index, annotations and an artifactType.
func randomIndex(r *memory, random *rand.Rand) manifest.Index {
	var entries []json.RawMessage
	for _, p := range []string{"linux/amd64", "linux/arm64", "linux/arm/v6"} {
		if random.IntN(3) == 0 {
			continue
		}
		img := r.image(p, fmt.Sprint(random.IntN(2)))
		fields := ""
		if random.IntN(2) == 0 {
			fields = `"annotations":{"k":"v"}`
		}
		entries = append(entries, descriptor(img, p, fields))
		for n := range random.IntN(3) {
			about := r.image("", fmt.Sprintf("%s %d", img.Digest, n))
			entries = append(entries, descriptor(about, "", `"platform":{"architecture":"unknown","os":"unknown"},"annotations":{"vnd.docker.reference.digest":"`+
				img.Digest.String()+`","vnd.docker.reference.type":"attestation-manifest"}`))
		}
	}
	for n := range random.IntN(3) {
		fields := ""
		if random.IntN(2) == 0 {
			fields = `"annotations":{"n":"1"}`
		}
		entries = append(entries, descriptor(r.index(fmt.Sprintf(`"n":%d`, n)), "", fields))
	}
	fields := []string{"", `"annotations":{"a":"1"}`, `"annotations":{"a":"2","b":"1"}`, `"artifactType":"application/x"`}[random.IntN(4)]
	i, err := manifest.Parse(r.index(fields, entries...).Raw)
	if err != nil {
		panic(err)
	}
	return i
}

// contentOf is what an index says, its order apart.
func contentOf(i manifest.Index) (entries []string, rest any) {
	for _, e := range i.Entries() {
		entries = append(entries, string(e.Raw))
	}
	slices.Sort(entries)
	return entries, []any{i.Annotations(), i.ArtifactType(), i.Subject()}
}

// TestChange: appending a change to the index that it starts from gives the one
// that it leads to; a settle, and an append of another platform, keep that.
func TestChange(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		random := rand.New(rand.NewPCG(seed, 1))
		r := newMemory()
		from, to := randomIndex(r, random), randomIndex(r, random)
		raw, err := from.Raw()
		if err != nil {
			t.Fatal(err)
		}
		r.tag("1.0", r.add(raw, from.MediaType()))
		req := request()
		req.NoAnnounce = seed%2 == 1
		req = req.Change(from, to)
		res := appendTo(t, r, req)
		check := func(after string) {
			got, err := manifest.Parse(res.Raw)
			if err != nil {
				t.Fatal(err)
			}
			gotEntries, gotRest := contentOf(got)
			wantEntries, wantRest := contentOf(to)
			if !slices.Equal(gotEntries, wantEntries) || !reflect.DeepEqual(gotRest, wantRest) {
				t.Fatalf("seed %d, %s:\ngot  %q %v\nwant %q %v", seed, after, gotEntries, gotRest, wantEntries, wantRest)
			}
		}
		check("appended")
		if res, err = Settle(context.Background(), r, request()); err != nil {
			t.Fatal(err)
		}
		check("settled")
		req.Remove = nil // what is gone cannot be removed
		if again := appendTo(t, r, req); again.Writes != 0 {
			t.Fatalf("seed %d: the same again was written", seed)
		}
		if next := request().Change(to, to); len(next.Add)+len(next.Remove)+len(next.Extra)+len(next.Drop)+len(next.Annotations) > 0 || next.Fields != nil {
			t.Fatalf("seed %d: no change asks for %+v", seed, next)
		}
	}
}

func TestChangeAgain(t *testing.T) {
	t.Parallel()
	r := newMemory()
	img := r.image("linux/amd64", "a")
	i, err := manifest.Parse(r.index("", descriptor(img, "linux/amd64", "")).Raw)
	if err != nil {
		t.Fatal(err)
	}
	if req := request().Change(i, i, img.Digest); len(req.Add) != 1 {
		t.Errorf("it adds %v", req.Add)
	}
	if req := request().Change(i, i, v1.Hash{}); len(req.Add) != 0 {
		t.Errorf("it adds %v", req.Add)
	}
}
