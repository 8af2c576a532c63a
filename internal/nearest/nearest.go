// Package nearest finds, among known names, those that somebody who mistyped one may have meant.
package nearest

import (
	"cmp"
	"slices"
	"strings"
)

// maxCandidates bounds the work of one search.
const maxCandidates = 5_000

// To returns up to limit of names, nearest first. Case counts little; a name
// that shares less than half with given is not returned.
func To(given string, names []string, limit int) []string {
	type scored struct {
		name string
		cost int
	}
	var near []scored
	folded := fold(given)
	for _, name := range names[:min(len(names), maxCandidates)] {
		other := fold(name)
		long := max(len(folded), len(other))
		if 2*(long-min(len(folded), len(other))) > long {
			continue // the difference in length alone is too much
		}
		if d := distance(folded, other); 2*d <= long {
			near = append(near, scored{name, d})
		}
	}
	slices.SortFunc(near, func(a, b scored) int {
		return cmp.Or(cmp.Compare(a.cost, b.cost), strings.Compare(a.name, b.name))
	})
	var out []string
	for _, s := range near[:min(len(near), limit)] {
		out = append(out, s.name)
	}
	return out
}

// fold returns the first 200 characters in lower case.
func fold(s string) []rune {
	r := []rune(strings.ToLower(s))
	return r[:min(len(r), 200)]
}

// distance is the number of single characters to insert, delete or replace.
func distance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j := range b {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
