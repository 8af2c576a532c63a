package render_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/viewer/notebook"
	"github.com/nes-run/nes/viewer/render"
)

// vectors are pieces of HTML that have run a script, sent a request, or taken over a page in some viewer of notebooks.
var vectors = []string{
	`<script>alert(1)</script>`,
	`<ScRiPt/x>alert(1)</sCrIpT>`,
	`<img src=x onerror=alert(1)>`,
	`<img src="x" onerror="alert(1)" title="&quot;onload=alert(1)">`,
	`<svg onload=alert(1)>`,
	`<svg><script>alert(1)</script></svg>`,
	`<svg><animate onbegin=alert(1) attributeName=x dur=1s>`,
	`<svg><a xlink:href="javascript:alert(1)"><text x=1 y=9>x</text></a></svg>`,
	`<svg><use href="data:image/svg+xml;base64,PHN2Zy8+"></svg>`,
	`<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">`,
	`<math href="javascript:alert(1)">x</math>`,
	`<a href="javascript:alert(1)">x</a>`,
	`<a href="  java	script:alert(1)">x</a>`,
	`<a href="&#106;avascript:alert(1)">x</a>`,
	`<a href="JaVaScRiPt:alert(1)">x</a>`,
	`<a href="vbscript:x">x</a>`,
	`<a href="data:text/html,<script>alert(1)</script>">CVE-2026-52816</a>`,
	`<a href="data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==">CVE-2026-52816</a>`,
	`<a href="data:image/svg+xml;base64,PHN2Zz48c2NyaXB0PmFsZXJ0KDEpPC9zY3JpcHQ+PC9zdmc+">CVE-2026-73415</a>`,
	`<a href="//evil.example/x">x</a>`,
	`<a href="/v1/runs/1/cancel">x</a>`,
	`<a href=https://x.example onclick=alert(1) ping=https://evil.example target=_top>x</a>`,
	`<img src="https://evil.example/track.gif">`,
	`<img src="//evil.example/track.gif">`,
	`<img src="/v1/runs">`,
	`<img srcset="https://evil.example/x 1x">`,
	`<img src="data:text/html;base64,PHNjcmlwdD4=">`,
	`<img src="data:image/svg+xml,<svg onload=alert(1)>">`,
	`<input type=image src=x formaction=javascript:alert(1)>`,
	`<form action="javascript:alert(1)"><input type=submit autofocus></form>`,
	`<form action="/v1/runs" method=post><button>CVE-2022-2428</button></form>`,
	`<form id=f></form><button form=f formaction=javascript:alert(1)>x</button>`,
	`<isindex action=javascript:alert(1) type=image>`,
	`<iframe src="javascript:alert(1)"></iframe>`,
	`<iframe srcdoc="<script>alert(1)</script>"></iframe>`,
	`<iframe src="/"></iframe>`,
	`<object data="data:text/html,<script>alert(1)</script>"></object>`,
	`<embed src="data:text/html,x">`,
	`<applet code=x></applet>`,
	`<frameset onload=alert(1)><frame src=x></frameset>`,
	`<body onload=alert(1) background=//evil.example>`,
	`<html onclick=alert(1)>`,
	`<link rel=stylesheet href=//evil.example/x.css>`,
	`<link rel=import href=//evil.example/x>`,
	`<meta http-equiv=refresh content="0;url=javascript:alert(1)">`,
	`<base href="https://evil.example/">`,
	`<style>*{background:url(https://evil.example)}</style>`,
	`<style>@import "//evil.example";</style>`,
	`<div style="background:url(//evil.example)">x</div>`,
	`<div style="position:fixed;inset:0;z-index:99">over the page</div>`,
	`<div id=cells name=cells class="cell top">clobbered CVE-2024-43805</div>`,
	`<a id=announce name=body href=#>x</a><img name=getElementById>`,
	`<div data-commandlinker-command=x data-post=/v1/runs data-since=1>CVE-2026-42557</div>`,
	`<button data-post="/v1/runs/x/cancel">CVE-2026-40171</button>`,
	`<section id="part-head" data-v="x">x</section>`,
	`<details open ontoggle=alert(1)><summary>x</summary></details>`,
	`<video><source onerror=alert(1)></video><audio src=x onerror=alert(1)>`,
	`<marquee onstart=alert(1)>x</marquee>`,
	`<template><script>alert(1)</script></template>`,
	`<noscript><p title="</noscript><img src=x onerror=alert(1)>"></noscript>`,
	`<textarea><img title="</textarea><img src=x onerror=alert(1)>"></textarea>`,
	`<title><a title="</title><script>alert(1)</script>"></title>`,
	`<xmp><p title="</xmp><script>alert(1)</script>"></xmp>`,
	`<plaintext><script>alert(1)</script>`,
	`<select><noembed></select><script>x='<script>'</script>`,
	`<!--><script>alert(1)</script>-->`,
	`<!-- --!><script>alert(1)</script>`,
	`<![CDATA[<script>alert(1)</script>]]>`,
	`<?xml-stylesheet href="javascript:alert(1)"?>`,
	`<x onclick=alert(1)>unknown element</x>`,
	`<p/onclick=alert(1)>x`,
	`<<script>alert(1)//<</script>`,
	"<img src=`x` onerror=`alert(1)`>",
	"<scr\x00ipt>alert(1)</scr\x00ipt>",
	`</div></div></article></div></main><h1>spoofed page</h1>`,
	`</pre></code></details></section></body></html><script>alert(1)</script>`,
	`<table><tr><td></table></table></div>`,
	`<b><i><a href=https://x.example><p></b></i></a>`,
	`<p><table><p></p><tr><form><td></form><svg></td>`,
	strings.Repeat(`<div>`, 800) + `<img src=x onerror=alert(1)>`,
	`<q cite="javascript:alert(1)">x</q><blockquote cite="javascript:alert(1)">x</blockquote>`,
	`<td background="javascript:alert(1)" width="expression(1)">x</td>`,
	`<font color="red" face="expression(alert(1))">x</font>`,
	`<a href="https://x.example&quot; onmouseover=&quot;alert(1)">x</a>`,
	`<h2 id="__proto__">x</h2><h2 id="h-1&quot; onclick=alert(1)">y</h2>`,
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
