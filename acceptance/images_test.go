package acceptance

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/multipack/multipack/testhelpers/imgtest"
)

// imageArgs are the arguments of image and index.
type imageArgs struct {
	ref       name.Reference
	platforms []string
	spec      imgtest.ImageSpec
	index     imgtest.IndexSpec
	as        string
}

func readImageArgs(ts *testscript.TestScript, args []string) imageArgs {
	if len(args) == 0 {
		ts.Fatalf("usage: image|index REF PLATFORM… [OPTION…]")
	}
	var a imageArgs
	var err error
	a.ref, err = name.ParseReference(args[0])
	ts.Check(err)
	next := func(i *int) string {
		if *i++; *i >= len(args) {
			ts.Fatalf("'%s' wants a value", args[*i-1])
		}
		return args[*i]
	}
	number := func(i *int) int {
		n, err := strconv.Atoi(next(i))
		ts.Check(err)
		return n
	}
	for i := 1; i < len(args); i++ {
		switch args[i] {
		case "-as":
			a.as = next(&i)
		case "-seed":
			a.spec.Seed = next(&i)
		case "-layers":
			a.spec.Layers = number(&i)
		case "-shared":
			a.spec.Shared = number(&i)
		case "-size":
			a.spec.LayerSize = number(&i)
		case "-docker":
			a.spec.Docker, a.index.Docker = true, true
		case "-versions":
			last := a.platforms[len(a.platforms)-1]
			a.platforms = a.platforms[:len(a.platforms)-1]
			for n := range number(&i) {
				a.platforms = append(a.platforms, last+":"+strconv.Itoa(n))
			}
		case "-attestations":
			a.index.Attestations = true
		case "-nested":
			a.index.Nested = append(a.index.Nested, imgtest.Of("nested", strings.Split(next(&i), ",")...))
		case "-annotation":
			key, value, _ := strings.Cut(next(&i), "=")
			a.index.Annotations = map[string]string{key: value}
		default:
			a.platforms = append(a.platforms, strings.TrimPrefix(args[i], "-"))
		}
	}
	return a
}

// image REF PLATFORM [OPTION…]: puts an image for the platform ("-" for none)
// into a registry. Options: -seed TEXT, -layers N, -shared N (layers that all
// images have in common), -size BYTES, -docker (media types), -as NAME ($NAME is
// the digest).
func cmdImage(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		a := readImageArgs(ts, args)
		if neg || len(a.platforms) != 1 {
			ts.Fatalf("usage: image REF PLATFORM [OPTION…]")
		}
		a.spec.Platform = a.platforms[0]
		img := imgtest.Image(t, a.spec)
		ts.Check(remote.Write(a.ref, img))
		setDigest(ts, a.as, img)
	}
}

// index REF PLATFORM… [OPTION…]: puts an index into a registry. Options: those
// of image, for all images in it, and -attestations, -nested PLATFORM,…,
// -annotation K=V, -versions N (of the os, for the platform before it).
func cmdIndex(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		a := readImageArgs(ts, args)
		if neg {
			ts.Fatalf("usage: index REF PLATFORM… [OPTION…]")
		}
		for _, p := range a.platforms {
			spec := a.spec
			spec.Platform = p
			a.index.Images = append(a.index.Images, spec)
		}
		idx := imgtest.Index(t, a.index)
		ts.Check(remote.WriteIndex(a.ref, idx))
		setDigest(ts, a.as, idx)
	}
}

func setDigest(ts *testscript.TestScript, as string, a interface{ Digest() (v1.Hash, error) }) {
	h, err := a.Digest()
	ts.Check(err)
	if as != "" {
		ts.Setenv(as, h.String())
	}
}

// shutdown NAME: the registry answers no more.
func cmdShutdown(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: shutdown NAME")
	}
	registryNamed(ts, args[0]).Kill()
}

// awaits NAME COUNT: waits until the registry has that many requests that it
// has not answered yet.
func cmdAwaits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: awaits NAME COUNT")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	r := registryNamed(ts, args[0])
	for patience := time.Now().Add(time.Minute); r.Running() < want; time.Sleep(time.Millisecond) {
		if time.Now().After(patience) {
			ts.Fatalf("%d requests are running, want %d", r.Running(), want)
		}
	}
}
