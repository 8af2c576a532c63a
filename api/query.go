package api

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/ledger"
)

// maxWait is the longest a call may ask to be held.
const maxWait = 60 * time.Second

// query reads the parameters of an address and collects what is wrong with them.
type query struct {
	values   url.Values
	known    []string
	problems []nes.Problem
}

func queryOf(c echo.Context) *query { return &query{values: c.QueryParams()} }

func (q *query) add(name, format string, args ...any) {
	q.problems = append(q.problems, nes.Problem{Field: name, Message: fmt.Sprintf(format, args...)})
}

// err lists what is wrong, parameters that nobody asked for included.
func (q *query) err() error {
	for name := range q.values {
		if slices.Contains(q.known, name) {
			continue
		}
		message := "is no parameter of this call"
		if near := nes.Nearest(name, q.known); near != "" {
			message += fmt.Sprintf("; did you mean %q?", near)
		}
		q.add(name, "%s", message)
	}
	slices.SortFunc(q.problems, func(a, b nes.Problem) int { return strings.Compare(a.Field, b.Field) })
	return nes.Invalid(q.problems)
}

// all returns every value of a parameter.
func (q *query) all(name string) []string {
	q.known = append(q.known, name)
	return q.values[name]
}

// text returns the only value of a parameter.
func (q *query) text(name string) string {
	values := q.all(name)
	if len(values) > 1 {
		q.add(name, "is given %d times", len(values))
	}
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// number returns a whole number between 0 and limit, 0 when it is not given.
func (q *query) number(name string, limit int64) int64 {
	s := q.text(name)
	if s == "" {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > limit {
		q.add(name, "must be a whole number between 0 and %d", limit)
	}
	return n
}

// flag returns whether a parameter is set: alone, or to true.
func (q *query) flag(name string) bool {
	s := q.text(name)
	if _, given := q.values[name]; given && s == "" {
		return true
	}
	on, err := strconv.ParseBool(s)
	if s != "" && err != nil {
		q.add(name, "must be true or false")
	}
	return on
}

// wait returns how long the call may be held, at most [maxWait].
func (q *query) wait(name string) time.Duration {
	s := q.text(name)
	if s == "" {
		return 0
	}
	d, err := nes.ParseDuration(s)
	if err != nil {
		q.add(name, "%v", err)
	}
	return min(d.Std(), maxWait)
}

// words returns the values of a parameter that may be repeated or hold several words with commas, each of them known.
func words[W ~string](q *query, name string, known []W) []W {
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = string(k)
	}
	var out []W
	for _, value := range q.all(name) {
		for word := range strings.SplitSeq(value, ",") {
			if !slices.Contains(names, word) {
				message := "there is no " + name + " " + strconv.Quote(word)
				if near := nes.Nearest(word, names); near != "" {
					message += fmt.Sprintf("; did you mean %q?", near)
				}
				q.add(name, "%s", message)
				continue
			}
			out = append(out, W(word))
		}
	}
	return out
}

// pairs returns the values of a parameter that is written name=value and may be repeated.
func (q *query) pairs(name string) map[string]string {
	var out map[string]string
	for _, value := range q.all(name) {
		left, right, found := strings.Cut(value, "=")
		if !found || left == "" {
			q.add(name, "must be written %s=<name>=<value>", name)
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[left] = right
	}
	return out
}

// instant returns a point in time: as RFC 3339 writes it, a date, or how long ago it was.
func (q *query) instant(name string, now time.Time) time.Time {
	s := q.text(name)
	if s == "" {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t
		}
	}
	d, err := nes.ParseDuration(s)
	if err != nil {
		q.add(name, "must be a time such as 2026-01-31T08:00:00Z, a date, or how long ago, such as 24h")
	}
	return now.Add(-d.Std())
}

// filter reads what the lists of runs have in common.
func (q *query) filter(now time.Time) ledger.Filter {
	return ledger.Filter{
		Status:     words(q, "status", nes.Statuses()),
		Reason:     words(q, "reason", reasons()),
		Repository: q.text("repository"),
		Notebook:   q.text("notebook"),
		Commit:     q.text("commit"),
		Group:      q.text("group"),
		Owner:      q.text("owner"),
		TaskKey:    q.text("task_key"),
		Parent:     nes.RunID(q.text("parent")),
		Labels:     q.pairs("label"),
		Parameters: q.pairs("parameter"),
		Text:       q.text("text"),
		Since:      q.instant("since", now),
		Until:      q.instant("until", now),
	}
}

func reasons() []nes.Reason {
	var all []nes.Reason
	for _, row := range nes.Reasons() {
		if row.Reason != "" {
			all = append(all, row.Reason)
		}
	}
	return all
}
