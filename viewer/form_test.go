package viewer_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/internal/intake"
	"github.com/nes-run/nes/internal/nbformat"
	"github.com/nes-run/nes/internal/parameters"
	"github.com/nes-run/nes/viewer"
)

// asking is a house whose inspections find a notebook with this parameters cell.
func asking(t *testing.T, cell string) *house {
	t.Helper()
	source, err := json.Marshal(cell)
	require.NoError(t, err)
	nb, err := nbformat.Read(strings.NewReader(`{"nbformat": 4, "nbformat_minor": 4, "metadata": {"kernelspec": {"name": "python3", "language": "python"}}, "cells": [
		{"cell_type": "code", "metadata": {"tags": ["parameters"]}, "outputs": [], "execution_count": null, "source": `+string(source)+`}]}`), 1<<20)
	require.NoError(t, err)
	return newHouse(t, func(o *viewer.Options) {
		o.Inspect = func(_ context.Context, team, inputURL string) (intake.Inspection, error) {
			require.Equal(t, "local", team)
			switch {
			case strings.HasPrefix(inputURL, "ftp:"):
				return intake.Inspection{}, nes.Invalid([]nes.Problem{{Field: "input_url", Message: "the scheme <ftp> is not known"}})
			case strings.HasSuffix(inputURL, "gone.ipynb"):
				return intake.Inspection{}, nes.Fail(nes.ReasonSourceNotFound, "there is no gone.ipynb; nearest: going.ipynb")
			case strings.HasSuffix(inputURL, "broken.ipynb"):
				return intake.Inspection{}, errors.New("dial tcp 10.0.0.1: refused")
			}
			return intake.Inspection{
				Source: nes.Source{Repository: "github.com/acme/reports", Path: "daily.ipynb", Commit: strings.Repeat("ab", 20), Ref: "main"},
				Schema: parameters.Inspect(nb), KernelName: "python3", Cells: 7, Notes: []string{"lib is a <submodule>"},
			}, nil
		}
	})
}

const daily = "/new?url=https%3A%2F%2Fgithub.com%2Facme%2Freports%2Fblob%2Fmain%2Fdaily.ipynb"

func TestTheFormAsksForEachParameterInItsWay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, cell, want string }{
		{"int", "n: int = 7", `<input type="number" id="p-n" data-name="n" data-kind="number" value="7" step="1">`},
		{"int with a range", "n: int = 7  # [range: 1..90]", `data-kind="number" value="7" step="1" min="1" max="90"><p class="rule">1 to 90</p>`},
		{"a hint of an int may be broken", "n = 7", `data-kind="number" value="7" step="any">`},
		{"float", "x = 0.5", `data-kind="number" value="0.5" step="any">`},
		{"text", `s = "a \"b\" <c>"`, `<input type="text" id="p-s" data-name="s" data-kind="text" value="a &#34;b&#34; &lt;c&gt;" autocomplete="off">`},
		{"lines of text", `s = "a\nb"`, "<textarea id=\"p-s\" data-name=\"s\" data-kind=\"text\" rows=\"4\">\na\nb</textarea>"},
		{"bool", "b = True", `<select id="p-b" data-name="b" data-kind="choice"><option value="true" selected>true</option><option value="false">false</option></select>`},
		{"choices", `r = "b"  # where from [choices: a, b]`, `<span class="quiet">where from</span></th>
<td><select id="p-r" data-name="r" data-kind="choice"><option value="&#34;a&#34;">a</option><option value="&#34;b&#34;" selected>b</option></select>`},
		{"choices without the default", `r = pick()  # [choices: 1, 2]`, `<option value="" selected>pick()</option><option value="1">1</option>`},
		{"optional choice", "r: Literal['a'] | None = None", `<option value="&#34;a&#34;">a</option><option value="null" selected>null</option></select>`},
		{"day", "from datetime import date\nd: date = '2024-01-31'  # [range: 2024-01-01..]", `<input type="date" id="p-d" data-name="d" data-kind="text" value="2024-01-31" min="2024-01-01">`},
		{"moment", "from datetime import datetime\nd: datetime = '2024-01-31 10:00'", `<input type="text" id="p-d" data-name="d" data-kind="text" value="2024-01-31 10:00"`},
		{"list", "l = [1, 'a']", "<textarea id=\"p-l\" data-name=\"l\" data-kind=\"json\" rows=\"2\" spellcheck=\"false\">\n[1,&#34;a&#34;]</textarea>"},
		{"what only the kernel knows", "x = f('<x>')", "data-kind=\"json\" rows=\"2\" spellcheck=\"false\" placeholder=\"f(&#39;&lt;x&gt;&#39;)\">\n</textarea>"},
		{"optional number", "n: int | None = 3", `value="3" step="1"><label class="null"><input type="checkbox" data-null="n"> null</label>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, asking(t, c.cell).ok(daily), c.want)
		})
	}
}

func TestTheFormsPage(t *testing.T) {
	t.Parallel()
	h := asking(t, "n = 7  # [range: x..]")
	empty := h.ok("/new")
	require.Contains(t, empty, `<form class="ask" action="/new" method="get">`)
	require.NotContains(t, empty, "data-submit")

	page := h.ok(daily)
	for _, want := range []string{
		"<h1>daily</h1>", "github.com/acme/reports/daily.ipynb", "<code>abababab</code> (main) · python3 · 7 cells", `data-submit="/v1/runs?validate=10s"`,
		"n: [range: x..] is not used", "lib is a &lt;submodule&gt;", "curl -sS https://nes.example/v1/runs", "nes run https://github.com/acme/reports/blob/main/daily.ipynb",
		"NesOperator(", `<a href="/new" aria-current="true">New run</a>`,
	} {
		require.Contains(t, page, want)
	}
	require.Contains(t, asking(t, "").ok(daily), "The notebook declares no parameters.")
	require.Contains(t, asking(t, "%%bash\nn=1").ok(daily), "no cell tagged “parameters” that can be read")
}

func TestAnAddressThatGivesNoForm(t *testing.T) {
	t.Parallel()
	h := asking(t, "n = 7")
	for address, want := range map[string]struct {
		status int
		text   string
	}{
		"ftp://x/a.ipynb":               {400, "the scheme &lt;ftp&gt; is not known"},
		"https://github.com/gone.ipynb": {422, "there is no gone.ipynb; nearest: going.ipynb"},
	} {
		status, _, body := h.get("/new?url=" + url.QueryEscape(address))
		require.Equal(t, want.status, status)
		require.Contains(t, body, want.text)
		require.Contains(t, body, `name="url" value="`, "it can be mended in place")
		require.NotContains(t, body, "data-submit")
	}
	status, _, body := h.get("/new?url=" + url.QueryEscape("https://github.com/broken.ipynb"))
	require.Equal(t, 500, status)
	require.NotContains(t, body, "10.0.0.1")
}

func TestTheSameRunFromElsewhere(t *testing.T) {
	t.Parallel()
	h := asking(t, "n = 7")
	ask := func(parameters string) string {
		return "/new/recipes?url=https%3A%2F%2Fgithub.com%2Fa%2Fb%2Fblob%2Fmain%2Fc.ipynb&parameters=" + url.QueryEscape(parameters)
	}
	part := h.ok(ask(`{"day": "it's 3", "n": 12345678901234567890, "list": [1, true]}`))
	require.NotContains(t, part, "<html")
	for _, want := range []string{
		`12345678901234567890`, `&#39;{&#34;input_url&#34;:`, "-p day &#39;it&#39;\\&#39;&#39;s 3&#39;", "&#34;list&#34;: [1, True],",
	} {
		require.Contains(t, part, want)
	}
	for _, bad := range []string{`[1]`, `{`, `{"a b": 1}`} {
		status, _, _ := h.get(ask(bad))
		require.Equal(t, 400, status, bad)
	}
}

func TestTheFormIsForThoseWhoMaySubmit(t *testing.T) {
	t.Parallel()
	h := asking(t, "n = 7")
	h.caller = access.Principal{Name: "eve", Team: "local", Roles: []access.Role{access.RoleRead}}
	for _, path := range []string{"/new", daily, "/new/recipes?url=x&parameters={}"} {
		status, _, _ := h.get(path)
		require.Equal(t, 403, status, path)
	}
}
