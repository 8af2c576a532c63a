package credential

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/nes-run/nes"
)

// advice is what to do instead.
const advice = "parameters are stored and shown to everyone who sees the run: have the administrator allow it as a secret of the profile, and name it in secrets: {VARIABLE: {ref: ...}}"

// kinds of values that services give out, and that nothing else looks like.
var kinds = []struct {
	name    string
	pattern *regexp.Regexp
}{
	{"an AWS access key", regexp.MustCompile(`\b(?:AKIA|ASIA)[A-Z0-9]{16}\b`)},
	{"a GitHub token", regexp.MustCompile(`\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})\b`)},
	{"a GitLab token", regexp.MustCompile(`\bglpat-[A-Za-z0-9_-]{20,}`)},
	{"a Slack token", regexp.MustCompile(`\bxox[abeoprs]-[A-Za-z0-9-]{10,}`)},
	{"a Google API key", regexp.MustCompile(`\bAIza[A-Za-z0-9_-]{35}`)},
	{"a Stripe key", regexp.MustCompile(`\b[rs]k_live_[A-Za-z0-9]{16,}`)},
	{"a private key", regexp.MustCompile(`-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----`)},
	{"a JSON web token", regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}`)},
	{"an address with a password", regexp.MustCompile(`\b[a-z][a-z0-9+.-]*://[^\s/:@"]*:[^\s/@"*{}$<][^\s/@"]*@`)},
}

// nouns at the end of a name say that the value is a credential.
var nouns = []string{"password", "passwd", "passphrase", "secret", "token", "apikey", "pwd"}

// pairs of words at the end of a name that say so together.
var pairs = []string{"api key", "access key", "secret key", "private key", "auth key", "account key", "signing key", "encryption key"}

// harmless words make a token out of what is none: those of language models and of pages.
var harmless = []string{
	"pad", "eos", "bos", "unk", "sep", "mask", "cls", "begin", "start", "end", "stop", "special", "first", "last", "next", "previous", "prev", "page",
	"continuation", "sync", "resume", "max", "min", "per", "num", "new", "prefix", "suffix", "separator", "image", "padding", "unknown", "trade",
}

// Refuse lists the parameters that look like credentials. No message repeats a value.
func Refuse(parameters map[string]json.RawMessage) (problems []nes.Problem) {
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		if why := inParameter(name, parameters[name]); why != "" {
			problems = append(problems, nes.Problem{Field: "parameters." + clip(name), Message: why + "; " + advice})
		}
	}
	return problems
}

// inParameter says why a parameter is taken for a credential; empty where it is not.
func inParameter(name string, raw json.RawMessage) string {
	var value any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&value) != nil {
		return "" // refused for that already
	}
	return inValue(name, value)
}

func inValue(name string, value any) string {
	switch v := value.(type) {
	case string:
		return inText(name, v)
	case []any:
		for _, element := range v {
			if why := inValue(name, element); why != "" {
				return why
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if why := inValue(key, v[key]); why != "" {
				return why
			}
		}
	}
	return ""
}

func inText(name, text string) string {
	for _, kind := range kinds {
		if kind.pattern.MatchString(text) {
			return "looks like " + kind.name
		}
	}
	if strings.TrimSpace(text) == "" || placeholder(text) || !Name(name) {
		return ""
	}
	if strings.HasSuffix(strings.ToLower(name), "pwd") && strings.Contains(text, "/") {
		return "" // a working directory
	}
	return fmt.Sprintf("is called %q and so looks like a credential", clip(name))
}

// placeholder reports whether a text stands for a value that is elsewhere.
func placeholder(text string) bool {
	return strings.Trim(text, "*") == "" || strings.HasPrefix(text, "<") && strings.HasSuffix(text, ">")
}

// Name reports whether a name says that its value is a credential.
func Name(name string) bool {
	words := split(name)
	last := len(words) - 1
	if last < 0 {
		return false
	}
	if last > 0 && slices.Contains(pairs, words[last-1]+" "+words[last]) {
		return true
	}
	if !slices.Contains(nouns, words[last]) {
		return false
	}
	return last == 0 || !slices.Contains(harmless, words[last-1])
}

// split takes a name apart at underscores, dashes, dots and changes from small to large letters: "db_apiKey2" is db, api, key.
func split(name string) (words []string) {
	var word []rune
	end := func() {
		if len(word) > 0 {
			words = append(words, strings.ToLower(string(word)))
		}
		word = nil
	}
	small := false
	for _, r := range name {
		if !unicode.IsLetter(r) {
			end()
			continue
		}
		if unicode.IsUpper(r) && small {
			end()
		}
		small = unicode.IsLower(r)
		word = append(word, r)
	}
	end()
	return words
}

// clip shortens what a caller wrote for a message.
func clip(s string) string {
	const limit = 64
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}
