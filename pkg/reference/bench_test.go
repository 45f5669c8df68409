package reference_test

import (
	"testing"

	"github.com/multipack/multipack/pkg/reference"
)

// Of every form one, as scripts give them.
var given = []string{
	"ghcr.io/acme/bp:1.2.0",
	"localhost:5000/a/b@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	"docker-daemon:acme/bp:latest",
	"oci-layout:///srv/layouts/bp:1.2.0",
	"oci-archive:out/bp.tar:1.2.0",
	"bp.cnb",
	"local:acme/bp:1.2.0",
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		for _, s := range given {
			if _, err := reference.Parse(s, nil); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkParseListName(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := reference.ParseListName("ghcr.io/acme/bp:1.2.0"); err != nil {
			b.Fatal(err)
		}
	}
}
