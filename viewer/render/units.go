package render

import (
	"fmt"
	"strings"
	"time"
)

// Seconds writes a time span as people read it: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min.
func Seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case s < 0.0005:
		return "0 s"
	case s < 0.1:
		return fmt.Sprintf("%d ms", max(1, d.Milliseconds()))
	case s < 9.95:
		return fmt.Sprintf("%.1f s", s)
	case s < 59.5:
		return fmt.Sprintf("%.0f s", s)
	}
	d = d.Round(time.Second)
	h, m, sec := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case h > 0:
		return fmt.Sprintf("%d h %d min", h, m)
	case sec == 0:
		return fmt.Sprintf("%d min", m)
	}
	return fmt.Sprintf("%d min %d s", m, sec)
}

// size writes a number of bytes as people read it.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000_000:
		return fmt.Sprintf("%.0f kB", float64(n)/1000)
	case n < 10_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n < 1000_000_000:
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// Size writes a number of bytes as people read it: 12 kB, 3.4 MB.
func Size(n int64) string { return size(n) }

func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// groups writes a count with thin spaces between thousands.
func groups(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}
