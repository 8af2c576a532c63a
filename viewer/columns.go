package viewer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/nes-run/nes"
)

// maxColumns is how many parameters, and how many results, a table of runs shows.
const maxColumns = 8

// columns of a table of runs: parameters and results by name.
type columns struct {
	Parameters, Results []string
}

// columnsOf finds the names that most runs have; parameters that are the same everywhere come last.
func columnsOf(runs []nes.Run) columns {
	parameters, results := map[string]map[string]int{}, map[string]map[string]int{}
	note := func(all map[string]map[string]int, name, value string) {
		if all[name] == nil {
			all[name] = map[string]int{}
		}
		all[name][value]++
	}
	for i := range runs {
		for name, value := range givenTo(&runs[i]) {
			note(parameters, name, compact(value))
		}
		for name, value := range resultsOf(&runs[i]) {
			note(results, name, value)
		}
	}
	return columns{ranked(parameters), ranked(results)}
}

func ranked(all map[string]map[string]int) []string {
	names := slices.Sorted(maps.Keys(all))
	total := func(name string) (n int) {
		for _, c := range all[name] {
			n += c
		}
		return n
	}
	slices.SortStableFunc(names, func(a, b string) int {
		if varied := (len(all[b]) > 1) != (len(all[a]) > 1); varied {
			if len(all[a]) > 1 {
				return -1
			}
			return 1
		}
		return total(b) - total(a)
	})
	return names[:min(len(names), maxColumns)]
}

// cells are a run's values in the order of the columns.
func (c columns) cells(run *nes.Run) (parameters, results []string) {
	given, found := givenTo(run), resultsOf(run)
	for _, name := range c.Parameters {
		value := ""
		if raw, ok := given[name]; ok {
			value = cutAt(strings.Trim(compact(raw), `"`), 40)
		}
		parameters = append(parameters, value)
	}
	for _, name := range c.Results {
		results = append(results, cutAt(found[name], 40))
	}
	return parameters, results
}

// numeric lists the results that are numbers in some run.
func (c columns) numeric(runs []nes.Run) (names []string) {
	for _, name := range c.Results {
		if slices.ContainsFunc(runs, func(r nes.Run) bool {
			_, err := strconv.ParseFloat(resultsOf(&r)[name], 64)
			return err == nil
		}) {
			names = append(names, name)
		}
	}
	return names
}

// resultsOf are the parts of a run's result that fit into a cell: its scalars by name, those of objects in it as "a.b", and a
// result that is one scalar as "result".
func resultsOf(run *nes.Run) map[string]string {
	if run.Outcome == nil || len(run.Outcome.Result) == 0 {
		return nil
	}
	found := map[string]string{}
	addScalars(found, "", run.Outcome.Result, 0)
	return found
}

const (
	maxResults = 64 // of one run
	maxNested  = 3
)

func addScalars(into map[string]string, name string, raw json.RawMessage, depth int) {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) == nil && object != nil {
		if depth >= maxNested {
			return
		}
		for _, key := range slices.Sorted(maps.Keys(object)) {
			inner := key
			if name != "" {
				inner = name + "." + key
			}
			addScalars(into, inner, object[key], depth+1)
		}
		return
	}
	text := strings.TrimSpace(string(raw))
	if text == "" || text == "null" || text[0] == '[' || len(into) >= maxResults {
		return
	}
	if name == "" {
		name = "result"
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		text = s
	}
	into[name] = text
}

// value of a measure in a run; false where it has none.
func measured(run *nes.Run, measure string) (float64, bool) {
	if measure == "duration" {
		if !run.Ended() || run.StartedAt == nil {
			return 0, false
		}
		seconds, _, _ := took(*run)
		return seconds, true
	}
	n, err := strconv.ParseFloat(resultsOf(run)[measure], 64)
	return n, err == nil && n-n == 0 // neither infinite nor not a number
}

func figure(n float64, measure string) string {
	if measure == "duration" {
		return fmt.Sprintf("%.1f s", n)
	}
	return strconv.FormatFloat(n, 'g', 6, 64)
}
