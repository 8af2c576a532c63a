package gitsource

import (
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

// hosts of every style, as the page of one notebook is written there.
var hosts = map[string]func(repo, ref, file string) string{
	"github.com": func(repo, ref, file string) string { return "https://github.com/" + repo + "/blob/" + ref + "/" + file },
	"github.example.com": func(repo, ref, file string) string {
		return "https://github.example.com/" + repo + "/blob/" + ref + "/" + file
	},
	"gitlab.com": func(repo, ref, file string) string {
		return "https://gitlab.com/" + repo + "/-/blob/" + ref + "/" + file
	},
	"gitlab.example:8443": func(repo, ref, file string) string {
		return "https://gitlab.example:8443/" + repo + "/-/raw/" + ref + "/" + file
	},
	"codeberg.org": func(repo, ref, file string) string {
		return "https://codeberg.org/" + repo + "/src/branch/" + ref + "/" + file
	},
	"bitbucket.org": func(repo, ref, file string) string {
		return "https://bitbucket.org/" + repo + "/src/" + ref + "/" + file
	},
	"git.example.com": func(repo, ref, file string) string {
		return "https://git.example.com/" + repo + "/blob/" + ref + "/" + file
	},
}

var pieces = []string{"reports", "daily", "일일 매출", "a b", "100%", "what?", "#1", "a&b=c", "ä+ö", "x.y", "(1)", "[1]", "q'q", "~me", "semi;colon", "a,b", "@home", "$x", "!", "=", "%41"}

// TestPagesRoundTrip: any path on any host, written as its pages are, is read as itself; and the page that NES links to is read as the same notebook.
func TestPagesRoundTrip(t *testing.T) {
	t.Parallel()
	g := rand.New(rand.NewPCG(11, 12))
	for range 400 {
		for host, write := range hosts {
			var parts []string
			for range 1 + g.IntN(3) {
				parts = append(parts, pieces[g.IntN(len(pieces))])
			}
			file := strings.Join(parts, "/") + ".ipynb"
			raw := write("acme/reports", "main", (&url.URL{Path: file}).EscapedPath())
			raw = strings.ReplaceAll(raw, "./", "/") // a path that begins with a colon
			a, err := Parse(raw)
			require.NoError(t, err, raw)
			if a.RefPath != "" {
				require.Equal(t, "main/"+file, a.RefPath, raw)
			} else {
				require.Equal(t, [2]string{"main", file}, [2]string{a.Ref, a.Path}, raw)
			}
			require.Equal(t, host+"/acme/reports", a.Repository)
			require.Equal(t, "https://"+host+"/acme/reports.git", a.CloneURL)

			page := a.WebURL(sha40, file)
			again, err := Parse(page)
			require.NoError(t, err, page)
			require.Equal(t, [3]string{a.Repository, sha40, file}, [3]string{again.Repository, again.Ref, again.Path}, page)
			require.Equal(t, a.RepositoryHash(), again.RepositoryHash())
			require.Equal(t, sha40, again.FullCommit())
		}
	}
}

// TestCloneAddressesRoundTrip: the same for what Git itself clones from.
func TestCloneAddressesRoundTrip(t *testing.T) {
	t.Parallel()
	g := rand.New(rand.NewPCG(13, 14))
	for range 300 {
		file := pieces[g.IntN(len(pieces))] + "/" + pieces[g.IntN(len(pieces))] + ".ipynb"
		ref := []string{"", "main", "feature/new", "v1.0", "가지", sha40}[g.IntN(6)]
		at, escaped := "", (&url.URL{Path: file}).EscapedPath()
		if ref != "" {
			at = "@" + ref
		}
		for _, raw := range []string{
			"git+https://h.example/a/b.git" + at + "#" + escaped, "https://h.example/a/b.git" + at + "#" + escaped, "ssh://git@h.example/a/b.git" + at + "#" + escaped,
			"git@h.example:a/b.git" + at + "#" + escaped, "git+ssh://git@h.example:22/a/b.git" + at + "#" + escaped,
		} {
			a, err := Parse(raw)
			require.NoError(t, err, raw)
			require.Equal(t, [3]string{"h.example/a/b", ref, file}, [3]string{a.Repository, a.Ref, a.Path}, raw)
		}
	}
}

// TestRepositoryHashIsForEver: bundles in buckets are found by it.
func TestRepositoryHashIsForEver(t *testing.T) {
	t.Parallel()
	for repository, want := range map[string]string{
		"github.com/acme/reports": "3741c9c007c7bc5dfd8a54c6484d059e",
		"local/srv/git/reports":   "0ff4a503b9193c14768f4d3a4255a160",
	} {
		require.Equal(t, want, Address{Repository: repository}.RepositoryHash(), repository)
	}
}

func TestFullCommit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a    Address
		want string
	}{
		{Address{Kind: KindGit, Path: "a.ipynb", Ref: sha40}, sha40},
		{Address{Kind: KindGit, Path: "a.ipynb", Ref: sha40, Space: SpaceCommit}, sha40},
		{Address{Kind: KindGit, Path: "a.ipynb", Ref: sha40, Space: SpaceBranch}, ""},
		{Address{Kind: KindGit, Path: "a.ipynb", Ref: sha40, Space: SpaceTag}, ""},
		{Address{Kind: KindGit, Path: "a.ipynb", Ref: sha40[:12]}, ""},
		{Address{Kind: KindGit, Path: "a.ipynb", Ref: "main"}, ""},
		{Address{Kind: KindGit, Ref: sha40}, ""},
		{Address{Kind: KindObject, Path: "a.ipynb", Ref: sha40}, ""},
	} {
		require.Equal(t, c.want, c.a.FullCommit(), "%+v", c.a)
	}
}

func TestUploadAddresses(t *testing.T) {
	t.Parallel()
	base := "bundle://" + sha64
	a, err := Parse(base + "/dir/%ED%95%9C.ipynb?repository=/github.com/acme/reports/&commit=" + sha40 + "&dirty=1")
	require.NoError(t, err)
	require.Equal(t, Address{Kind: KindUpload, SHA256: sha64, Path: "dir/한.ipynb", CloneURL: base, Repository: "github.com/acme/reports", Base: sha40, Dirty: true}, a)
	a, err = Parse(base + "/a.ipynb?dirty=true")
	require.NoError(t, err)
	require.False(t, a.Dirty, "1 alone means dirty")
	require.Equal(t, "upload", a.Repository)
	for raw, says := range map[string]string{
		"bundle://abc/a.ipynb":                  "64 hexadecimal digits",
		base + "/a.txt":                         "not a notebook",
		base + "/":                              "names no notebook",
		base + "/%ff.ipynb":                     "not UTF-8",
		base + "/../a.ipynb":                    "not a plain path",
		base + "/.git/a.ipynb":                  "inside .git",
		base + "/a.ipynb?%zz":                   "cannot be read",
		base + "/a.ipynb?repository=a/../b":     "must be a name",
		base + "/a.ipynb?repository=user@h/a":   "must be a name",
		base + "/a.ipynb?repository=a%01b":      "must be a name",
		base + "/a.ipynb?commit=main":           "40 hexadecimal digits",
		base + "/a.ipynb?commit=" + sha40 + "0": "40 hexadecimal digits",
	} {
		_, err := Parse(raw)
		require.ErrorContains(t, err, says, raw)
	}
}

// TestEveryRefusalSaysHow: no message is without a way to mend it, and none repeats a secret.
func TestEveryRefusalSaysHow(t *testing.T) {
	t.Parallel()
	for raw, says := range map[string]string{
		"":                                      "is missing",
		"   ":                                   "is missing",
		strings.Repeat("a", 4097):               "longer than 4096",
		"https://h/a/b/blob/m/a\x00.ipynb":      "control characters",
		"https://h/a/b/blob/m/\xff.ipynb":       "not UTF-8",
		"--upload-pack=x":                       "looks like an option",
		"ftp://h/a.ipynb":                       `the scheme "ftp" is not known`,
		"git://h/a.git#a.ipynb":                 "neither encrypted nor authenticated",
		"github.com/a/b/blob/main/a.ipynb":      "write https://github.com/a/b/blob/main/a.ipynb",
		"./a.ipynb":                             "is a path, not an address",
		"../x/a.ipynb":                          "is a path, not an address",
		"gs:///a.ipynb":                         "names no bucket",
		"s3://user@b/a.ipynb":                   "names no bucket",
		"gs://b/a.ipynb#1x":                     "generation, a number",
		"https://h":                             "names no notebook",
		"https://h/a/b/c.ipynb":                 "does not show which part is the repository",
		"https://h/a/b/blob/a.ipynb":            "names no ref",
		"https://h/a/b/blob/main/a.py":          "must end in .ipynb",
		"https://h/a/b/blob/main/":              "must end in .ipynb",
		"https://h/a/b/blob/main/x#1.ipynb":     "write # in the notebook's path as %23",
		"https://h/a/b/commits/x/a.ipynb?a=%zz": "write ? in the notebook's path as %3F",
		"https://:443/a/b/blob/m/a.ipynb":       "host",
		"https://h:/a/b/blob/m/a.ipynb":         "port is missing",
		"https://h:x/a/b/blob/m/a.ipynb":        "host is not valid",
		"https://-h/a/b/blob/m/a.ipynb":         "host is missing or not valid",
		"ssh://-o@h/a.git#a.ipynb":              "user before @",
		"ssh://a$b@h/a.git#a.ipynb":             "user before @",
		"git+https://h/a.git@#a.ipynb":          "has no ref behind @",
		"git+https://h/#a.ipynb":                "repository's path is missing",
		"git+https://h/-a.git#a.ipynb":          "repository's path is missing",
		"git+https://h/a.git":                   "append #path",
		"git+https://h/a.git#a%ff.ipynb":        "not UTF-8",
		"git+https://h/%ff.git#a.ipynb":         "not UTF-8",
		"file://host/a#a.ipynb":                 "three slashes",
		"https://h/a/b/src/commit/xyz/a.ipynb":  "not a commit id",
		"git+https://h/a.git@a..b#a.ipynb":      "not the name of a branch",
		"https://h/a/-b/../c/blob/m/a.ipynb":    "not valid",
	} {
		_, err := Parse(raw)
		require.Error(t, err, raw)
		require.Equal(t, nes.CodeInvalid, nes.CodeOf(err))
		require.ErrorContains(t, err, says, raw)
	}
	for _, secret := range []string{
		"https://user:hunter2@h/a/b/blob/m/a.ipynb", "https://hunter2@h/a/b/blob/m/a.ipynb", "git+https://x:hunter2@h/a.git#a.ipynb", "ssh://x:hunter2@h/a.git#a.ipynb",
		"https://h/a/b/raw/m/a.ipynb?token=hunter2", "https://h/a/b/raw/m/a.ipynb?X-Amz-Signature=hunter2", "https://h/a/b/raw/m/a.ipynb?PRIVATE_TOKEN=hunter2", "git+https://h/a.git?password=hunter2#a.ipynb",
	} {
		_, err := Parse(secret)
		require.ErrorContains(t, err, "holds a credential", secret)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestSplitAuthority(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ scheme, authority, user, host string }{
		{"https", "h.example", "", "h.example"},
		{"https", "H.Example.", "", "h.example"},
		{"https", "h:443", "", "h"},
		{"http", "h:443", "", "h:443"},
		{"http", "h:80", "", "h"},
		{"ssh", "git@h:22", "git", "h"},
		{"ssh", "git@h:2222", "git", "h:2222"},
		{"https", "[::1]", "", "[::1]"},
		{"https", "[::1]:443", "", "[::1]"},
		{"https", "[2001:DB8::1]:8443", "", "[2001:db8::1]:8443"},
		{"ssh", "a.b-c+d_e@h", "a.b-c+d_e", "h"},
		{"ssh", "me%40corp@h", "me@corp", "h"},
	} {
		user, host, problem := splitAuthority(c.scheme, c.authority)
		require.Empty(t, problem, c.authority)
		require.Equal(t, [2]string{c.user, c.host}, [2]string{user, host}, c.authority)
	}
}

func TestUnescapeKeepsWhatEncodesNothing(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "a": "a", "%41": "A", "%4a%4B": "JK", "100%": "100%", "100%2": "100%2", "%zz": "%zz", "%%41": "%A", "%ED%95%9C": "한", "%2f": "/", "a%20b+c": "a b+c",
	} {
		got, ok := unescape(in)
		require.True(t, ok, in)
		require.Equal(t, want, got, in)
	}
	for _, in := range []string{"%00", "%0a", "%ff", "%ED%95", "%7f"} {
		_, ok := unescape(in)
		require.False(t, ok, in)
	}
}

func FuzzUnescape(f *testing.F) {
	f.Add("%ED%95%9C/100%")
	f.Fuzz(func(t *testing.T, s string) {
		if got, ok := unescape(escape(s)); ok {
			require.Equal(t, s, got, "what is escaped comes back")
		} else {
			require.False(t, printable(s))
		}
		if strings.Contains(s, "%") {
			return
		}
		if got, ok := unescape(s); ok {
			require.Equal(t, s, got)
		}
	})
}
