package registry

import "net/http"

// Downloads is a client for files that are in no registry. It trusts the
// certificates that c trusts and takes the same proxies; it sends no
// credentials, and the limit of requests in flight is not for it.
func (c *Client) Downloads() *http.Client { return &http.Client{Transport: c.wire.verified} }
