// Package words owns the languages of the pages: English, in which they are written, and
// what each of their texts is in the others.
package words

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Language is one that the pages speak, by its tag.
type Language string

// The languages.
const (
	English Language = "en"
	Korean  Language = "ko"
)

// Languages lists them all.
func Languages() []Language { return []Language{English, Korean} }

var tables = map[Language]map[string]string{Korean: korean}

// Say returns an English text in the language, with args put in as fmt.Sprintf does. A text
// that has no translation is said in English.
func (l Language) Say(text string, args ...any) string {
	if said, ok := tables[l][text]; ok {
		text = said
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// Knows reports whether a text has a translation, or needs none.
func (l Language) Knows(text string) bool {
	_, ok := tables[l][text]
	return ok || l == English
}

// Texts lists what is translated, in order.
func (l Language) Texts() []string {
	var all []string
	for text := range tables[l] {
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}

// Pick chooses the language that a browser likes best, from the lines of its Accept-Language.
func Pick(accept []string) Language {
	best, weight := English, 0.0
	for item := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		tag, q := weighed(item)
		primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
		l := Language(primary)
		if primary == "*" {
			l = English
		}
		if q > weight && slices.Contains(Languages(), l) {
			best, weight = l, q
		}
	}
	return best
}

// weighed reads "ko-KR;q=0.8". What is not a weight is 0.
func weighed(item string) (tag string, q float64) {
	tag, rest, given := strings.Cut(strings.TrimSpace(item), ";")
	if !given {
		return strings.TrimSpace(tag), 1
	}
	_, number, _ := strings.Cut(rest, "q=")
	q, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || q < 0 || q > 1 {
		q = 0
	}
	return strings.TrimSpace(tag), q
}
