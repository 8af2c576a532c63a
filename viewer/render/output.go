package render

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"

	"github.com/nes-run/nes/viewer/notebook"
)

var (
	imageTypes = []string{"image/svg+xml", "image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"}
	// order is which of an output's MIME types is shown.
	order = slices.Concat([]string{"text/html", "text/markdown"}, imageTypes, []string{"text/latex"})
)

// pick returns the body of the first of types that there is.
func pick(bodies []notebook.Body, types []string) *notebook.Body {
	for _, t := range types {
		for i := range bodies {
			if bodies[i].MIME == t {
				return &bodies[i]
			}
		}
	}
	return nil
}

func pickFunc(bodies []notebook.Body, want func(mime string) bool) *notebook.Body {
	i := slices.IndexFunc(bodies, func(b notebook.Body) bool { return want(b.MIME) })
	if i < 0 {
		return nil
	}
	return &bodies[i]
}

func isJSON(mime string) bool {
	return mime == "application/json" || strings.HasPrefix(mime, "application/") && strings.HasSuffix(mime, "+json")
}

// isWord knows the types by which notebooks hand values to NES or to scrapbook.
func isWord(mime string) bool {
	return strings.HasPrefix(mime, "application/vnd.nes.") || strings.HasPrefix(mime, "application/scrapbook.scrap.") || mime == "application/papermill.record+json"
}

// output renders one output of a code cell.
func (r *Renderer) output(d *Document, c *notebook.Cell, o *notebook.Output) template.HTML {
	if o.Problem != "" {
		return boxed(o.Problem, "")
	}
	switch o.Type {
	case "stream":
		return d.stream(o)
	case "error":
		return failure(o.Error)
	case "display_data", "execute_result", "update_display_data":
		return r.display(d, c, o)
	}
	var m markup
	m.lit(`<div class="box"><p class="label">Output of the unknown type “`)
	m.text(o.Type)
	m.lit(`”</p>`)
	if len(o.Bodies) > 0 {
		m.safe(r.display(d, c, o))
	}
	m.lit(`</div>`)
	return m.html()
}

// display renders the one of an output's bodies that shows most.
func (r *Renderer) display(d *Document, c *notebook.Cell, o *notebook.Output) template.HTML {
	if b := pickFunc(o.Bodies, isWord); b != nil {
		return d.values(b)
	}
	if b := d.chart(o.Bodies); b != nil {
		return d.frame(b, o.Bodies)
	}
	if w := pick(o.Bodies, []string{"application/vnd.jupyter.widget-view+json"}); w != nil && pick(o.Bodies, order) == nil {
		return d.widget(o.Bodies)
	}
	if b := pick(o.Bodies, order); b != nil {
		return r.shown(d, c, b, o.Bodies)
	}
	if b := pickFunc(o.Bodies, func(mime string) bool { return FrameOf(mime) == FrameScript }); b != nil {
		return d.frame(b, o.Bodies)
	}
	return d.fallback(o.Bodies)
}

// fallback shows an output that has none of the types that are shown best.
func (d *Document) fallback(bodies []notebook.Body) template.HTML {
	if b := pick(bodies, []string{DataResource}); b != nil {
		if t, ok := d.resource(b); ok {
			return t
		}
	}
	if b := pickFunc(bodies, isJSON); b != nil {
		return d.json(b, jsonLabel(b.MIME))
	}
	if text := pick(bodies, []string{"text/plain"}); text != nil {
		return d.plain(text, "result")
	}
	if b := pickFunc(bodies, func(mime string) bool { return strings.HasPrefix(mime, "text/") }); b != nil {
		return d.labelled(b.MIME, b)
	}
	if len(bodies) == 0 {
		return boxed("An output without content", "")
	}
	return d.unknown(&bodies[0])
}

// widget stands for a widget, which lives only as long as its kernel.
func (d *Document) widget(bodies []notebook.Body) template.HTML {
	if text := pick(bodies, []string{"text/plain"}); text != nil {
		return d.labelled("Widget, as text", text)
	}
	return boxed("A widget, of which the notebook keeps no text", "")
}

// values shows what a notebook handed out by name.
func (d *Document) values(b *notebook.Body) template.HTML {
	const most = 64 << 10
	part, err := d.read(b, most, 0)
	if err != nil {
		return boxed("Value that could not be read", err.Error())
	}
	text, _, cut := part.parts()
	pairs := named(b.MIME, text)
	if cut > 0 || pairs == nil || len(pairs) > 200 {
		return d.json(b, "Value for "+wordReader(b.MIME))
	}
	var m markup
	m.lit(`<div class="box values"><p class="label">Value for `)
	m.text(wordReader(b.MIME))
	m.lit(`</p><dl>`)
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		m.lit(`<dt>`)
		m.text(name)
		m.lit(`</dt><dd><code>`)
		m.text(string(pairs[name]))
		m.lit(`</code></dd>`)
	}
	m.lit(`</dl></div>`)
	return m.html()
}

func wordReader(mime string) string {
	if strings.HasPrefix(mime, "application/vnd.nes.") {
		return "NES: " + strings.TrimSuffix(strings.TrimPrefix(mime, "application/vnd.nes."), "+json")
	}
	if strings.HasPrefix(mime, "application/papermill.") {
		return "papermill"
	}
	return "scrapbook"
}

func jsonLabel(mime string) string {
	if mime == "application/json" {
		return ""
	}
	return mime
}

func (r *Renderer) shown(d *Document, c *notebook.Cell, b *notebook.Body, all []notebook.Body) template.HTML {
	switch b.MIME {
	case "text/html":
		return r.htmlOutput(d, b, all)
	case "text/markdown":
		return r.markdownOutput(d, c, b)
	case "text/latex":
		return d.latex(b)
	}
	return d.image(b)
}

// htmlOutput shows a data frame as a table, puts other HTML that is plain into the page, and any other into a frame.
func (r *Renderer) htmlOutput(d *Document, b *notebook.Body, all []notebook.Body) template.HTML {
	limit := maxHTML
	if d.Alone {
		limit = maxWhole
	}
	head, err := d.read(b, limit, 0)
	if err != nil {
		return boxed("HTML that could not be read", err.Error())
	}
	text, _, cut := head.parts()
	if t, ok := d.dataFrame(b, text, cut > 0); ok {
		return t
	}
	if cut > 0 || rich(text) {
		return d.frame(b, all)
	}
	var m markup
	m.lit(`<div class="html">`)
	m.safe(r.sanitise(text, nil))
	m.lit(`</div>`)
	return m.html()
}

func (r *Renderer) markdownOutput(d *Document, c *notebook.Cell, b *notebook.Body) template.HTML {
	head, err := d.read(b, maxMarkdown, 0)
	if err != nil {
		return boxed("Markdown that could not be read", err.Error())
	}
	text, _, cut := head.parts()
	if cut > 0 {
		return d.plain(b, "result")
	}
	var m markup
	m.lit(`<div class="prose">`)
	m.safe(r.Markdown(d, c, text, "o-"))
	m.lit(`</div>`)
	return m.html()
}

func (d *Document) latex(b *notebook.Body) template.HTML {
	head, err := d.read(b, minText, 0)
	if err != nil {
		return boxed("LaTeX that could not be read", err.Error())
	}
	text, _, _ := head.parts()
	var m markup
	m.lit(`<div class="math block latex">`)
	m.text(text)
	m.lit(`</div>`)
	return m.html()
}

// image shows an image of a known type. SVG is an image too: as such it runs no script.
func (d *Document) image(b *notebook.Body) template.HTML {
	src, err := d.imageSource(b)
	if err != nil {
		return boxed("An image ("+b.MIME+") that cannot be shown", err.Error())
	}
	var m markup
	m.lit(`<img class="picture" alt="Image output of this cell" loading="lazy" decoding="async"`)
	m.attr("src", src)
	if b.Width > 0 {
		m.attr("width", fmt.Sprint(b.Width))
	}
	if b.Height > 0 {
		m.attr("height", fmt.Sprint(b.Height))
	}
	m.lit(`>`)
	return m.html()
}

// imageSource returns the address of an image: a small one travels in the page, a larger one is served by itself.
func (d *Document) imageSource(b *notebook.Body) (string, error) {
	if d.BodyBase != "" && b.Size > maxDataURL {
		return d.BodyBase + b.SHA256, nil
	}
	const most = maxWhole
	whole, err := d.read(b, most, 0)
	if err != nil {
		return "", err
	}
	if _, _, cut := whole.parts(); cut > 0 {
		return "", fmt.Errorf("it is larger than %s", size(most))
	}
	raw, err := ImageBytes(b.MIME, append(whole.head, whole.tail...))
	if err != nil {
		return "", err
	}
	return "data:" + b.MIME + ";base64," + base64.StdEncoding.EncodeToString(raw), nil
}

// ImageBytes returns the bytes of an image from the text that a notebook holds: SVG as it stands, the others in base64.
func ImageBytes(mime string, text []byte) ([]byte, error) {
	if !slices.Contains(imageTypes, mime) {
		return nil, fmt.Errorf("%s is no type of image that is shown", mime)
	}
	if mime == "image/svg+xml" {
		return text, nil
	}
	clean := bytes.Join(bytes.Fields(text), nil)
	raw := make([]byte, base64.StdEncoding.DecodedLen(len(clean)))
	n, err := base64.StdEncoding.Decode(raw, clean)
	if err != nil {
		return nil, fmt.Errorf("its data is not base64")
	}
	return raw[:n], nil
}

// IsImage reports whether bodies of a MIME type are shown as images.
func IsImage(mime string) bool { return slices.Contains(imageTypes, mime) }

// json shows a JSON value, indented.
func (d *Document) json(b *notebook.Body, label string) template.HTML {
	part, err := d.read(b, d.budget(), 0)
	if err != nil {
		return boxed(cmpText(label, b.MIME)+" that could not be read", err.Error())
	}
	text, _, cut := part.parts()
	if tree := (&markup{}); cut == 0 && tree.tree(text) {
		return d.treeBox(label, tree)
	}
	var pretty bytes.Buffer
	if cut == 0 && json.Indent(&pretty, []byte(text), "", "  ") == nil {
		text = pretty.String()
	}
	var m markup
	m.lit(`<div class="box json">`)
	if label != "" {
		m.lit(`<p class="label">`)
		m.text(label)
		m.lit(`</p>`)
	}
	m.folded(plainLines(text), "json")
	d.rest(&m, b, cut)
	m.lit(`</div>`)
	return m.html()
}

func (d *Document) treeBox(label string, tree *markup) template.HTML {
	var m markup
	m.lit(`<div class="box json">`)
	if label != "" {
		m.lit(`<p class="label">`)
		m.text(label)
		m.lit(`</p>`)
	}
	m.lit(`<div class="tree">`)
	m.safe(tree.html())
	m.lit(`</div></div>`)
	return m.html()
}

// unknown is a box for a type that nothing here can show.
func (d *Document) unknown(b *notebook.Body) template.HTML {
	var m markup
	m.lit(`<div class="box"><p class="label">Unsupported: `)
	m.text(b.MIME)
	m.lit(` (`)
	m.text(size(b.Size))
	m.lit(`)</p>`)
	if d.BodyBase != "" {
		m.lit(`<p><a`)
		m.attr("href", d.BodyBase+b.SHA256)
		m.lit(`>Open as text</a></p>`)
	}
	m.lit(`</div>`)
	return m.html()
}

func (d *Document) labelled(label string, b *notebook.Body) template.HTML {
	var m markup
	m.lit(`<div class="box"><p class="label">`)
	m.text(label)
	m.lit(`</p>`)
	m.safe(d.plain(b, "result"))
	m.lit(`</div>`)
	return m.html()
}
