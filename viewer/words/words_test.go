package words_test

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/viewer/web"
	"github.com/nes-run/nes/viewer/words"
)

func TestPick(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]words.Language{
		"": words.English, "en": words.English, "ko": words.Korean, "ko-KR": words.Korean, "KO-kr,en;q=0.5": words.Korean,
		"en-US,en;q=0.9,ko;q=0.8": words.English, "fr,ko;q=0.5,en;q=0.3": words.Korean, "fr, de": words.English, "ko;q=0, en;q=0.1": words.English,
		"ko;q=0": words.English, "*": words.English, "*;q=0.1, ko;q=0.2": words.Korean, "ko;q=x,en;q=0.1": words.English, ";;,,;q=1": words.English, "ko ; q=0.9, en;q=0.8": words.Korean,
		"ko;q=7, en;q=0.1": words.English, "korean": words.English,
	} {
		require.Equal(t, want, words.Pick([]string{accept}), accept)
	}
	require.Equal(t, words.Korean, words.Pick([]string{"de", "ko;q=0.4"}), "lines are one list")
}

func TestSay(t *testing.T) {
	t.Parallel()
	require.Equal(t, "Runs", words.English.Say("Runs"))
	require.Equal(t, "실행", words.Korean.Say("Runs"))
	require.Equal(t, "2 of 3 code cells", words.English.Say("%d of %d code cells", 2, 3))
	require.Equal(t, "코드 셀 3개 중 2개", words.Korean.Say("%d of %d code cells", 2, 3))
	require.Equal(t, "100% sure", words.Korean.Say("100% sure"), "what is not known is said as it is")
}

// said finds the texts that a template or the code of the viewer says: {{t "..."}}, (t "...") and words in tables of the code.
var said = regexp.MustCompile(`[{(]\s*t "((?:[^"\\]|\\.)*)"`)

func TestEveryTextOfTheTemplatesIsTranslated(t *testing.T) {
	t.Parallel()
	templates := web.Templates()
	names, err := fs.Glob(templates, "*.html")
	require.NoError(t, err)
	found := 0
	for _, name := range names {
		raw, err := fs.ReadFile(templates, name)
		require.NoError(t, err)
		for _, m := range said.FindAllStringSubmatch(string(raw), -1) {
			found++
			require.True(t, words.Korean.Knows(m[1]), "%s says %q, which has no Korean", name, m[1])
		}
	}
	require.Greater(t, found, 100)
}

func TestEveryReasonIsTranslated(t *testing.T) {
	t.Parallel()
	for _, row := range nes.Reasons() {
		require.True(t, words.Korean.Knows(row.Meaning), row.Meaning)
		require.True(t, row.Cure == "" || words.Korean.Knows(row.Cure), row.Cure)
	}
}

// TestNothingIsTranslatedInVain: what stands in the table is said somewhere, in a template or in the code.
func TestNothingIsTranslatedInVain(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, dir := range []string{"..", "../web/templates", "../../"} {
		names, err := fs.Glob(os.DirFS(dir), "*")
		require.NoError(t, err)
		for _, name := range names {
			if strings.HasSuffix(name, ".html") || strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
				raw, err := os.ReadFile(dir + "/" + name)
				require.NoError(t, err)
				all.Write(raw)
			}
		}
	}
	for _, text := range words.Korean.Texts() {
		require.Contains(t, all.String(), `"`+text+`"`, "nothing says %q", text)
	}
}

// TestVerbsAreKept: a translation has the verbs of its text, so that nothing is lost or made up.
func TestVerbsAreKept(t *testing.T) {
	t.Parallel()
	verb := regexp.MustCompile(`%(?:\[\d\])?[a-z]`)
	for _, text := range words.Korean.Texts() {
		require.Len(t, verb.FindAllString(words.Korean.Say(text), -1), len(verb.FindAllString(text, -1)), text)
	}
}
