package gitsource

import (
	"net/url"
	"slices"
	"strings"
)

// style is how a host writes the addresses of its pages.
type style int

const (
	styleUnknown style = iota
	styleGitHub
	styleGitLab
	styleBitbucket
	styleBitbucketServer
	styleGitea
)

// page is what the path of a page's address says.
type page struct {
	style   style
	host    string   // where it is not the host of the address
	repo    []string // path of the repository's page
	clone   []string // path to clone from, where it differs from repo
	refPath []string
	ref     string // where the address tells it apart from the path
	space   Space
}

// parseWeb reads the address of a page, or of a repository to clone written without "git+".
func parseWeb(scheme, rest string) (Address, string) {
	main, fragment, _ := strings.Cut(rest, "#")
	main, rawQuery, _ := strings.Cut(main, "?")
	query, problem := checkQuery(rawQuery)
	if problem != "" {
		return Address{}, problem
	}
	authority, rawPath, _ := strings.Cut(main, "/")
	user, host, problem := splitAuthority(scheme, authority)
	if problem != "" {
		return Address{}, problem
	}
	if user != "" {
		return Address{}, credentialAdvice
	}
	whole, ok := unescape(strings.Trim(rawPath, "/"))
	if !ok {
		return Address{}, "the path is not UTF-8 without control characters"
	}
	p, ok := splitPage(host, strings.Split(whole, "/"), query)
	if !ok {
		return parseWebClone(scheme, rest, whole, fragment)
	}
	return p.address(scheme, host, fragment)
}

// parseWebClone reads what is no page: https://host/repository.git@ref#path.ipynb, or nothing.
func parseWebClone(scheme, rest, whole, fragment string) (Address, string) {
	if strings.HasSuffix(fragment, ".ipynb") || strings.Contains(whole, ".git@") {
		return parseClone(scheme, rest)
	}
	if strings.HasSuffix(whole, ".ipynb") {
		return Address{}, "does not show which part is the repository: " + howTo
	}
	return Address{}, "names no notebook: " + howTo
}

func (p page) address(scheme, host, fragment string) (Address, string) {
	if p.host != "" {
		host = p.host
	}
	repo := strings.TrimSuffix(strings.Join(p.repo, "/"), ".git")
	clone := repo
	if p.clone != nil {
		clone = strings.Join(p.clone, "/")
	}
	if !cleanPath(repo) || strings.HasPrefix(repo, "-") {
		return Address{}, "the repository's path is not valid"
	}
	a := Address{
		Kind: KindGit, Repository: host + "/" + clone, CloneURL: scheme + "://" + host + "/" + escape(clone) + ".git",
		Ref: p.ref, Space: p.space, web: scheme + "://" + host + "/" + escape(repo), style: p.style,
	}
	file := strings.Join(p.refPath, "/")
	if strings.HasSuffix(fragment, ".ipynb") && !strings.HasSuffix(file, ".ipynb") {
		return Address{}, "write # in the notebook's path as %23"
	}
	if p.ref != "" || (p.style == styleBitbucketServer && p.ref == "") {
		a.Path = file
		return a, firstProblem(checkRef(a.Ref), checkNotebook(a.Path))
	}
	return a.splitRefPath(p.refPath)
}

// splitRefPath tells ref and path apart where that needs no server.
func (a Address) splitRefPath(segments []string) (Address, string) {
	if len(segments) > 3 && segments[0] == "refs" && (segments[1] == "heads" || segments[1] == "tags") {
		a.Space = map[string]Space{"heads": SpaceBranch, "tags": SpaceTag}[segments[1]]
		segments = segments[2:]
	}
	all := strings.Join(segments, "/")
	if problem := checkNotebook(all); problem != "" {
		return Address{}, problem
	}
	if len(segments) < 2 {
		return Address{}, "names no ref: write the branch, tag or commit before the notebook's path"
	}
	first := segments[0]
	isCommit := fullCommit.MatchString(strings.ToLower(first)) && a.Space == SpaceAny
	switch {
	case isCommit || a.Space == SpaceCommit:
		a.Ref, a.Path, a.Space = strings.ToLower(first), strings.Join(segments[1:], "/"), SpaceCommit
		if !shortCommit.MatchString(a.Ref) {
			return Address{}, quote(first) + " is not a commit id: 7 to 40 hexadecimal digits"
		}
	case len(segments) == 2:
		a.Ref, a.Path = first, segments[1]
	default:
		a.RefPath = all
	}
	return a, firstProblem(checkRef(first), "")
}

var (
	pageWords  = []string{"blob", "raw", "tree", "blame", "edit", "commits"}
	giteaWords = map[string]Space{"branch": SpaceBranch, "tag": SpaceTag, "commit": SpaceCommit}
	// viewers show notebooks of GitHub under addresses of their own.
	viewers = []string{"nbviewer.org", "nbviewer.jupyter.org", "colab.research.google.com"}
)

// splitPage finds the repository and "ref/path" in the path of a page.
func splitPage(host string, s []string, query url.Values) (page, bool) {
	switch {
	case host == "raw.githubusercontent.com" && len(s) > 3:
		return page{style: styleGitHub, host: "github.com", repo: s[:2], refPath: s[2:]}, true
	case slices.Contains(viewers, host) && s[0] == "github":
		return splitPage("github.com", s[1:], query)
	case host == "www.github.com" || host == "github.dev":
		host = "github.com"
	}
	for _, split := range []func(string, []string, url.Values) (page, bool){
		splitGitLab, splitBitbucketServer, splitGitea, splitBitbucket, splitGitHub,
	} {
		if p, ok := split(host, s, query); ok {
			p.host = host
			return p, true
		}
	}
	return page{}, false
}

// splitGitLab reads group/sub-group/repository/-/blob/ref/path.
func splitGitLab(_ string, s []string, query url.Values) (page, bool) {
	i := slices.Index(s, "-")
	if i < 1 || i+2 >= len(s) || !slices.Contains(pageWords, s[i+1]) {
		return page{}, false
	}
	p := page{style: styleGitLab, repo: s[:i], refPath: s[i+2:]}
	p.space = map[string]Space{"heads": SpaceBranch, "tags": SpaceTag}[query.Get("ref_type")]
	return p, true
}

// splitBitbucketServer reads projects/KEY/repos/name/browse/path?at=ref.
func splitBitbucketServer(_ string, s []string, query url.Values) (page, bool) {
	if len(s) < 6 || (s[0] != "projects" && s[0] != "users") || s[2] != "repos" || (s[4] != "browse" && s[4] != "raw") {
		return page{}, false
	}
	key := strings.ToLower(s[1])
	if s[0] == "users" {
		key = "~" + key
	}
	p := page{style: styleBitbucketServer, repo: s[:4], clone: []string{"scm", key, s[3]}, refPath: s[5:]}
	p.ref = query.Get("at")
	if ref, ok := strings.CutPrefix(p.ref, "refs/heads/"); ok {
		p.ref, p.space = ref, SpaceBranch
	} else if ref, ok := strings.CutPrefix(p.ref, "refs/tags/"); ok {
		p.ref, p.space = ref, SpaceTag
	}
	return p, true
}

// splitGitea reads owner/repository/src/branch/ref/path, with tag or commit in the place of branch.
func splitGitea(host string, s []string, _ url.Values) (page, bool) {
	if host == "github.com" || host == "bitbucket.org" || len(s) < 6 || (s[2] != "src" && s[2] != "raw") {
		return page{}, false
	}
	space, ok := giteaWords[s[3]]
	return page{style: styleGitea, repo: s[:2], refPath: s[4:], space: space}, ok
}

// splitBitbucket reads workspace/repository/src/ref/path.
func splitBitbucket(host string, s []string, _ url.Values) (page, bool) {
	raw := host == "bitbucket.org" && len(s) > 4 && s[2] == "raw"
	if len(s) < 5 || (s[2] != "src" && !raw) {
		return page{}, false
	}
	return page{style: styleBitbucket, repo: s[:2], refPath: s[3:]}, true
}

// splitGitHub reads owner/repository/blob/ref/path, older GitLab's addresses, which
// have more levels, and raw/owner/repository/ref/path of GitHub Enterprise.
func splitGitHub(host string, s []string, query url.Values) (page, bool) {
	for i := 2; i+1 < len(s); i++ {
		if slices.Contains(pageWords, s[i]) {
			p := page{style: styleGitHub, repo: s[:i], refPath: s[i+1:]}
			if i > 2 || styleOf(host) == styleGitLab {
				p.style = styleGitLab
				p.space = map[string]Space{"heads": SpaceBranch, "tags": SpaceTag}[query.Get("ref_type")]
			}
			return p, true
		}
		if host == "github.com" {
			break
		}
	}
	if len(s) > 4 && s[0] == "raw" {
		return page{style: styleGitHub, repo: s[1:3], refPath: s[3:]}, true
	}
	return page{}, false
}

// styleOf guesses from a host's name how it writes the addresses of its pages.
func styleOf(host string) style {
	switch {
	case host == "bitbucket.org":
		return styleBitbucket
	case strings.Contains(host, "github"):
		return styleGitHub
	case strings.Contains(host, "gitlab"):
		return styleGitLab
	case strings.Contains(host, "gitea"), strings.Contains(host, "forgejo"), host == "codeberg.org":
		return styleGitea
	default:
		return styleUnknown
	}
}
