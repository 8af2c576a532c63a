package viewer

import (
	"bytes"
	"encoding/json"
	"html/template"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/viewer/render"
	"github.com/nes-run/nes/viewer/words"
)

// functions are what templates can call in a language.
func functions(l words.Language, prefix string) template.FuncMap {
	return template.FuncMap{
		"t":        l.Say,
		"badge":    badgeOf,
		"name":     runName,
		"folder":   folder,
		"short":    short,
		"iso":      func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") },
		"clock":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"seconds":  render.Seconds,
		"size":     render.Size,
		"compact":  compact,
		"indented": indented,
		"contains": strings.Contains,
		"notebook": notebookAddress,
		"path":     escaped,
		"runs":     func(id nes.RunID) string { return prefix + "/runs/" + string(id) },
		"dict":     dict,
		"bare":     func(raw json.RawMessage) string { return strings.Trim(string(raw), `"`) },
	}
}

// badge is a run's state as people are shown it.
type badge struct{ Class, Sign, Word string }

// badgeOf reads a run's state. Cancelled and skipped runs are called so, whatever their status.
func badgeOf(r nes.Run) badge {
	switch {
	case r.Reason == nes.ReasonCancelled:
		return badge{"cancelled", "⊘", "Cancelled"}
	case r.Reason == nes.ReasonSkipped:
		return badge{"cancelled", "↷", "Skipped"}
	}
	switch r.Status {
	case nes.StatusSucceeded:
		return badge{"ok", "✓", "Succeeded"}
	case nes.StatusFailed:
		return badge{"failed", "✗", "Failed"}
	case nes.StatusError:
		return badge{"error", "!", "Error"}
	case nes.StatusRunning:
		if r.CancelRequestedAt != nil {
			return badge{"running", "●", "Cancelling"}
		}
		if r.Stage == nes.StageSaving {
			return badge{"running", "●", "Saving"}
		}
		return badge{"running", "●", "Running"}
	}
	return badge{"pending", "○", stageWord(r)}
}

func stageWord(r nes.Run) string {
	if r.CancelRequestedAt != nil {
		return "Cancelling"
	}
	switch r.Stage {
	case nes.StageQueued:
		return "Queued"
	case nes.StageFetching:
		return "Fetching"
	case nes.StageWaiting:
		return "Waiting"
	case nes.StageScheduling, nes.StageStarting:
		return "Starting"
	}
	return "Pending"
}

// stageMeaning says what a run that is under way waits for.
func stageMeaning(s nes.Stage) string {
	switch s {
	case nes.StageQueued:
		return "It waits for its turn."
	case nes.StageFetching:
		return "Its source is being fetched and checked."
	case nes.StageWaiting:
		return "It is not ready yet, and will be started again."
	case nes.StageScheduling:
		return "It is being given a place to run."
	case nes.StageStarting:
		return "Its kernel is starting."
	case nes.StageSaving:
		return "The notebook is over; its record is being stored."
	}
	return ""
}

// notebookPath is the notebook's path in its repository, as far as it is known.
func notebookPath(r nes.Run) string {
	if r.Source != nil && r.Source.Path != "" {
		return r.Source.Path
	}
	address, _, _ := strings.Cut(r.Spec.InputURL, "?")
	if _, after, ok := strings.Cut(address, "#"); ok && strings.HasSuffix(after, ".ipynb") {
		return after
	}
	address, _, _ = strings.Cut(address, "#")
	return path.Base(address)
}

func runName(r nes.Run) string { return strings.TrimSuffix(path.Base(notebookPath(r)), ".ipynb") }

// folder is where the notebook is: repository and directory.
func folder(r nes.Run) string {
	if r.Source == nil {
		return r.Spec.InputURL
	}
	if dir := path.Dir(r.Source.Path); dir != "." {
		return r.Source.Repository + "/" + dir
	}
	return r.Source.Repository
}

// short cuts a commit to the digits that people quote.
func short(commit string) string { return commit[:min(len(commit), 8)] }

// compact writes a JSON value on one line, cut where it is long.
func compact(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		b.Reset()
		b.Write(raw)
	}
	return cut(b.String())
}

// cut shortens a long text.
func cut(text string) string { return cutAt(text, 160) }

func cutAt(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

// notebookAddress is the path, below the prefix, of the page of a run's notebook; empty while it is not known.
func notebookAddress(s *nes.Source) string {
	if s == nil || s.Repository == "" || s.Path == "" {
		return ""
	}
	return "/notebooks/" + escaped(s.Repository+"/-/"+s.Path)
}

// escaped writes a path for an address, slashes as they are.
func escaped(path string) string { return (&url.URL{Path: path}).EscapedPath() }

func indented(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return string(raw)
	}
	return b.String()
}

// took is the time a run has needed: since its first cell, or since it was submitted.
func took(r nes.Run) (seconds float64, since time.Time, live bool) {
	from := r.CreatedAt
	if r.StartedAt != nil {
		from = *r.StartedAt
	}
	if r.EndedAt == nil {
		return 0, from, r.StartedAt != nil
	}
	return max(0, r.EndedAt.Sub(from).Seconds()), from, false
}

// dict makes the data of a template that wants several things, each behind its name.
func dict(pairs ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}
