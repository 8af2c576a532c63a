package gitsource

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/nes-run/nes"
)

// Kind says what an address leads to.
type Kind string

// The kinds.
const (
	KindGit    Kind = "git"    // a notebook in a Git repository
	KindObject Kind = "object" // a notebook in a bucket: gs://, s3://
	KindUpload Kind = "upload" // a notebook in a working tree that was sent: bundle://
)

// Space says among which names a ref is looked for.
type Space string

// The spaces.
const (
	SpaceAny    Space = ""       // branches, tags, commits
	SpaceBranch Space = "branch" // branches alone
	SpaceTag    Space = "tag"    // tags alone
	SpaceCommit Space = "commit" // the ref is a commit id, whole or abbreviated
)

// Address is where a notebook is, as far as its spelling tells.
type Address struct {
	Kind Kind
	// Repository is canonical: lower-case host, port where it is not the usual one, path without ".git".
	// It is the same for every spelling and transport of one repository.
	Repository string
	// CloneURL is what Git fetches from: an https, http, ssh or file URL, or user@host:path.
	CloneURL string
	// Ref as given; empty is the default branch.
	Ref   string
	Space Space
	// Path of the notebook below the repository's root; the key of an object.
	Path string
	// RefPath is "<ref>/<path>" of a page's address whose border only the server's
	// refs can show, because both may hold slashes. Ref and Path are empty then.
	RefPath string

	// Scheme (gs, s3), Bucket and Generation of an object; the generation is empty where none was given.
	Scheme, Bucket, Generation string

	// SHA256 of a sent working tree, the commit it is based on, and whether it differs from it.
	SHA256, Base string
	Dirty        bool

	login *Credential // of the team that asks; nil is none
	web   string      // base of the repository's pages, such as https://github.com/acme/reports
	style style       // how the host writes addresses of its pages
}

// maxAddress bounds the length of an address in bytes.
const maxAddress = 4096

var (
	fullCommit  = regexp.MustCompile(`^[0-9a-f]{40}$`)
	shortCommit = regexp.MustCompile(`^[0-9a-f]{7,40}$`)
	digest      = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Parse reads the address of a notebook. It asks no server. Its error is a
// *nes.Error with code invalid whose problem, of field input_url, says what is wrong and how to mend it.
func Parse(raw string) (Address, error) {
	a, problem := parse(strings.TrimSpace(raw))
	if problem != "" {
		return Address{}, nes.Invalid([]nes.Problem{{Field: "input_url", Message: problem}})
	}
	return a, nil
}

// RepositoryHash names the repository in bucket keys. A repository that is reached by a credential has a name for
// those who share the credential: a bundle that one team may read is not found by another.
func (a Address) RepositoryHash() string {
	sum := sha256.Sum256([]byte(a.Repository + a.login.scope()))
	return hex.EncodeToString(sum[:16])
}

// FullCommit returns the commit that the address itself names by its whole id, or "".
func (a Address) FullCommit() string {
	if a.Kind == KindGit && a.Path != "" && (a.Space == SpaceAny || a.Space == SpaceCommit) && fullCommit.MatchString(a.Ref) {
		return a.Ref
	}
	return ""
}

// WebURL returns the address of the host's page of the notebook at a commit, or "" where the host has none that is known.
func (a Address) WebURL(commit, notebook string) string {
	if a.web == "" || commit == "" {
		return ""
	}
	file := (&url.URL{Path: notebook}).EscapedPath()
	switch a.style {
	case styleGitLab:
		return a.web + "/-/blob/" + commit + "/" + file
	case styleGitea:
		return a.web + "/src/commit/" + commit + "/" + file
	case styleBitbucket:
		return a.web + "/src/" + commit + "/" + file
	case styleBitbucketServer:
		return a.web + "/browse/" + file + "?at=" + commit
	case styleGitHub:
		return a.web + "/blob/" + commit + "/" + file
	default:
		return ""
	}
}

// parse returns an address, or what is wrong with it.
func parse(raw string) (Address, string) {
	if problem := checkText(raw); problem != "" {
		return Address{}, problem
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return parseWithoutScheme(raw)
	}
	scheme = strings.ToLower(scheme)
	switch scheme {
	case "https", "http":
		return parseWeb(scheme, rest)
	case "git+https", "git+http", "git+ssh", "git+file", "ssh", "file":
		return parseClone(strings.TrimPrefix(scheme, "git+"), rest)
	case "gs", "s3":
		return parseObject(scheme, rest)
	case "bundle":
		return parseUpload(rest)
	case "git":
		return Address{}, "git:// is neither encrypted nor authenticated: write git+https://host/repository.git@ref#path.ipynb"
	default:
		return Address{}, "the scheme " + quote(scheme) + " is not known: " + howTo
	}
}

const howTo = "write the address of the notebook's page, such as https://github.com/acme/reports/blob/main/daily.ipynb, or git+https://host/repository.git@ref#path.ipynb"

func checkText(raw string) string {
	switch {
	case raw == "":
		return "is missing: " + howTo
	case len(raw) > maxAddress:
		return "is longer than 4096 bytes"
	case !printable(raw):
		return "holds control characters or is not UTF-8: copy the address again"
	case raw[0] == '-':
		return "looks like an option: " + howTo
	default:
		return ""
	}
}

func parseWithoutScheme(raw string) (Address, string) {
	before, _, _ := strings.Cut(raw, "#")
	user, rest, ok := strings.Cut(before, "@")
	if ok && !strings.ContainsAny(user, "/:") && strings.Contains(rest, ":") {
		return parseSCP(raw)
	}
	if host, _, ok := strings.Cut(raw, "/"); ok && strings.Contains(strings.Trim(host, "."), ".") {
		return Address{}, "has no scheme: write https://" + shorten(raw)
	}
	return Address{}, "is a path, not an address: " + howTo
}

// parseObject reads gs://bucket/key.ipynb, with #generation where one is meant.
func parseObject(scheme, rest string) (Address, string) {
	rest, generation, _ := strings.Cut(rest, "#")
	bucket, key, _ := strings.Cut(rest, "/")
	if bucket == "" || strings.ContainsAny(bucket, "@:%") {
		return Address{}, "names no bucket: write " + scheme + "://bucket/path.ipynb"
	}
	if problem := checkNotebook(key); problem != "" {
		return Address{}, problem
	}
	if strings.Trim(generation, "0123456789") != "" {
		return Address{}, "the part after # must be the object's generation, a number"
	}
	return Address{
		Kind: KindObject, Scheme: scheme, Bucket: bucket, Generation: generation,
		Repository: path.Join(scheme, bucket), CloneURL: scheme + "://" + bucket, Path: key,
	}, ""
}

// parseUpload reads bundle://<sha256>/<path>?repository=<name>&commit=<base>&dirty=1.
func parseUpload(rest string) (Address, string) {
	rest, rawQuery, _ := strings.Cut(rest, "?")
	sum, file, _ := strings.Cut(rest, "/")
	if !digest.MatchString(sum) {
		return Address{}, "bundle:// must be followed by the 64 hexadecimal digits that the upload answered"
	}
	file, ok := unescape(file)
	if !ok {
		return Address{}, "the path is not UTF-8 without control characters"
	}
	if problem := checkNotebook(file); problem != "" {
		return Address{}, problem
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return Address{}, "the part after ? cannot be read"
	}
	a := Address{
		Kind: KindUpload, SHA256: sum, Path: file, CloneURL: "bundle://" + sum,
		Repository: strings.Trim(query.Get("repository"), "/"), Base: query.Get("commit"), Dirty: query.Get("dirty") == "1",
	}
	if a.Repository == "" {
		a.Repository = "upload"
	}
	if !printable(a.Repository) || !cleanPath(a.Repository) || strings.Contains(a.Repository, "@") {
		return Address{}, "repository must be a name such as github.com/acme/reports"
	}
	if a.Base != "" && !fullCommit.MatchString(a.Base) {
		return Address{}, "commit must be 40 hexadecimal digits"
	}
	return a, ""
}
