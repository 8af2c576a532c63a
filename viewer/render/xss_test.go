package render_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/viewer/notebook"
	"github.com/nes-run/nes/viewer/render"
)

// vectors are pieces of HTML that have run a script, sent a request, or taken over a page in some viewer of notebooks. The
// tests in a browser (e2e/pages) use the same file.
var vectors = readVectors()

func readVectors() (all []string) {
	raw, err := os.ReadFile("testdata/vectors.json")
	if err == nil {
		err = json.Unmarshal(raw, &all)
	}
	if err != nil {
		panic(err)
	}
	return append(all, strings.Repeat(`<div>`, 800)+`<img src=x onerror=alert(1)>`)
}

// places puts a vector wherever a notebook can hold text.
func places(v string) []any {
	svg := `<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1">` + v + `</svg>`
	return []any{
		markdown(v), markdown("# " + v + "\n\n| " + v + " |\n|---|\n| x |\n\n- " + v + "\n\n> " + v + "\n\n" + "[x](" + v + ") ![" + v + "](attachment:" + v + ") $" + v + "$\n\n$$" + v + "$$"),
		markdown("```" + v + "\n" + v + "\n```\n\n<" + v + ">\n\n[a]: " + v + "\n[a] `" + v + "`"),
		obj{"cell_type": "markdown", "id": v, "metadata": obj{"tags": []any{v}}, "source": "![x](attachment:" + v + ")", "attachments": obj{v: obj{v: v, "image/png": v}}},
		obj{"cell_type": v, "metadata": obj{"tags": []any{v}}, "source": v},
		obj{"cell_type": "raw", "metadata": obj{"raw_mimetype": v, "format": v}, "source": v},
		obj{"cell_type": "code", "id": v, "metadata": obj{"tags": []any{v}, "name": v, "papermill": obj{"status": v, "start_time": v}, "nes": obj{"status": v}},
			"source": v, "outputs": []any{
				stream(v), obj{"output_type": "stream", "name": v, "text": v}, stream("\x1b[31m" + v + "\x1b]8;;" + v + "\x07"),
				obj{"output_type": "error", "ename": v, "evalue": v, "traceback": []any{v, "\x1b[1m" + v}},
				obj{"output_type": v, "data": obj{"text/plain": v}},
				display(obj{"text/html": v}), display(obj{"text/html": v, "text/plain": v}), display(obj{"text/html": `<table class="dataframe">` + v + `</table>`}),
				display(obj{"text/markdown": v}), display(obj{"text/latex": v}), display(obj{"text/plain": v}), display(obj{v: v}),
				display(obj{"image/svg+xml": svg}), display(obj{"image/png": v}), display(obj{"image/png": base64.StdEncoding.EncodeToString([]byte(v))}),
				obj{"output_type": "display_data", "data": obj{"image/png": "aGk="}, "metadata": obj{"image/png": obj{"width": v, "height": v}}},
				display(obj{"application/javascript": v}), display(obj{"application/json": obj{v: v}}), display(obj{"application/vnd.plotly.v1+json": obj{"data": v}}),
				display(obj{"application/vnd.jupyter.widget-view+json": obj{"model_id": v}, "text/plain": v}),
				display(obj{"application/vnd." + v + "+json": v}), display(obj{"application/vnd.nes." + v + "+json": v}), display(obj{"application/pdf": v}),
			}},
	}
}

func TestNothingOfANotebookActsInThePage(t *testing.T) {
	t.Parallel()
	require.GreaterOrEqual(t, len(vectors), 60)
	for _, v := range vectors {
		t.Run(v[:min(len(v), 40)], func(t *testing.T) {
			t.Parallel()
			d := doc(t, places(v)...)
			d.Index.Language = v // as a lexer's name
			requireSafe(t, all(d))
			d.BodyBase, d.FrameBase = "", ""
			requireSafe(t, all(d))
		})
	}
}

// TestSanitisedTwiceIsTheSame: what is sanitised reads the same to whoever parses it next.
func TestSanitisedTwiceIsTheSame(t *testing.T) {
	t.Parallel()
	r := render.New()
	for _, v := range vectors {
		once := string(r.Markdown(doc(t, markdown("")), nil, v, "0-"))
		requireSafe(t, once)
		require.NotContains(t, strings.ToLower(once), "<script")
	}
}

func FuzzCell(f *testing.F) {
	for _, v := range vectors {
		f.Add(v)
	}
	f.Add("\x1b[38;5;300m\r\b\x1b[2K\x1b[10A\x1b]8;;x\x1b\\y")
	f.Add("| a |\n|:-:|\n| $x$ |\n\n- [x] y\n")
	f.Fuzz(func(t *testing.T, v string) {
		requireSafe(t, all(doc(t, places(v)...)))
	})
}

// FuzzNotebook renders whatever can be read as a notebook.
func FuzzNotebook(f *testing.F) {
	f.Add(`{"cells": [{"cell_type": "code", "outputs": [{"output_type": "display_data", "data": {"text/html": "<b>x"}}]}]}`)
	f.Add(`{"worksheets": [{"cells": [{"cell_type": "heading", "level": 99, "source": "x"}]}]}`)
	f.Fuzz(func(t *testing.T, file string) {
		if _, err := notebook.Parse(strings.NewReader(file)); err == nil {
			requireSafe(t, all(document(t, file)))
		}
	})
}
