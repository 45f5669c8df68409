// Package regtest runs real registries for tests. New gives a strict one in the
// process: per-repository blobs, mounts, and manifests whose children must be
// there with the right size. Distribution gives the CNCF distribution registry
// itself. Both keep a log of the requests that they answered, and can be made to
// want credentials, to refuse, to fail, to hang and to die.
package regtest
