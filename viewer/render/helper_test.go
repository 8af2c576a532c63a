package render_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/nes-run/nes/viewer/notebook"
	"github.com/nes-run/nes/viewer/render"
)

type obj = map[string]any

// doc indexes a notebook of the given cells.
func doc(t testing.TB, cells ...any) *render.Document {
	t.Helper()
	raw, err := json.Marshal(obj{"nbformat": 4, "nbformat_minor": 5, "metadata": obj{"language_info": obj{"name": "python"}}, "cells": cells})
	require.NoError(t, err)
	return document(t, string(raw))
}

func document(t testing.TB, file string) *render.Document {
	t.Helper()
	x, err := notebook.Parse(strings.NewReader(file))
	require.NoError(t, err)
	return &render.Document{
		Index: x, File: strings.NewReader(file), Ended: true,
		BodyBase: "/runs/r/body/1/", FrameBase: "/runs/r/frame/1/", TableBase: "/runs/r/table/1/",
	}
}

func code(source string, outputs ...any) obj {
	return obj{"cell_type": "code", "metadata": obj{}, "source": source, "outputs": outputs}
}

func markdown(source string) obj {
	return obj{"cell_type": "markdown", "metadata": obj{}, "source": source}
}

func display(data obj) obj {
	return obj{"output_type": "display_data", "metadata": obj{}, "data": data}
}

func stream(text string) obj { return obj{"output_type": "stream", "name": "stdout", "text": text} }

// all renders every cell.
func all(d *render.Document) string {
	r := render.New()
	var b strings.Builder
	for i := range d.Index.Cells {
		b.WriteString(string(r.Cell(d, i)))
		b.WriteString("\n")
	}
	return b.String()
}

// The elements and attributes that a rendered cell may have, whatever is in the notebook.
var (
	allowedElements = strings.Fields(`article div p a span strong pre code details summary img iframe
		h1 h2 h3 h4 h5 h6 br hr b em i u s del ins sub sup small mark kbd samp var tt blockquote q cite abbr ul ol li dl dt dd
		table caption colgroup col thead tbody tfoot tr th td figure figcaption center font html head body`)
	allowedAttributes = map[string]*regexp.Regexp{
		"class":          regexp.MustCompile(`^[a-z0-9 -]+$`),
		"id":             regexp.MustCompile(`^(cell-[0-9]+|h-[\p{L}\p{N}-]+)$`),
		"data-cell":      regexp.MustCompile(`^[0-9]+$`),
		"data-rows":      regexp.MustCompile(`^/runs/r/table/1/[0-9a-f]{64}$`),
		"data-src":       regexp.MustCompile(`^/runs/r/frame/1/[0-9a-f]{64}$`),
		"scope":          regexp.MustCompile(`^(row|col)$`),
		"data-v":         regexp.MustCompile(`^[0-9a-f]+$`),
		"data-since":     regexp.MustCompile(`^[0-9TZ:.-]+$`),
		"aria-label":     regexp.MustCompile(``),
		"aria-hidden":    regexp.MustCompile(`^true$`),
		"title":          regexp.MustCompile(``),
		"alt":            regexp.MustCompile(``),
		"hidden":         regexp.MustCompile(`^$`),
		"tabindex":       regexp.MustCompile(`^0$`),
		"open":           regexp.MustCompile(`^(open)?$`),
		"start":          regexp.MustCompile(`^[0-9]+$`),
		"colspan":        regexp.MustCompile(`^[0-9]+$`),
		"rowspan":        regexp.MustCompile(`^[0-9]+$`),
		"span":           regexp.MustCompile(`^[0-9]+$`),
		"align":          regexp.MustCompile(`^(left|right|center)$`),
		"width":          regexp.MustCompile(`^[0-9]+%?$`),
		"height":         regexp.MustCompile(`^[0-9]+%?$`),
		"loading":        regexp.MustCompile(`^lazy$`),
		"decoding":       regexp.MustCompile(`^async$`),
		"rel":            regexp.MustCompile(`^[a-z ]+$`),
		"target":         regexp.MustCompile(`^_blank$`),
		"sandbox":        regexp.MustCompile(`^allow-scripts$`),
		"referrerpolicy": regexp.MustCompile(`^no-referrer$`),
		"href":           regexp.MustCompile(`^(#|https?://|mailto:|/runs/r/body/1/[0-9a-f]{64}$)`),
		"src":            regexp.MustCompile(`^(/runs/r/(body|frame)/1/[0-9a-f]{64}|(/[\w.~-]+)*/body/[0-9]+/[0-9a-f]{64}|data:image/(png|jpeg|gif|webp|bmp|svg\+xml);base64,[A-Za-z0-9+/=]*)$`),
	}
)

// requireSafe parses rendered cells as a browser would and holds every element and attribute to the lists
// above. It also proves that no cell leaves its place: what follows the cells is still their sibling.
func requireSafe(t testing.TB, cells string) {
	t.Helper()
	tree, err := html.Parse(strings.NewReader(`<!doctype html><html><head></head><body><div id="h-cells">` + cells + `</div><p id="h-after"></p></body></html>`))
	require.NoError(t, err)
	after := false
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode {
			requireAllowed(t, n)
			if attr(n, "id") == "h-after" {
				after = true
				require.Equal(t, "body", n.Parent.Data, "the cells closed or opened an element of the page")
				require.Equal(t, "h-cells", attr(n.PrevSibling, "id"))
			}
			if n.Data == "article" {
				require.Equal(t, "h-cells", attr(n.Parent, "id"), "a cell within a cell")
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(tree)
	require.True(t, after)
}

func requireAllowed(t testing.TB, n *html.Node) {
	t.Helper()
	require.Empty(t, n.Namespace, "<%s> of another namespace", n.Data)
	require.True(t, slices.Contains(allowedElements, n.Data), "<%s> is not allowed", n.Data)
	for _, a := range n.Attr {
		rule, ok := allowedAttributes[a.Key]
		require.True(t, ok, "<%s %s> is not allowed", n.Data, a.Key)
		require.Regexp(t, rule, a.Val, fmt.Sprintf("<%s %s>", n.Data, a.Key))
	}
	if n.Data == "iframe" {
		require.Equal(t, "allow-scripts", attr(n, "sandbox"))
	}
}

func attr(n *html.Node, name string) string {
	if n == nil {
		return ""
	}
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
