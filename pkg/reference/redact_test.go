package reference_test

import (
	"strings"
	"testing"

	"github.com/multipack/multipack/pkg/reference"
)

func TestMessagesHoldNoPassword(t *testing.T) {
	t.Parallel()
	for _, given := range []string{
		"u:s3cret@host/repo:1", "u:s3cret@host:5000/repo", "http://u:s3cret@host:5000/repo",
		"https://u:s3cret@host/repo:1", "docker://u:s3cret@host/repo:1", "docker-daemon:u:s3cret@host/repo",
	} {
		parsers := map[string]func() error{
			"Parse":         func() error { _, err := reference.Parse(given, nil); return err },
			"ParseName":     func() error { _, err := reference.ParseName(given); return err },
			"ParseListName": func() error { _, err := reference.ParseListName(given); return err },
		}
		for name, parse := range parsers {
			if err := parse(); err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%s(%q): %v", name, given, err)
			}
		}
	}
}

func TestRedactedLeavesReferencesAlone(t *testing.T) {
	t.Parallel()
	digest := "@sha256:" + strings.Repeat("0a", 32)
	for _, s := range []string{
		"alpine:3.20" + digest, "host:5000/repo:1" + digest, "oci-layout:///srv/x:1" + digest,
		"oci:dir:1" + digest, "docker://host/repo:1", "a:b@c", "",
	} {
		if got := reference.Redacted(s); got != s {
			t.Errorf("Redacted(%q) = %q", s, got)
		}
	}
}
