package parameters_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/nbformat"
	"github.com/nes-run/nes/internal/parameters"
)

// ruled is the schema of a notebook with one parameters cell and, where it is not empty, a JSON Schema.
func ruled(t testing.TB, language, cell, jsonSchema string) parameters.Schema {
	t.Helper()
	metadata := fmt.Sprintf(`{"kernelspec": {"name": "k", "language": %q}`, language)
	if jsonSchema != "" {
		metadata += `, "nes": {"parameters": ` + jsonSchema + `}`
	}
	source, err := json.Marshal(cell)
	require.NoError(t, err)
	text := `{"nbformat": 4, "nbformat_minor": 4, "metadata": ` + metadata + `}, "cells": [
		{"cell_type": "code", "metadata": {"tags": ["parameters"]}, "outputs": [], "execution_count": null, "source": ` + string(source) + `}]}`
	nb, err := nbformat.Read(strings.NewReader(text), 1<<20)
	require.NoError(t, err)
	return parameters.Inspect(nb)
}

// given are parameters as a caller sends them.
func given(t testing.TB, text string) map[string]json.RawMessage {
	t.Helper()
	var values map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(text), &values))
	return values
}

// problemsOf are the fields and messages for which values are refused.
func problemsOf(t testing.TB, s parameters.Schema, values string) []string {
	t.Helper()
	_, _, err := parameters.Fit(s, given(t, values))
	if err == nil {
		return nil
	}
	var e *nes.Error
	require.ErrorAs(t, err, &e)
	var all []string
	for _, p := range e.Problems {
		all = append(all, p.Field+" "+p.Message)
	}
	require.NotEmpty(t, all)
	return all
}

func TestRulesInComments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, language, cell string
		want                 string // the parameter, without its name and source
		note                 string
	}{
		{"choices of text", "python", `region = "seoul"  # where from [choices: seoul, busan, 제주]`,
			`{"type":"str","inferred":true,"default":"seoul","choices":["seoul","busan","제주"],"help":"where from"}`, ""},
		{"choices in quotes may hold blanks", "python", `r = "a"  # [choices: 'a b', "c"]`, `{"type":"str","inferred":true,"default":"a","choices":["a b","c"]}`, ""},
		{"choices of numbers", "python", `n: int = 1  # [choices: 1, 2, 1_000]`, `{"type":"int","default":1,"choices":[1,2,1000]}`, ""},
		{"choices without a type", "python", `x = f()  # [choices: 1, two, None]`, `{"choices":[1,"two",null]}`, ""},
		{"range", "python", `days: int = 7  # how far back [range: 1..90]`, `{"type":"int","default":7,"minimum":1,"maximum":90,"help":"how far back"}`, ""},
		{"range open above", "python", `x = 0.5  # [range: 0 ..]`, `{"type":"float","inferred":true,"default":0.5,"minimum":0.0}`, ""},
		{"range open below", "python", `x = -3  # [range: ..-1]`, `{"type":"int","inferred":true,"default":-3,"maximum":-1}`, ""},
		{"range of dates", "python", `from datetime import date
day: date = "2024-01-31"  # [range: 2024-01-01..2024-12-31]`, `{"type":"date","default":"2024-01-31","minimum":"2024-01-01","maximum":"2024-12-31"}`, ""},
		{"two rules", "python", `n = 2  # even [range: 0..8] [choices: 2, 4]`, `{"type":"int","inferred":true,"default":2,"choices":[2,4],"minimum":0,"maximum":8,"help":"even"}`, ""},
		{"R", "r", `region <- "seoul"  # from [choices: seoul, busan]`, `{"type":"str","inferred":true,"default":"seoul","choices":["seoul","busan"],"help":"from"}`, ""},
		{"Julia", "julia", `days::Int = 7  # back [range: 1..90]`, `{"type":"int","default":7,"minimum":1,"maximum":90,"help":"back"}`, ""},
		{"after a type in a comment", "python", `n = 1  # type: int how many [range: 1..3]`, `{"type":"int","default":1,"minimum":1,"maximum":3,"help":"how many"}`, ""},

		{"not at the end", "python", `n = 1  # [range: 1..3] or so`, `{"type":"int","inferred":true,"default":1,"help":"[range: 1..3] or so"}`, ""},
		{"ordinary brackets", "python", `n = 1  # seconds [s]`, `{"type":"int","inferred":true,"default":1,"help":"seconds [s]"}`, ""},
		{"a choice of another type", "python", `n: int = 1  # [choices: 1, two]`, `{"type":"int","default":1,"help":"[choices: 1, two]"}`, `n: [choices: 1, two] is not used: "two" is no int`},
		{"an empty choice", "python", `n = "a"  # [choices: a,]`, `{"type":"str","inferred":true,"default":"a","help":"[choices: a,]"}`, `n: [choices: a,] is not used: "" is no str`},
		{"a range of text", "python", `n = "a"  # [range: a..b]`, `{"type":"str","inferred":true,"default":"a","help":"[range: a..b]"}`, `n: [range: a..b] is not used: a range is of an int, a float or a date`},
		{"a range backwards", "python", `n = 1  # [range: 9..1]`, `{"type":"int","inferred":true,"default":1,"help":"[range: 9..1]"}`, `n: [range: 9..1] is not used: it is empty`},
		{"a range of words", "python", `n = 1  # [range: low..high]`, `{"type":"int","inferred":true,"default":1,"help":"[range: low..high]"}`, `n: [range: low..high] is not used: "low" is no int`},
		{"no range at all", "python", `n = 1  # [range: 3]`, `{"type":"int","inferred":true,"default":1,"help":"[range: 3]"}`, `n: [range: 3] is not used: a range is written 1..90, 1.. or ..90`},
		{"a number that is no date", "python", `from datetime import date
d: date = "2024-01-01"  # [range: 2024-02-30..]`, `{"type":"date","default":"2024-01-01","help":"[range: 2024-02-30..]"}`, `d: [range: 2024-02-30..] is not used: "2024-02-30" is no date`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := ruled(t, c.language, c.cell, "")
			require.True(t, s.Declared)
			p := s.Parameters[len(s.Parameters)-1]
			p.Name, p.Source = "", ""
			have, err := json.Marshal(p)
			require.NoError(t, err)
			require.JSONEq(t, `{"name":"","source":"",`+c.want[1:], string(have))
			if c.note == "" {
				require.Empty(t, s.Notes)
			} else {
				require.Equal(t, []string{c.note}, s.Notes)
			}
		})
	}
}

func TestValuesWithinRules(t *testing.T) {
	t.Parallel()
	s := ruled(t, "python", `
from datetime import date, datetime
days: int = 7          # [range: 1..90]
share = 0.5            # [range: 0..1]
hint = 3               # [range: 0..10]
day: date = "2024-05-01"  # [range: 2024-01-01..2024-12-31]
top: int = 1           # [range: ..5]
region = "seoul"       # [choices: seoul, busan]
maybe: int | None = 3  # [range: 1..]
`, "")
	require.Empty(t, s.Notes)
	for _, c := range []struct{ values, problem string }{
		{`{"days": 1, "share": 0, "top": -400, "region": "busan"}`, ""},
		{`{"days": "90", "share": 1.0, "day": "2024-12-31"}`, ""},
		{`{"day": "2024-01-01T00:00:00+00:00"}`, ""},
		{`{"day": "2024-06-01 12:30"}`, ""},
		{`{"hint": 9.5}`, ""},
		{`{"maybe": null}`, ""},
		{`{"days": 0}`, "parameters.days 0 is outside of what the notebook takes: 1 to 90"},
		{`{"days": "91"}`, "parameters.days 91 is outside of what the notebook takes: 1 to 90"},
		{`{"share": 1.0000001}`, "parameters.share 1.0000001 is outside of what the notebook takes: 0.0 to 1.0"},
		{`{"hint": 10.5}`, "parameters.hint 10.5 is outside of what the notebook takes: 0 to 10"},
		{`{"top": 6}`, "parameters.top 6 is outside of what the notebook takes: at most 5"},
		{`{"maybe": 0}`, "parameters.maybe 0 is outside of what the notebook takes: 1 or more"},
		{`{"day": "2025-01-01"}`, `parameters.day "2025-01-01" is outside of what the notebook takes: 2024-01-01 to 2024-12-31`},
		{`{"day": "tomorrow"}`, `parameters.day "tomorrow" is no date such as 2024-01-31, and the notebook takes 2024-01-01 to 2024-12-31`},
		{`{"region": "tokyo"}`, `parameters.region "tokyo" is not one of the notebook's choices: "seoul", "busan"`},
	} {
		problems := problemsOf(t, s, c.values)
		if c.problem == "" {
			require.Empty(t, problems, c.values)
			continue
		}
		require.Equal(t, []string{c.problem}, problems, c.values)
	}
	require.Len(t, problemsOf(t, s, `{"days": 0, "region": "x", "top": 99}`), 3, "all at once")
}

// Whatever stands in brackets, reading it neither fails nor takes away a word of the help that is not a rule.
func FuzzRules(f *testing.F) {
	for _, seed := range []string{"[choices: a, b]", "[range: 1..2]", "[range: ..]", "[choices:]", "[[range: 1..2]]", "[range: 1e999..2]", "[range: 1..1e400]", "[choices: '\\', b]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, comment string) {
		comment = strings.Map(func(r rune) rune {
			if r == '\n' || r == '\r' {
				return -1
			}
			return r
		}, comment)
		s := ruled(t, "python", "n = 1  # "+strings.ToValidUTF8(comment, ""), "")
		for _, p := range s.Parameters {
			for _, v := range append(p.Choices, p.Default) {
				require.True(t, v == nil || json.Valid(v), "%s", v)
			}
			_, _, _ = parameters.Fit(s, map[string]json.RawMessage{p.Name: json.RawMessage("5")})
		}
	})
}
