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
	clone := s.CloneURL
	scheme, rest, isURL := strings.Cut(clone, "://")
	switch {
	case !isURL || scheme == "ssh": // user@host:path has no scheme
	case scheme == "file": // kept as the path is, unlike the others
		clone = "git+file://" + escape(rest)
	case scheme == "https" || scheme == "http":
		clone = "git+" + clone
	default:
		return ""
	}
	return clone + "@" + s.Commit + "#" + escape(s.Path)
}

func escape(path string) string { return (&url.URL{Path: path}).EscapedPath() }
