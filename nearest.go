package nes

import (
	"strings"
	"unicode/utf8"
)

// Nearest returns the word of known that name is most likely a slip of, or "" when
// none is near: about a third of the letters may differ. Case does not count.
func Nearest(name string, known []string) string {
	best, least := "", -1
	for _, k := range known {
		d := distance(strings.ToLower(name), strings.ToLower(k))
		if d <= slips(name, k) && (least < 0 || d < least) {
			best, least = k, d
		}
	}
	return best
}

// slips is how many differences still make one name a slip of another.
func slips(a, b string) int {
	n := max(utf8.RuneCountInString(a), utf8.RuneCountInString(b))
	if n < 2 {
		return 0
	}
	return max(1, n/3)
}

// distance counts the insertions, deletions, replacements and swaps of neighbours
// that lead from a to b.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	before, prev, cur := make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(s); i++ {
		cur[0] = i
		for j := 1; j <= len(t); j++ {
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost(s[i-1] != t[j-1]))
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(t)]
}

func cost(differ bool) int {
	if differ {
		return 1
	}
	return 0
}
