package viewer

import (
	"bytes"
	"context"
	"encoding/json"
	"sort"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/internal/nbformat"
	"github.com/nes-run/nes/internal/parameters"
	"github.com/nes-run/nes/viewer/notebook"
)

// parameter of a run, beside the notebook's default and the run before.
type parameter struct {
	Name, Value string
	From, Type  string // as it was given and what it was made, where these differ
	Default     string // the notebook's own, where it is another
	Before      string // in the run before, where it was another
	Given       bool   // else the default holds
	Help        string // the notebook's own word on it
}

// parametersOf lists the run's parameters, and the notebook's defaults where none was given, by name.
func parametersOf(run nes.Run, declared []parameters.Parameter, before *nes.Run) []parameter {
	given, earlier := givenTo(&run), givenTo(before)
	var list []parameter
	known := map[string]bool{}
	for _, d := range declared {
		known[d.Name] = true
		p := parameter{Name: d.Name, Help: d.Help}
		value, ok := given[d.Name]
		if ok {
			p.Value, p.Given = compact(value), true
			if d.Source != "" && !(d.Default != nil && sameJSON(d.Default, value)) {
				p.Default = cut(d.Source)
			}
		} else {
			p.Value = cut(d.Source)
		}
		if was, now := effective(d, earlier), effective(d, given); before != nil && was != "" && was != now {
			p.Before = was
		}
		list = append(list, p)
	}
	for name, value := range given {
		if known[name] {
			continue
		}
		p := parameter{Name: name, Value: compact(value), Given: true}
		if was, ok := earlier[name]; ok && !sameJSON(was, value) {
			p.Before = compact(was)
		}
		list = append(list, p)
	}
	for i := range list {
		for _, c := range run.Conversions {
			if c.Name == list[i].Name {
				list[i].From, list[i].Type = compact(c.From), c.Type
			}
		}
	}
	sort.SliceStable(list, func(i, j int) bool {
		if list[i].Given != list[j].Given {
			return list[i].Given
		}
		return list[i].Name < list[j].Name
	})
	return list
}

// effective is the value that a declared parameter has: what was given, or else its default.
func effective(d parameters.Parameter, given map[string]json.RawMessage) string {
	if v, ok := given[d.Name]; ok {
		return compact(v)
	}
	if d.Default != nil {
		return compact(d.Default)
	}
	return cut(d.Source)
}

// givenTo are a run's parameters, after conversion where that is done.
func givenTo(run *nes.Run) map[string]json.RawMessage {
	if run == nil {
		return nil
	}
	if run.Parameters != nil {
		return run.Parameters
	}
	return run.Spec.Parameters
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

// declaredIn reads what the notebook's parameters cell declares.
func declaredIn(x *notebook.Index) []parameters.Parameter {
	for i := range x.Cells {
		c := &x.Cells[i]
		if !c.HasTag("parameters") {
			continue
		}
		language, _ := json.Marshal(map[string]string{"name": x.Language})
		nb := nbformat.Notebook{
			Metadata: map[string]json.RawMessage{"language_info": language},
			Cells:    []nbformat.Cell{{Type: nbformat.Code, Source: c.Source, Metadata: map[string]json.RawMessage{"tags": json.RawMessage(`["parameters"]`)}}},
		}
		return parameters.Inspect(&nb).Parameters
	}
	return nil
}

// before returns the run of the same notebook before this one that fits the filter's further wishes; nil where there is none.
func (v *viewer) before(ctx context.Context, run *nes.Run, wish nes.RunFilter) (*nes.Run, error) {
	if run.Source == nil {
		return nil, nil
	}
	wish.Teams = access.From(ctx).Teams()
	wish.Repository, wish.Notebook = run.Source.Repository, run.Source.Path
	wish.Cursor, wish.Limit = string(run.ID), 1
	found, err := v.Runs.Runs(ctx, wish)
	if err != nil || len(found.Runs) == 0 {
		return nil, err
	}
	return &found.Runs[0], nil
}
