package gitsource

import (
	"net"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

const credentialAdvice = "holds a credential: take it out (it would be stored and shown with the run), and change it if it was real; NES reads private repositories with credentials of its own"

// parseClone reads host/repository.git@ref#path.ipynb behind the scheme https, http, ssh or file.
func parseClone(scheme, rest string) (Address, string) {
	main, file, _ := strings.Cut(rest, "#")
	main, rawQuery, _ := strings.Cut(main, "?")
	if _, problem := checkQuery(rawQuery); problem != "" {
		return Address{}, problem
	}
	authority, rawPath, _ := strings.Cut(main, "/")
	repo, ref, problem := splitAtRef(rawPath)
	if problem != "" {
		return Address{}, problem
	}
	a := Address{Kind: KindGit, Ref: ref}
	if scheme == "file" {
		if authority != "" && authority != "localhost" {
			return Address{}, "a file address has three slashes: file:///path/of/repository@ref#path.ipynb"
		}
		a.Repository, a.CloneURL = "local/"+trimRepository(repo), "file:///"+repo
		return a.at(file)
	}
	user, host, problem := splitAuthority(scheme, authority)
	if problem != "" {
		return Address{}, problem
	}
	if user != "" && scheme != "ssh" {
		return Address{}, credentialAdvice
	}
	a.Repository, a.CloneURL = host+"/"+trimRepository(repo), scheme+"://"+host+"/"+escape(repo)
	if user != "" {
		a.CloneURL = scheme + "://" + user + "@" + host + "/" + escape(repo)
	}
	if a.style = styleOf(host); a.style != styleUnknown {
		a.web = webBase(scheme, a.Repository)
	}
	return a.at(file)
}

// parseSCP reads user@host:path/repository.git@ref#path.ipynb.
func parseSCP(raw string) (Address, string) {
	main, file, _ := strings.Cut(raw, "#")
	user, rest, _ := strings.Cut(main, "@")
	cut := strings.LastIndex(rest, "]:") + 1 // behind an IPv6 address
	if cut == 0 {
		cut = strings.Index(rest, ":")
	}
	_, host, problem := splitAuthority("ssh", user+"@"+rest[:cut])
	if problem != "" {
		return Address{}, problem
	}
	repo, ref, problem := splitAtRef(rest[cut+1:])
	if problem != "" {
		return Address{}, problem
	}
	a := Address{
		Kind: KindGit, Ref: ref, Repository: host + "/" + trimRepository(repo),
		CloneURL: user + "@" + host + ":" + repo, style: styleOf(host),
	}
	if a.style != styleUnknown {
		a.web = webBase("ssh", a.Repository)
	}
	return a.at(file)
}

// at sets the notebook's path from a fragment.
func (a Address) at(fragment string) (Address, string) {
	if fragment == "" {
		return Address{}, "names no notebook: append #path/of/notebook.ipynb"
	}
	file, ok := unescape(fragment)
	if !ok {
		return Address{}, "the path is not UTF-8 without control characters"
	}
	a.Path = strings.TrimPrefix(file, "/")
	for prefix, space := range map[string]Space{"refs/heads/": SpaceBranch, "refs/tags/": SpaceTag} {
		if ref, ok := strings.CutPrefix(a.Ref, prefix); ok {
			a.Ref, a.Space = ref, space
		}
	}
	return a, firstProblem(checkRef(a.Ref), checkNotebook(a.Path))
}

// splitAtRef splits "path/repository.git@ref".
func splitAtRef(s string) (repo, ref, problem string) {
	if i := strings.Index(s, ".git@"); i >= 0 {
		repo, ref = s[:i+4], s[i+5:]
	} else if i := strings.LastIndex(s, "@"); i >= 0 {
		repo, ref = s[:i], s[i+1:]
	} else {
		repo = s
	}
	if ref == "" && repo != s {
		return "", "", "has no ref behind @: write a branch, tag or commit there, or leave the @ out"
	}
	repo, ok1 := unescape(strings.TrimSuffix(repo, "/"))
	ref, ok2 := unescape(ref)
	if !ok1 || !ok2 {
		return "", "", "is not UTF-8 without control characters"
	}
	trimmed := strings.TrimPrefix(repo, "/")
	if trimmed == "" || !cleanPath(trimmed) || strings.HasPrefix(trimmed, "-") {
		return "", "", "the repository's path is missing or not valid"
	}
	return repo, ref, ""
}

// splitAuthority checks "user@host:port" and returns the host in lower case, without the scheme's usual port.
func splitAuthority(scheme, authority string) (user, host, problem string) {
	u, err := url.Parse(scheme + "://" + authority)
	if err != nil || u.Host != authority[strings.LastIndex(authority, "@")+1:] {
		return "", "", "the host is not valid"
	}
	if _, has := u.User.Password(); has {
		return "", "", credentialAdvice
	}
	user, host = u.User.Username(), strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	port := u.Port()
	switch {
	case host == "" || strings.HasPrefix(host, "-") || strings.ContainsAny(host, "%\\ '\""):
		return "", "", "the host is missing or not valid"
	case strings.HasPrefix(user, "-") || !plainUser(user):
		return "", "", "the user before @ is not valid"
	case strings.HasSuffix(u.Host, ":"):
		return "", "", "the port is missing behind the colon"
	}
	if usual := map[string]string{"https": "443", "http": "80", "ssh": "22"}; port == usual[scheme] {
		port = ""
	}
	switch {
	case port != "":
		host = net.JoinHostPort(host, port)
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	return user, host, ""
}

// plainUser accepts what accounts of Git hosts look like. Empty is fine.
func plainUser(user string) bool {
	for _, r := range user {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-+@", r) {
			return false
		}
	}
	return true
}

// webBase guesses where the pages of a repository are that was addressed for cloning.
func webBase(scheme, repository string) string {
	host, rest, _ := strings.Cut(repository, "/")
	if scheme == "ssh" {
		scheme = "https"
		if i := strings.LastIndex(host, ":"); i > strings.LastIndex(host, "]") {
			host = host[:i] // the port is that of SSH
		}
	}
	return scheme + "://" + host + "/" + escape(rest)
}

func trimRepository(repo string) string {
	return strings.TrimSuffix(strings.Trim(repo, "/"), ".git")
}

// checkQuery refuses credentials, which some hosts write into addresses of raw files.
func checkQuery(raw string) (url.Values, string) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, "the part after ? cannot be read: write ? in the notebook's path as %3F"
	}
	for name := range query {
		for _, word := range []string{"token", "secret", "password", "signature", "credential"} {
			if strings.Contains(strings.ToLower(name), word) {
				return nil, credentialAdvice
			}
		}
	}
	return query, ""
}

// checkRef follows git check-ref-format. Empty is the default branch.
func checkRef(ref string) string {
	bad := strings.HasPrefix(ref, "-") || strings.HasSuffix(ref, ".") || strings.Contains(ref, "..") ||
		strings.Contains(ref, "@{") || strings.ContainsAny(ref, " ~^:?*[\\\x7f") || len(ref) > 255
	for part := range strings.SplitSeq(ref, "/") {
		bad = bad || part == "" && ref != "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock")
	}
	if bad {
		return quote(ref) + " is not the name of a branch, tag or commit"
	}
	return ""
}

// checkNotebook checks the path of a notebook below a root.
func checkNotebook(file string) string {
	switch {
	case file == "" || strings.HasSuffix(file, "/"):
		return "names no notebook: it must end in the path of an .ipynb file"
	case !strings.HasSuffix(file, ".ipynb"):
		return quote(file) + " is not a notebook: the path must end in .ipynb"
	case !cleanPath(file) || !printable(file) || strings.Contains(file, "\\") || len(file) > 1024:
		return quote(file) + " is not a plain path below the repository's root"
	}
	for s := range strings.SplitSeq(file, "/") {
		if strings.EqualFold(s, ".git") {
			return "a path inside .git is not part of the tree"
		}
	}
	return ""
}

// cleanPath reports whether every element of a slash-separated path is a plain name.
func cleanPath(p string) bool {
	for s := range strings.SplitSeq(p, "/") {
		if s == "" || s == "." || s == ".." {
			return false
		}
	}
	return true
}

// unescape undoes percent-encoding; a percent sign that encodes nothing stays, because people
// paste paths as they see them. ok is false when the result is not printable.
func unescape(s string) (_ string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && ishex(s[i+1]) && ishex(s[i+2]) {
			b.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String(), printable(b.String())
}

func ishex(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	default:
		return c - 'a' + 10
	}
}

func escape(p string) string { return (&url.URL{Path: p}).EscapedPath() }

func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}

func firstProblem(problems ...string) string {
	for _, p := range problems {
		if p != "" {
			return p
		}
	}
	return ""
}

// quote shows a part of an address in a message.
func quote(s string) string { return "\"" + shorten(s) + "\"" }

func shorten(s string) string {
	if r := []rune(s); len(r) > 120 {
		return string(r[:119]) + "…"
	}
	return s
}
