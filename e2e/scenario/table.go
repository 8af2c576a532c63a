package scenario

import (
	"fmt"
	"strings"
)

// Table shows scenarios and the ends that they want as a table for people, in Markdown.
func Table(all []Scenario) string {
	var b strings.Builder
	b.WriteString("| scenario | what must hold | what happens meanwhile | end |\n|---|---|---|---|\n")
	for _, s := range all {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Name, cell(s.About), cell(s.meanwhile()), cell(s.Want.end()))
	}
	return b.String()
}

// meanwhile is what the steps do, in words.
func (s *Scenario) meanwhile() string {
	var done []string
	for _, step := range s.Steps {
		switch {
		case step.Stage != "":
			done = append(done, fmt.Sprintf("%s while %s", step.Do, step.Stage))
		default:
			done = append(done, step.Do)
		}
	}
	return strings.Join(done, ", ")
}

// end is how the run must end, in words.
func (w Want) end() string {
	if len(w.Refused) > 0 {
		return "refused"
	}
	end := strings.TrimSpace(w.Status + " " + w.Reason)
	if len(w.Attempts) > 0 {
		end += " after " + strings.Join(w.Attempts, ", ")
	}
	if len(w.Cells) > 0 {
		end += ": " + strings.Join(runs(w.Cells), ", ")
	}
	return end
}

// runs counts equal words that follow on each other.
func runs(words []string) []string {
	var out []string
	for i := 0; i < len(words); {
		n := 1
		for i+n < len(words) && words[i+n] == words[i] {
			n++
		}
		if n > 1 {
			out = append(out, fmt.Sprintf("%d %s", n, words[i]))
		} else {
			out = append(out, words[i])
		}
		i += n
	}
	return out
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
