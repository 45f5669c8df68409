package reference

import "regexp"

// userinfo is a user's name and password in front of a host, as URLs have
// them: after a scheme or none, and with a path behind the host.
var userinfo = regexp.MustCompile(`^((?:[A-Za-z][A-Za-z0-9+.-]*:)?(?://)?)([^/@:]+):([^/@]+)@([^/@]+/)`)

// Redacted is s for messages: a password that somebody wrote into it, as in
// https://user:password@host/repo, is replaced by "xxxxx", as net/url does.
// No reference has a place for one.
func Redacted(s string) string {
	return userinfo.ReplaceAllString(s, "${1}${2}:xxxxx@${4}")
}
