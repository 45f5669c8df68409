// Package registry is a client of the OCI distribution specification: one
// place that knows transports, credentials, insecure hosts, retries and the
// limit of requests in flight, and that counts every request it makes.
//
// Names, credentials' values and the token handshake are
// go-containerregistry's; the verbs are the package's own, so that a push
// costs as few requests as the specification allows and each of them is seen
// by [Config].Observe.
//
// Every error is classified by the fault package: NotFound for 404, Denied for
// 401, 403 and missing credentials, Conflict for a tag that the registry keeps
// immutable, Interrupted for a cancelled context, Failed for the rest.
package registry
