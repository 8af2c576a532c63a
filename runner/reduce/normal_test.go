package reduce_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What differs from one execution to the next.
var fleeting = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`0x[0-9a-f]{6,}`), "0xADDRESS"},
	{regexp.MustCompile(`[0-9a-f]{32}\b`), "MODEL"},
	{regexp.MustCompile(`/tmp/ipykernel_\d+/\d+\.py`), "/tmp/ipykernel.py"},
	{regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "UUID"},
	{regexp.MustCompile(`\b[0-9a-f]{8}_[0-9a-f]{4,32}\b`), "REQUEST"},
	{regexp.MustCompile(`\d+(\.\d+)? [mµn]?s ± .*`), "TIMING"},
}

// normal is a notebook without what differs from one execution to the next, and without the differences between
// papermill's notebooks and ours that docs/reducer.md lists.
func normal(t testing.TB, raw []byte, ids bool) any {
	t.Helper()
	var nb map[string]any
	require.NoError(t, json.Unmarshal(raw, &nb), "%.2000s", raw)
	delete(nb["metadata"].(map[string]any), "nes")
	normalPapermill(nb["metadata"])
	pm := nb["metadata"].(map[string]any)["papermill"].(map[string]any)
	delete(pm, "input_path")
	delete(pm, "output_path")
	normalWidgets(nb["metadata"].(map[string]any))
	var cells []any
	for _, c := range nb["cells"].([]any) {
		if c := c.(map[string]any); !isBanner(c) {
			cells = append(cells, normalCell(c, ids))
		}
	}
	nb["cells"] = cells
	return plain(nb)
}

func isBanner(c map[string]any) bool {
	tags, _ := c["metadata"].(map[string]any)["tags"].([]any)
	return slices.Contains(tags, any("papermill-error-cell-tag"))
}

func normalCell(c map[string]any, ids bool) map[string]any {
	if !ids {
		delete(c, "id")
	}
	m := c["metadata"].(map[string]any)
	delete(m, "nes")
	normalPapermill(m)
	if e, ok := m["execution"].(map[string]any); ok {
		for k := range e {
			e[k] = "TIME"
		}
	}
	c["source"] = joinLines(c["source"])
	if outputs, ok := c["outputs"].([]any); ok {
		c["outputs"] = normalOutputs(outputs)
	}
	return c
}

// normalPapermill keeps whether there is a time, and not which.
func normalPapermill(metadata any) {
	pm, _ := metadata.(map[string]any)["papermill"].(map[string]any)
	for _, k := range []string{"start_time", "end_time", "duration"} {
		if pm[k] != nil {
			pm[k] = "TIME"
		}
	}
}

func normalOutputs(outputs []any) []any {
	merged := []any{}
	for _, o := range outputs {
		o := o.(map[string]any)
		if data, ok := o["data"].(map[string]any); ok {
			for k, v := range data {
				data[k] = joinLines(v)
			}
		}
		if o["output_type"] == "stream" {
			o["text"] = joinLines(o["text"])
			if last := len(merged) - 1; last >= 0 && merged[last].(map[string]any)["name"] == o["name"] {
				before := merged[last].(map[string]any)
				before["text"] = before["text"].(string) + o["text"].(string)
				continue
			}
		}
		merged = append(merged, o)
	}
	return merged
}

func joinLines(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	var b strings.Builder
	for _, line := range list {
		s, ok := line.(string)
		if !ok {
			return v
		}
		b.WriteString(s)
	}
	return b.String()
}

// normalWidgets lists the models by what they hold, as their ids are new every time.
func normalWidgets(metadata map[string]any) {
	widgets, ok := metadata["widgets"].(map[string]any)
	if !ok {
		return
	}
	state, ok := widgets["application/vnd.jupyter.widget-state+json"].(map[string]any)
	if !ok {
		return
	}
	models := []string{}
	for _, m := range state["state"].(map[string]any) {
		held, _ := m.(map[string]any)["state"].(map[string]any)
		if outputs, ok := held["outputs"].([]any); ok {
			held["outputs"] = normalOutputs(outputs)
		}
		raw, _ := json.Marshal(plain(m))
		models = append(models, string(raw))
	}
	slices.Sort(models)
	state["state"] = models
}

// plain replaces what is fleeting in all texts.
func plain(v any) any {
	switch v := v.(type) {
	case string:
		for _, f := range fleeting {
			v = f.pattern.ReplaceAllString(v, f.with)
		}
		return v
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	}
	return v
}

func pretty(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.MarshalIndent(v, "", " ")
	require.NoError(t, err)
	return string(raw) + "\n"
}

// forgiveStreams puts stdout before stderr where one follows the other: ipykernel flushes them by timers of their own, so
// which of two neighbours comes first differs from one execution to the next. What each of them says stays as it is.
func forgiveStreams(nb any) {
	for _, c := range nb.(map[string]any)["cells"].([]any) {
		outputs, ok := c.(map[string]any)["outputs"].([]any)
		if !ok {
			continue
		}
		name := func(o any) string { text, _ := o.(map[string]any)["name"].(string); return text }
		var calm []any
		for len(outputs) > 0 {
			n := slices.IndexFunc(outputs, func(o any) bool { return o.(map[string]any)["output_type"] != "stream" })
			switch n {
			case 0:
				n = 1
			case -1:
				n = len(outputs)
				fallthrough
			default:
				slices.SortStableFunc(outputs[:n], func(a, b any) int { return strings.Compare(name(b), name(a)) })
			}
			calm, outputs = append(calm, outputs[:n]...), outputs[n:]
		}
		if len(calm) > 0 {
			c.(map[string]any)["outputs"] = normalOutputs(calm)
		}
	}
}

func TestForgiveStreams(t *testing.T) {
	t.Parallel()
	nb := func(outputs string) any {
		var v any
		require.NoError(t, json.Unmarshal([]byte(`{"cells": [{"cell_type": "markdown"}, {"outputs": [`+outputs+`]}]}`), &v))
		forgiveStreams(v)
		return v
	}
	stream := func(name, text string) string {
		return `{"output_type": "stream", "name": "` + name + `", "text": "` + text + `"}`
	}
	out, errs, other := stream("stdout", "a"), stream("stderr", "b"), `{"output_type": "display_data", "data": {}}`
	require.Equal(t, nb(out+","+errs), nb(errs+","+out))
	require.Equal(t, nb(stream("stdout", "aa")+","+errs), nb(out+","+errs+","+out), "what a flush cut in two is one")
	require.NotEqual(t, nb(out+","+other+","+errs), nb(errs+","+other+","+out), "a display between them has its place")
	require.NotEqual(t, nb(stream("stdout", "ab")), nb(out+","+errs))
}
