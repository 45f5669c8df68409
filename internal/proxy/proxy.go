// Package proxy finds the proxies that an environment names.
package proxy

import (
	"net/http"
	"net/url"

	"golang.org/x/net/http/httpproxy"
)

// FromEnv decides on the proxy of a request by the rules of curl and net/http,
// small letters before capitals, for http.Transport.Proxy. getenv is asked once.
func FromEnv(getenv func(string) string) func(*http.Request) (*url.URL, error) {
	either := func(small, capital string) string {
		if v := getenv(small); v != "" {
			return v
		}
		return getenv(capital)
	}
	conf := httpproxy.Config{
		HTTPProxy:  either("http_proxy", "HTTP_PROXY"),
		HTTPSProxy: either("https_proxy", "HTTPS_PROXY"),
		NoProxy:    either("no_proxy", "NO_PROXY"),
		CGI:        getenv("REQUEST_METHOD") != "",
	}
	decide := conf.ProxyFunc()
	return func(r *http.Request) (*url.URL, error) { return decide(r.URL) }
}
