package viewer

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
)

// filterNames are the parts of a list's address that choose runs, in the order in which they are shown.
var filterNames = []string{"q", "status", "reason", "notebook", "repository", "owner", "group", "label", "parameter", "since", "until"}

// filterOf reads what a list is to show. An address that asks for what cannot be is named as such.
func (v *viewer) filterOf(r *http.Request) (nes.RunFilter, error) {
	q := r.URL.Query()
	var problems []nes.Problem
	f := nes.RunFilter{
		Teams: access.From(r.Context()).Teams(), Text: word(q, "q"), Group: word(q, "group"), Notebook: word(q, "notebook"),
		Repository: word(q, "repository"), Owner: word(q, "owner"), Cursor: q.Get("cursor"), Limit: pageSize,
	}
	if f.Status = statusesOf(word(q, "status")); f.Status == nil && word(q, "status") != "" && word(q, "status") != tabs[0].word {
		problems = append(problems, nes.Problem{Field: "status", Message: "is no status"})
	}
	if reason := nes.Reason(word(q, "reason")); reason != "" {
		f.Reason = []nes.Reason{reason}
	}
	f.Labels, f.Parameters = pairs(q, "label", &problems), pairs(q, "parameter", &problems)
	for name, into := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		t, ok := instant(word(q, name), v.Now())
		if *into = t; !ok {
			problems = append(problems, nes.Problem{Field: name, Message: "must be a time such as 2026-01-31T08:00, a date, or how long ago, such as 24h"})
		}
	}
	return f, nes.Invalid(problems)
}

func word(q url.Values, name string) string { return strings.TrimSpace(q.Get(name)) }

// statusesOf reads a tab's word, or a status; nil is all, or a word that is none.
func statusesOf(word string) []nes.Status {
	for _, t := range tabs {
		if t.word == word {
			return t.status
		}
	}
	if slices.Contains(nes.Statuses(), nes.Status(word)) {
		return []nes.Status{nes.Status(word)}
	}
	return nil
}

// pairs reads the values that are written name=value.
func pairs(q url.Values, name string, problems *[]nes.Problem) map[string]string {
	var found map[string]string
	for _, text := range q[name] {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		left, right, ok := strings.Cut(text, "=")
		if !ok || left == "" {
			*problems = append(*problems, nes.Problem{Field: name, Message: "must be written name=value"})
			continue
		}
		if found == nil {
			found = map[string]string{}
		}
		found[left] = right
	}
	return found
}

// instant reads a point in time: written in full, to the minute, as a date, or how long ago it was. Empty is none.
func instant(text string, now time.Time) (time.Time, bool) {
	if text == "" {
		return time.Time{}, true
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	d, err := nes.ParseDuration(text)
	if err != nil {
		return time.Time{}, false
	}
	return now.Add(-d.Std()), true
}

// address is a list at path with q's filters, changed.
func address(path string, q url.Values, change func(url.Values)) string {
	c := url.Values{}
	for _, name := range filterNames {
		for _, value := range q[name] {
			if value != "" {
				c.Add(name, value)
			}
		}
	}
	change(c)
	if len(c) == 0 {
		return path
	}
	return path + "?" + c.Encode()
}

// keptOf lists the filters that are on, each with the address without it.
func keptOf(path string, q url.Values) (list []kept) {
	for _, name := range filterNames {
		if name == "q" || name == "status" {
			continue
		}
		for i, value := range q[name] {
			if strings.TrimSpace(value) == "" {
				continue
			}
			list = append(list, kept{name, value, address(path, q, func(c url.Values) {
				c[name] = slices.Delete(slices.Clone(q[name]), i, i+1)
				if len(c[name]) == 0 {
					c.Del(name)
				}
			})})
		}
	}
	return list
}

// choice is a field of the form of filters.
type choice struct {
	Name, Label, Value, Hint string
	Options                  []option // of a field that has a few values
}

type option struct {
	Value, Word string
	On          bool
}

// choices are the fields of the form, filled in as the address says.
func choices(q url.Values) []choice {
	reasons := []option{{"", "any", q.Get("reason") == ""}}
	for _, row := range nes.Reasons() {
		if row.Reason != "" {
			reasons = append(reasons, option{string(row.Reason), string(row.Reason), q.Get("reason") == string(row.Reason)})
		}
	}
	slices.SortFunc(reasons[1:], func(a, b option) int { return strings.Compare(a.Value, b.Value) })
	var list []choice
	for _, c := range []choice{
		{Name: "reason", Label: "Reason", Options: reasons},
		{Name: "notebook", Label: "Notebook", Hint: "daily/report.ipynb"},
		{Name: "repository", Label: "Repository", Hint: "github.com/acme/reports"},
		{Name: "owner", Label: "Caller"},
		{Name: "group", Label: "Group"},
		{Name: "label", Label: "Label", Hint: "name=value"},
		{Name: "parameter", Label: "Parameter", Hint: "name=value"},
		{Name: "since", Label: "Since", Hint: "24h, 2026-01-31"},
		{Name: "until", Label: "Until", Hint: "2h, 2026-02-01"},
	} {
		c.Value = q.Get(c.Name)
		list = append(list, c)
	}
	return list
}

// brief are a few of a run's parameters, as a line of a list shows them.
func brief(run *nes.Run) []string {
	given := givenTo(run)
	var list []string
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if len(list) == 4 {
			return append(list, "…")
		}
		list = append(list, name+"="+cutAt(compact(given[name]), 32))
	}
	sort.Strings(list)
	return list
}
