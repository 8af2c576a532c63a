package gitsource

import (
	"maps"
	"slices"
	"strings"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/nearest"
)

// resolve finds what an address means in a list of refs.
func resolve(a Address, adv *advertisement, history int) (Resolved, error) {
	r := Resolved{Address: a, url: adv.url, caps: adv.caps}
	if r.url == "" {
		r.url = a.CloneURL
	}
	if len(adv.heads) == 0 && adv.head.hash == "" {
		return r, fail(nes.ReasonSourceNotFound, nil, "the repository %s is empty: push a commit first", a.Repository)
	}
	if a.RefPath != "" {
		r.Ref, r.Path, r.RefPath = splitByRefs(a, adv), "", ""
		if r.Ref == "" {
			return r, noRef(a, adv, a.RefPath)
		}
		r.Path = strings.TrimPrefix(a.RefPath, r.Ref+"/")
	}
	if t, ok := adv.find(r.Ref, a.Space); ok {
		r.Commit, r.tries = t.commit, []try{{Wants: []string{t.hash}, Depth: 1}}
		return r, nil
	}
	id := strings.ToLower(r.Ref)
	if !shortCommit.MatchString(id) || (a.Space != SpaceAny && a.Space != SpaceCommit) {
		return r, noRef(a, adv, r.Ref)
	}
	return r.resolveCommit(id, adv, history), nil
}

// resolveCommit plans how to get at a commit by its id, whole or abbreviated.
func (r Resolved) resolveCommit(id string, adv *advertisement, history int) Resolved {
	r.Commit = id
	if t, ok := adv.tipOf(func(commit string) bool { return strings.HasPrefix(commit, id) }); ok {
		r.Commit, r.tries = t.commit, []try{{Wants: []string{t.hash}, Depth: 1}}
		return r
	}
	if fullCommit.MatchString(id) && adv.gives() {
		r.tries = append(r.tries, try{Wants: []string{id}, Depth: 1})
	}
	// By default a server gives what its refs point at, and their history: look there.
	if adv.head.hash != "" {
		r.tries = append(r.tries, try{Wants: []string{adv.head.hash}, Depth: history})
	}
	r.tries = append(r.tries, try{Wants: adv.everything()})
	return r
}

// everything names the tips of all branches and tags.
func (a *advertisement) everything() []string {
	seen := map[string]bool{}
	for _, refs := range []map[string]tip{a.heads, a.tags} {
		for _, t := range refs {
			seen[t.hash] = true
		}
	}
	if a.head.hash != "" {
		seen[a.head.hash] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// find looks a ref up by its name. The empty name and HEAD are the default branch.
func (a *advertisement) find(ref string, space Space) (tip, bool) {
	if (ref == "" || ref == "HEAD") && a.head.hash != "" {
		return a.head, true
	}
	if t, ok := a.heads[ref]; ok && (space == SpaceAny || space == SpaceBranch) {
		return t, true
	}
	t, ok := a.tags[ref]
	return t, ok && (space == SpaceAny || space == SpaceTag)
}

// splitByRefs returns the longest beginning of a.RefPath that is a ref, or else a
// commit id in its first element, or "".
func splitByRefs(a Address, adv *advertisement) string {
	parts := strings.Split(a.RefPath, "/")
	for i := len(parts) - 1; i > 0; i-- {
		ref := strings.Join(parts[:i], "/")
		if _, ok := adv.find(ref, a.Space); ok {
			return ref
		}
	}
	if a.Space == SpaceAny && shortCommit.MatchString(strings.ToLower(parts[0])) {
		return parts[0]
	}
	return ""
}

func noRef(a Address, adv *advertisement, given string) error {
	what := map[Space]string{SpaceBranch: "branch", SpaceTag: "tag", SpaceCommit: "commit", SpaceAny: "branch, tag or commit"}[a.Space]
	names := slices.AppendSeq(slices.Collect(maps.Keys(adv.heads)), maps.Keys(adv.tags))
	word := given
	if a.RefPath != "" {
		word, _, _ = strings.Cut(given, "/")
	}
	if given == "" {
		return fail(nes.ReasonSourceNotFound, nil, "the repository %s has no default branch: name one%s", a.Repository, hint("branches and tags", nearest.To("main", names, 3)))
	}
	return fail(nes.ReasonSourceNotFound, nil, "there is no %s %s in %s%s", what, quote(word), a.Repository, hint("nearest", nearest.To(given, names, 3)))
}

// hint lists names in a message.
func hint(label string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " (" + label + ": " + strings.Join(names, ", ") + ")"
}
