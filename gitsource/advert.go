package gitsource

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
)

// tip is what a ref points at.
type tip struct {
	hash   string // of the object that the server lets one ask for
	commit string // what a tag peels to; else hash
}

// advertisement is a server's list of refs, as far as NES needs it.
type advertisement struct {
	heads, tags map[string]tip
	headName    string // the branch that HEAD names; empty when the server does not say
	head        tip    // zero when HEAD points at nothing
	caps        map[string]string
	// other is a further ref whose tip is the commit that was asked for, such as that of a pull request.
	other tip
	url   string // where the server finally was, behind redirects
}

func newAdvertisement() *advertisement {
	return &advertisement{heads: map[string]tip{}, tags: map[string]tip{}, caps: map[string]string{}}
}

// readAdvertisement reads the list of refs in version 0 of Git's protocol. Of refs
// that are neither branch nor tag, which may be very many, it keeps only one that points at commit.
func readAdvertisement(r io.Reader, commit string) (*advertisement, error) {
	a := newAdvertisement()
	lines := pktline.NewScanner(r)
	first := true
	for lines.Scan() {
		line := bytes.TrimSuffix(lines.Bytes(), []byte("\n"))
		switch {
		case first && bytes.HasPrefix(line, []byte("# service=")), bytes.HasPrefix(line, []byte("version ")):
			continue
		case len(line) == 0 && first:
			continue // the flush behind "# service"; an empty list says "capabilities^{}"
		case len(line) == 0:
			return a, nil
		}
		if first {
			var caps []byte
			line, caps, _ = bytes.Cut(line, []byte{0})
			a.readCapabilities(string(caps))
			first = false
		}
		if err := a.readRef(string(line), commit); err != nil {
			return nil, err
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("the list of refs breaks off: %w", io.ErrUnexpectedEOF)
}

func (a *advertisement) readCapabilities(caps string) {
	for word := range strings.FieldsSeq(caps) {
		name, value, _ := strings.Cut(word, "=")
		if name != "symref" {
			a.caps[name] = value
			continue
		}
		if target, ok := strings.CutPrefix(value, "HEAD:"); ok {
			a.headName = strings.TrimPrefix(target, "refs/heads/")
		}
	}
}

func (a *advertisement) readRef(line, commit string) error {
	hash, name, ok := strings.Cut(line, " ")
	switch {
	case hash == "shallow":
		return nil
	case !ok || !fullCommit.MatchString(hash):
		return fmt.Errorf("unexpected line %q in the list of refs", shorten(line))
	case name == "capabilities^{}":
		return nil
	}
	name, peeled := strings.CutSuffix(name, "^{}")
	a.add(name, hash, peeled, commit)
	return nil
}

func (a *advertisement) add(name, hash string, peeled bool, commit string) {
	refs, short := a.heads, strings.TrimPrefix(name, "refs/heads/")
	if tag, ok := strings.CutPrefix(name, "refs/tags/"); ok {
		refs, short = a.tags, tag
	}
	switch {
	case name == "HEAD":
		a.head = tip{hash, hash}
	case short == name && hash == commit && !peeled:
		a.other = tip{hash, hash}
	case short == name:
	case peeled:
		refs[short] = tip{refs[short].hash, hash}
	default:
		refs[short] = tip{hash, hash}
	}
}

// tipOf returns what to ask for to get a commit that some ref points at.
func (a *advertisement) tipOf(match func(commit string) bool) (tip, bool) {
	if match(a.head.commit) {
		return a.head, true
	}
	for _, refs := range []map[string]tip{a.heads, a.tags} {
		for _, t := range refs {
			if match(t.commit) {
				return t, true
			}
		}
	}
	return a.other, a.other.hash != "" && match(a.other.commit)
}

// gives reports whether the server says that it gives commits that no ref points at.
func (a *advertisement) gives() bool {
	_, reachable := a.caps["allow-reachable-sha1-in-want"]
	_, all := a.caps["allow-any-sha1-in-want"]
	return reachable || all
}
