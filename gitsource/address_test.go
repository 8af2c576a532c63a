package gitsource

import (
	"errors"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

const (
	sha40 = "0123456789abcdef0123456789abcdef01234567"
	sha64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

// refs that the spellings below are resolved against.
func someRefs() *advertisement {
	a := newAdvertisement()
	a.headName, a.head = "main", tip{sha40, sha40}
	for _, name := range []string{"main", "feature", "feature/new", "feature/new/model", "release/1.0", "both", "v2"} {
		a.heads[name] = tip{sha40, sha40}
	}
	for _, name := range []string{"v1.0", "both", "nightly/2024"} {
		a.tags[name] = tip{sha40, sha40}
	}
	return a
}

// split parses an address and, where that needs refs, tells ref and path apart.
func split(t *testing.T, raw string) Address {
	t.Helper()
	a, err := Parse(raw)
	require.NoError(t, err, raw)
	if a.RefPath == "" {
		return a
	}
	r, err := resolve(a, someRefs(), 100)
	require.NoError(t, err, raw)
	return r.Address
}

func TestParse(t *testing.T) {
	t.Parallel()
	const gh, clone = "github.com/acme/reports", "https://github.com/acme/reports.git"
	for _, c := range []struct{ raw, repository, clone, ref, path string }{
		{"https://github.com/acme/reports/blob/main/a.ipynb", gh, clone, "main", "a.ipynb"},
		{"  https://github.com/acme/reports/blob/main/a.ipynb\n", gh, clone, "main", "a.ipynb"},
		{"HTTPS://GitHub.com/acme/reports/blob/main/a.ipynb", gh, clone, "main", "a.ipynb"},
		{"https://www.github.com/acme/reports/blob/main/a.ipynb", gh, clone, "main", "a.ipynb"},
		{"https://github.dev/acme/reports/blob/main/a.ipynb", gh, clone, "main", "a.ipynb"},
		{"https://github.com:443/acme/reports/blob/main/a.ipynb", gh, clone, "main", "a.ipynb"},
		{"https://github.com./acme/reports/blob/main/a.ipynb", gh, clone, "main", "a.ipynb"},
		{"https://github.com/acme/reports.git/blob/main/a.ipynb", gh, clone, "main", "a.ipynb"},
		{"https://github.com/Acme/Reports/blob/main/a.ipynb", "github.com/Acme/Reports", "https://github.com/Acme/Reports.git", "main", "a.ipynb"},
		{"https://github.com/acme/reports/blob/main/-x.ipynb/", gh, clone, "main", "-x.ipynb"},
		{"https://github.com/acme/reports/blame/main/x/y/a.ipynb", gh, clone, "main", "x/y/a.ipynb"},
		{"https://github.com/acme/reports/edit/main/a.ipynb", gh, clone, "main", "a.ipynb"},
		{"https://github.com/acme/reports/raw/refs/heads/feature/new/a.ipynb", gh, clone, "feature/new", "a.ipynb"},
		{"https://github.com/acme/reports/raw/refs/tags/v1.0/a.ipynb", gh, clone, "v1.0", "a.ipynb"},
		{"https://github.com/acme/reports/blob/feature/a.ipynb", gh, clone, "feature", "a.ipynb"},
		{"https://github.com/acme/reports/blob/feature/new/a.ipynb", gh, clone, "feature/new", "a.ipynb"},
		{"https://github.com/acme/reports/blob/feature/new/model/a.ipynb", gh, clone, "feature/new/model", "a.ipynb"},
		{"https://github.com/acme/reports/blob/feature/old/a.ipynb", gh, clone, "feature", "old/a.ipynb"},
		{"https://github.com/acme/reports/blob/feature%2Fnew/a.ipynb", gh, clone, "feature/new", "a.ipynb"},
		{"https://github.com/acme/reports/blob/nightly/2024/x/a.ipynb", gh, clone, "nightly/2024", "x/a.ipynb"},
		{"https://github.com/acme/reports/blob/HEAD/x/a.ipynb", gh, clone, "HEAD", "x/a.ipynb"},
		{"https://github.com/acme/reports/blob/" + sha40 + "/x/a.ipynb", gh, clone, sha40, "x/a.ipynb"},
		{"https://github.com/acme/reports/blob/" + strings.ToUpper(sha40) + "/x/a.ipynb", gh, clone, sha40, "x/a.ipynb"},
		{"https://github.com/acme/reports/blob/0123456/x/a.ipynb", gh, clone, "0123456", "x/a.ipynb"},
		{"https://github.com/acme/reports/blob/main/blob/main/a.ipynb", gh, clone, "main", "blob/main/a.ipynb"},
		{"https://github.com/acme/reports/raw/branch/a.ipynb", gh, clone, "branch", "a.ipynb"},
		{"https://github.com/acme/reports/blob/main/a.ipynb?plain=1#L10-L20", gh, clone, "main", "a.ipynb"},
		{"https://github.com/acme/reports/blob/main/a.ipynb#cell-3", gh, clone, "main", "a.ipynb"},
		{"https://github.com/acme/reports/blob/main/C%23.ipynb", gh, clone, "main", "C#.ipynb"},
		{"https://github.com/acme/reports/blob/main/what%3F.ipynb", gh, clone, "main", "what?.ipynb"},
		{"https://github.com/acme/reports/blob/main/100%.ipynb", gh, clone, "main", "100%.ipynb"},
		{"https://github.com/acme/reports/blob/main/100%25.ipynb", gh, clone, "main", "100%.ipynb"},
		{"https://github.com/acme/reports/blob/main/a b+c&d=e@f.ipynb", gh, clone, "main", "a b+c&d=e@f.ipynb"},
		{"https://github.com/acme/reports/blob/main/a%20b.ipynb", gh, clone, "main", "a b.ipynb"},
		{"https://github.com/acme/reports/blob/main/데이터/매출 분석.ipynb", gh, clone, "main", "데이터/매출 분석.ipynb"},
		{"https://github.com/acme/reports/blob/main/%EB%A7%A4%EC%B6%9C.ipynb", gh, clone, "main", "매출.ipynb"},
		{"https://raw.githubusercontent.com/acme/reports/main/a.ipynb", gh, clone, "main", "a.ipynb"},
		{"https://raw.githubusercontent.com/acme/reports/feature/new/a.ipynb", gh, clone, "feature/new", "a.ipynb"},
		{"https://raw.githubusercontent.com/acme/reports/refs/tags/nightly/2024/a.ipynb", gh, clone, "nightly/2024", "a.ipynb"},
		{"https://nbviewer.jupyter.org/github/acme/reports/blob/main/a.ipynb", gh, clone, "main", "a.ipynb"},
		{"https://github.example.com/raw/acme/reports/main/a.ipynb", "github.example.com/acme/reports", "https://github.example.com/acme/reports.git", "main", "a.ipynb"},
		{"http://127.0.0.1:8080/acme/reports/blob/main/a.ipynb", "127.0.0.1:8080/acme/reports", "http://127.0.0.1:8080/acme/reports.git", "main", "a.ipynb"},
		{"http://[::1]:8080/acme/reports/blob/main/a.ipynb", "[::1]:8080/acme/reports", "http://[::1]:8080/acme/reports.git", "main", "a.ipynb"},
		{"https://gitlab.com/a/b/c/d/-/blob/release/1.0/x/a.ipynb", "gitlab.com/a/b/c/d", "https://gitlab.com/a/b/c/d.git", "release/1.0", "x/a.ipynb"},
		{"https://git.example.com/a/b/-/raw/main/a.ipynb", "git.example.com/a/b", "https://git.example.com/a/b.git", "main", "a.ipynb"},
		{"https://gitlab.example.com/a/b/c/blob/main/a.ipynb", "gitlab.example.com/a/b/c", "https://gitlab.example.com/a/b/c.git", "main", "a.ipynb"},
		{"https://gitlab.com/a/b/-/blob/both/a.ipynb?ref_type=tags", "gitlab.com/a/b", "https://gitlab.com/a/b.git", "both", "a.ipynb"},
		{"https://bitbucket.org/acme/reports/src/" + sha40 + "/a.ipynb?at=main", "bitbucket.org/acme/reports", "https://bitbucket.org/acme/reports.git", sha40, "a.ipynb"},
		{"https://bitbucket.org/acme/reports/src/feature/new/a.ipynb", "bitbucket.org/acme/reports", "https://bitbucket.org/acme/reports.git", "feature/new", "a.ipynb"},
		{"https://bitbucket.org/acme/reports/raw/main/a.ipynb", "bitbucket.org/acme/reports", "https://bitbucket.org/acme/reports.git", "main", "a.ipynb"},
		{"https://bb.example.com/users/ada/repos/reports/browse/x/a.ipynb", "bb.example.com/scm/~ada/reports", "https://bb.example.com/scm/~ada/reports.git", "", "x/a.ipynb"},
		{"https://gitea.example.com/acme/reports/src/branch/feature/new/a.ipynb", "gitea.example.com/acme/reports", "https://gitea.example.com/acme/reports.git", "feature/new", "a.ipynb"},
		{"https://codeberg.org/acme/reports/raw/tag/v1.0/a.ipynb", "codeberg.org/acme/reports", "https://codeberg.org/acme/reports.git", "v1.0", "a.ipynb"},
		{"https://codeberg.org/acme/reports/src/commit/" + sha40 + "/x/a.ipynb", "codeberg.org/acme/reports", "https://codeberg.org/acme/reports.git", sha40, "x/a.ipynb"},
		{"git+https://h.example.com/a/b.git@main#x/a.ipynb", "h.example.com/a/b", "https://h.example.com/a/b.git", "main", "x/a.ipynb"},
		{"git+https://h.example.com/a/b@main#/x/a.ipynb", "h.example.com/a/b", "https://h.example.com/a/b", "main", "x/a.ipynb"},
		{"git+https://h.example.com/a/b.git@user@home#a.ipynb", "h.example.com/a/b", "https://h.example.com/a/b.git", "user@home", "a.ipynb"},
		{"git+https://h.example.com/a/b.git@refs/heads/feature/new#a.ipynb", "h.example.com/a/b", "https://h.example.com/a/b.git", "feature/new", "a.ipynb"},
		{"git+https://h.example.com/a/b.git@refs/tags/v1.0#a.ipynb", "h.example.com/a/b", "https://h.example.com/a/b.git", "v1.0", "a.ipynb"},
		{"git+http://h.example.com:3000/a/b.git@" + sha40 + "#매출 분석.ipynb", "h.example.com:3000/a/b", "http://h.example.com:3000/a/b.git", sha40, "매출 분석.ipynb"},
		{"https://h.example.com/b.git#a.ipynb", "h.example.com/b", "https://h.example.com/b.git", "", "a.ipynb"},
		{"git+ssh://git@h.example.com/a/b.git@main#a.ipynb", "h.example.com/a/b", "ssh://git@h.example.com/a/b.git", "main", "a.ipynb"},
		{"ssh://git@h.example.com:22/a/b.git#a.ipynb", "h.example.com/a/b", "ssh://git@h.example.com/a/b.git", "", "a.ipynb"},
		{"ssh://git@h.example.com:7999/~ada/b.git@feature/new#a.ipynb", "h.example.com:7999/~ada/b", "ssh://git@h.example.com:7999/~ada/b.git", "feature/new", "a.ipynb"},
		{"ssh://h.example.com/a/b.git#a.ipynb", "h.example.com/a/b", "ssh://h.example.com/a/b.git", "", "a.ipynb"},
		{"git@github.com:acme/reports.git#a.ipynb", gh, "git@github.com:acme/reports.git", "", "a.ipynb"},
		{"git@github.com:acme/reports@v1.0#x/a.ipynb", gh, "git@github.com:acme/reports", "v1.0", "x/a.ipynb"},
		{"ada@h.example.com:/srv/git/b.git@feature/new#a.ipynb", "h.example.com/srv/git/b", "ada@h.example.com:/srv/git/b.git", "feature/new", "a.ipynb"},
		{"file:///srv/git/b@main#x/a.ipynb", "local/srv/git/b", "file:///srv/git/b", "main", "x/a.ipynb"},
		{"file://localhost/srv/git/b.git#a.ipynb", "local/srv/git/b", "file:///srv/git/b.git", "", "a.ipynb"},
		{"git+file:///srv/a%40b/c@main#a.ipynb", "local/srv/a@b/c", "file:///srv/a@b/c", "main", "a.ipynb"},
		{"gs://bucket/dir/매출.ipynb", "gs/bucket", "gs://bucket", "", "dir/매출.ipynb"},
		{"s3://bucket/a.ipynb", "s3/bucket", "s3://bucket", "", "a.ipynb"},
		{"bundle://" + sha64 + "/x/a%20b.ipynb", "upload", "bundle://" + sha64, "", "x/a b.ipynb"},
	} {
		t.Run(c.raw, func(t *testing.T) {
			t.Parallel()
			a := split(t, c.raw)
			require.Equal(t, c, struct{ raw, repository, clone, ref, path string }{c.raw, a.Repository, a.CloneURL, a.Ref, a.Path})
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for raw, says := range map[string]string{
		"":                           "is missing",
		"   ":                        "is missing",
		"-x":                         "option",
		"--upload-pack=touch /tmp/x": "option",
		"./daily.ipynb":              "is a path",
		"daily.ipynb":                "is a path",
		"/srv/daily.ipynb":           "is a path",
		"github.com/acme/reports/blob/main/a.ipynb":                     "write https://github.com/acme/reports/blob/main/a.ipynb",
		"https://github.com/acme/reports":                               "names no notebook",
		"https://github.com/acme/reports.git":                           "names no notebook",
		"https://github.com/acme/reports/tree/main":                     "not a notebook",
		"https://github.com/acme/reports/tree/main/notebooks":           "not a notebook",
		"https://github.com/acme/reports/blob/main/a.py":                "must end in .ipynb",
		"https://github.com/acme/reports/blob/a.ipynb":                  "names no ref",
		"https://github.com/acme/reports/blob/main/C#.ipynb":            "%23",
		"https://github.com/acme/reports/blob/main/../../a.ipynb":       "plain path",
		"https://github.com/acme/reports/blob/main/%2e%2e/a.ipynb":      "plain path",
		"https://github.com/acme/reports/blob/main//a.ipynb":            "plain path",
		"https://github.com/acme/reports/blob/main/.git/a.ipynb":        ".git",
		"https://github.com/acme/reports/blob/main/a%00.ipynb":          "control characters",
		"https://github.com/acme/reports/blob/main/a%0a.ipynb":          "control characters",
		"https://github.com/acme/reports/blob/main/a\n.ipynb":           "control characters",
		"https://github.com/acme/reports/blob/main/\xff.ipynb":          "not UTF-8",
		"https://github.com/acme/reports/blob/-x/a.ipynb":               "not the name of a branch",
		"https://github.com/acme/reports/blob/--upload-pack=x/a.ipynb":  "not the name of a branch",
		"https://ada:secret@github.com/acme/reports/blob/main/a.ipynb":  "credential",
		"https://ghp_token@github.com/acme/reports/blob/main/a.ipynb":   "credential",
		"https://raw.githubusercontent.com/a/b/main/a.ipynb?token=AAA":  "credential",
		"https://gitlab.com/a/b/-/raw/main/a.ipynb?private_token=AAA":   "credential",
		"git+https://ada:secret@h.example.com/a/b.git@main#a.ipynb":     "credential",
		"ssh://git:secret@h.example.com/a/b.git@main#a.ipynb":           "credential",
		"git+https://h.example.com/a/b.git@main":                        "append #path",
		"git+https://h.example.com/a/b.git@#a.ipynb":                    "no ref",
		"git+https://h.example.com/a/b.git@-x#a.ipynb":                  "not the name of a branch",
		"git+https://h.example.com/a/b.git@a..b#a.ipynb":                "not the name of a branch",
		"git+https://h.example.com/a/b.git@a b#a.ipynb":                 "not the name of a branch",
		"git+https://h.example.com/a/b.git@main#../a.ipynb":             "plain path",
		"git+https://h.example.com/a/b.git@main#a.txt":                  ".ipynb",
		"git+https://h.example.com#a.ipynb":                             "repository's path",
		"git+https://h.example.com/../b.git#a.ipynb":                    "repository's path",
		"git+https://-oProxyCommand=x/a/b.git#a.ipynb":                  "host",
		"ssh://-oProxyCommand=x/a/b.git#a.ipynb":                        "host",
		"ssh://-x@h.example.com/a/b.git#a.ipynb":                        "user",
		"git@h.example.com:-x.git#a.ipynb":                              "repository's path",
		"https:///acme/reports/blob/main/a.ipynb":                       "host",
		"https://exa mple.com/a/b/blob/main/a.ipynb":                    "host",
		"https://h.example.com:/a/b/blob/main/a.ipynb":                  "port",
		"https://h.example.com:99x/a/b/blob/main/a.ipynb":               "host",
		"http://[fe80::1%25eth0]/a/b/blob/main/a.ipynb":                 "host",
		"file://server/share/b#a.ipynb":                                 "three slashes",
		"git://h.example.com/a/b.git#a.ipynb":                           "git+https",
		"ftp://h.example.com/a.ipynb":                                   "not known",
		"ext::sh -c touch% /tmp/x":                                      "is a path",
		"gs://bucket":                                                   "names no notebook",
		"gs:///a.ipynb":                                                 "no bucket",
		"gs://bucket/a.ipynb#x":                                         "generation",
		"s3://key:secret@bucket/a.ipynb":                                "no bucket",
		"bundle://abc/a.ipynb":                                          "64 hexadecimal",
		"bundle://" + sha64 + "/a.ipynb?commit=x":                       "40 hexadecimal",
		"bundle://" + sha64 + "/a.ipynb?repository=../x":                "repository",
		"https://gitea.example.com/a/b/src/commit/main/a.ipynb":         "not a commit id",
		"https://github.com/a/b/blob/main/" + strings.Repeat("x", 5000): "longer",
	} {
		t.Run(raw[:min(len(raw), 80)], func(t *testing.T) {
			t.Parallel()
			_, err := Parse(raw)
			e, ok := errors.AsType[*nes.Error](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, nes.CodeInvalid, e.Code)
			require.Len(t, e.Problems, 1)
			require.Equal(t, "input_url", e.Problems[0].Field)
			require.Contains(t, e.Problems[0].Message, says)
			require.NotContains(t, e.Message, "secret")
			require.NotContains(t, e.Message, "ghp_")
			require.NotContains(t, e.Message, "AAA")
		})
	}
}

func TestUploadAndObjectAddresses(t *testing.T) {
	t.Parallel()
	a, err := Parse("bundle://" + sha64 + "/a.ipynb?repository=github.com%2Facme%2Freports&commit=" + sha40 + "&dirty=1")
	require.NoError(t, err)
	require.Equal(t, Address{
		Kind: KindUpload, Repository: "github.com/acme/reports", CloneURL: "bundle://" + sha64, Path: "a.ipynb",
		SHA256: sha64, Base: sha40, Dirty: true,
	}, a)
	a, err = Parse("gs://bucket/x/a.ipynb#1714564800000000")
	require.NoError(t, err)
	require.Equal(t, Address{
		Kind: KindObject, Scheme: "gs", Bucket: "bucket", Generation: "1714564800000000",
		Repository: "gs/bucket", CloneURL: "gs://bucket", Path: "x/a.ipynb",
	}, a)
	require.Empty(t, a.FullCommit())
}

func TestWebURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://github.com/acme/reports/blob/main/a.ipynb":                     "https://github.com/acme/reports/blob/C/P",
		"https://raw.githubusercontent.com/acme/reports/main/a.ipynb":           "https://github.com/acme/reports/blob/C/P",
		"git@github.com:acme/reports.git@main#a.ipynb":                          "https://github.com/acme/reports/blob/C/P",
		"ssh://git@gitlab.example.com:2222/a/b/c.git@main#a.ipynb":              "https://gitlab.example.com/a/b/c/-/blob/C/P",
		"https://git.example.com:8443/acme/reports/blob/main/a.ipynb":           "https://git.example.com:8443/acme/reports/blob/C/P",
		"https://gitlab.com/a/b/c/-/blob/main/a.ipynb":                          "https://gitlab.com/a/b/c/-/blob/C/P",
		"https://bitbucket.org/acme/reports/src/main/a.ipynb":                   "https://bitbucket.org/acme/reports/src/C/P",
		"https://gitea.example.com/acme/reports/src/branch/main/a.ipynb":        "https://gitea.example.com/acme/reports/src/commit/C/P",
		"https://bb.example.com/projects/A/repos/r/browse/a.ipynb?at=main":      "https://bb.example.com/projects/A/repos/r/browse/P?at=C",
		"git+https://git.example.com/acme/reports.git@main#a.ipynb":             "",
		"file:///srv/git/reports@main#a.ipynb":                                  "",
		"git+https://codeberg.org/acme/reports.git@main#a.ipynb":                "https://codeberg.org/acme/reports/src/commit/C/P",
		"http://github.example.com:8080/acme/reports/blob/main/a.ipynb?plain=1": "http://github.example.com:8080/acme/reports/blob/C/P",
	} {
		a, err := Parse(raw)
		require.NoError(t, err)
		want = strings.NewReplacer("/C/", "/"+sha40+"/", "=C", "="+sha40, "P", "x/%EB%A7%A4%EC%B6%9C%20%23.ipynb").Replace(want)
		require.Equal(t, want, a.WebURL(sha40, "x/매출 #.ipynb"), raw)
		require.Empty(t, a.WebURL("", "x"))
	}
}

func TestSameRepositoryByAnyWay(t *testing.T) {
	t.Parallel()
	first, err := Parse("https://github.com/acme/reports/blob/main/a.ipynb")
	require.NoError(t, err)
	for _, raw := range []string{
		"git+https://GITHUB.com/acme/reports.git@main#a.ipynb", "ssh://git@github.com:22/acme/reports@v1#b.ipynb", "git@github.com:acme/reports.git#a.ipynb",
		"https://raw.githubusercontent.com/acme/reports/main/a.ipynb",
	} {
		a, err := Parse(raw)
		require.NoError(t, err)
		require.Equal(t, first.RepositoryHash(), a.RepositoryHash(), raw)
	}
	other, err := Parse("https://github.com:8443/acme/reports/blob/main/a.ipynb")
	require.NoError(t, err)
	require.NotEqual(t, first.RepositoryHash(), other.RepositoryHash())
}

var tableRow = regexp.MustCompile("^\\| `([^`]+)` \\| `([^`]+)` \\| (?:`([^`]*)`)? ?\\| `([^`]+)` \\|$")

// TestDocumentedAddresses holds docs/sources.md to the code.
func TestDocumentedAddresses(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/sources.md")
	require.NoError(t, err)
	rows := 0
	for line := range strings.Lines(string(text)) {
		m := tableRow.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		rows++
		a := split(t, m[1])
		require.Equal(t, m[2:], []string{a.Repository, a.Ref, a.Path}, m[1])
	}
	require.GreaterOrEqual(t, rows, 30)
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"https://github.com/acme/reports/blob/main/a.ipynb", "git@h:a/b.git@main#a.ipynb", "git+https://h/a/b.git@r#a.ipynb",
		"https://gitlab.com/a/-/blob/x/a.ipynb?ref_type=heads", "bundle://" + sha64 + "/a.ipynb?dirty=1", "gs://b/k.ipynb#1",
		"file:///a@b#c.ipynb", "https://h/projects/A/repos/r/browse/a.ipynb?at=x", "https://h/a/b/src/branch/x/a.ipynb", "@:#.ipynb", "a@[::1]:b#c.ipynb",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		a, err := Parse(raw)
		if err != nil {
			require.Equal(t, nes.CodeInvalid, nes.CodeOf(err))
			return
		}
		require.NotEmpty(t, a.Repository)
		require.NotEmpty(t, a.CloneURL)
		file := a.Path + a.RefPath
		require.True(t, strings.HasSuffix(file, ".ipynb"), raw)
		require.True(t, cleanPath(file) && printable(file), raw)
		require.False(t, strings.HasPrefix(a.CloneURL, "-") || strings.HasPrefix(a.Ref, "-"), raw)
		require.Empty(t, checkRef(a.Ref))
		if page := a.WebURL(sha40, "x.ipynb"); page != "" {
			_, err := url.Parse(page)
			require.NoError(t, err)
		}
	})
}
