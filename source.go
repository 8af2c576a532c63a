package nes

import (
	"net/url"
	"strings"
)

// Permalink is an input address of the notebook at the very commit: what to submit
// to run the same again. It is empty where the source has no commit.
func (s Source) Permalink() string {
	if s.Commit == "" || s.CloneURL == "" {
		return ""
	}
	scheme, _, found := strings.Cut(s.CloneURL, "://")
	if !found {
		return ""
	}
	address := s.CloneURL + "@" + s.Commit + "#" + (&url.URL{Path: s.Path}).EscapedPath()
	if scheme == "ssh" {
		return address
	}
	return "git+" + address
}
