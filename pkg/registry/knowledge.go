package registry

import (
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
)

// knownManifests are the manifests that this client read in, looked up in, or
// put into a repository, so that it need not ask again whether they are there.
type knownManifests struct{ m sync.Map }

func (k *knownManifests) add(d name.Digest) { k.m.Store(manifestKey(d), true) }

// forget drops what is known of repo: who deletes one manifest may cause others
// to be collected.
func (k *knownManifests) forget(repo name.Repository) {
	prefix := repo.Name() + "@"
	k.m.Range(func(key, _ any) bool {
		if strings.HasPrefix(key.(string), prefix) {
			k.m.Delete(key)
		}
		return true
	})
}

func manifestKey(d name.Digest) string { return d.Context().Name() + "@" + d.DigestStr() }

// Knows reports, without a request, whether this client has seen the manifest d
// in its repository: it read it there, looked it up or put it, and has deleted
// nothing in that repository since.
func (c *Client) Knows(d name.Digest) bool {
	_, ok := c.manifests.m.Load(manifestKey(d))
	return ok
}
