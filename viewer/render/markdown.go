package render

import (
	"bytes"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/nes-run/nes/viewer/notebook"
)

// newMarkdown reads Markdown as Jupyter does: GitHub's dialect with tables and task lists. Its output still has to be
// sanitised. Mathematics is not its concern: see liftMath.
func newMarkdown() goldmark.Markdown {
	return goldmark.New(
		goldmark.WithExtensions(
			extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)),
			extension.Strikethrough, extension.Linkify, extension.TaskList, extension.DefinitionList),
		goldmark.WithParserOptions(parser.WithAutoHeadingID()),
		goldmark.WithRendererOptions(html.WithUnsafe(), renderer.WithNodeRenderers(util.Prioritized(nodes{}, 50))),
	)
}

// Markdown renders Markdown. Headings get ids with the prefix; attachments are looked up in c, which may be nil.
func (r *Renderer) Markdown(d *Document, c *notebook.Cell, source, prefix string) template.HTML {
	if len(source) > maxMarkdown || hostile(source) {
		return boxed("Markdown of "+size(int64(len(source)))+", shown as text", source[:min(len(source), maxText)])
	}
	lifted, formulas := liftMath(source)
	src := []byte(lifted)
	ctx := parser.NewContext(parser.WithIDs(&headingIDs{prefix: prefix, formulas: formulas, seen: map[string]int{}}))
	md := r.markdown()
	doc := md.Parser().Parse(text.NewReader(src), parser.WithContext(ctx))
	d.placeImages(doc, c)
	var buf bytes.Buffer
	if err := md.Renderer().Render(&buf, src, doc); err != nil {
		return boxed("Markdown that cannot be shown", source)
	}
	return r.sanitise(buf.String(), formulas)
}

// hostile knows the shapes of Markdown for which the parser's time grows with the square of the text:
// links that are never closed, and quotes and lists nested deeper than any person writes.
func hostile(source string) bool {
	const unclosed, depth = 300, 40
	if openLinks(source) > unclosed {
		return true
	}
	for line := range strings.Lines(source) {
		if markers(line) > depth {
			return true
		}
	}
	return false
}

// openLinks counts the links whose address is not closed before the next one begins.
func openLinks(source string) (n int) {
	_, rest, more := strings.Cut(source, "](")
	for more {
		var address string
		if address, rest, more = strings.Cut(rest, "]("); !strings.Contains(address, ")") {
			n++
		}
	}
	return n
}

// markers counts the marks of quotes and list items with which a line begins.
func markers(line string) (n int) {
	for i := range len(line) {
		switch c := line[i]; c {
		case ' ', '\t':
		case '>':
			n++
		case '-', '*', '+':
			if i+1 < len(line) && (line[i+1] == ' ' || line[i+1] == '\t') {
				n++
				continue
			}
			return n
		default:
			return n
		}
	}
	return n
}

// placeImages points the images of a Markdown document at their attachments.
func (d *Document) placeImages(doc ast.Node, c *notebook.Cell) {
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if img, ok := n.(*ast.Image); ok && entering {
			if name, ok := strings.CutPrefix(string(img.Destination), "attachment:"); ok {
				img.Destination = []byte(d.attachment(c, name))
			}
		}
		return ast.WalkContinue, nil
	})
}

// attachment returns the address of an attached image, or "" when there is none of that name.
func (d *Document) attachment(c *notebook.Cell, name string) string {
	if c == nil {
		return ""
	}
	if plain, err := url.PathUnescape(name); err == nil {
		name = plain
	}
	for _, a := range c.Attachments {
		if a.Name != name {
			continue
		}
		if b := pick(a.Bodies, imageTypes); b != nil {
			src, _ := d.imageSource(b)
			return src
		}
	}
	return ""
}

// headingIDs makes the ids of headings: "h-<cell>-<words>". No name with a hyphen can stand in for a property of the page's document.
type headingIDs struct {
	prefix   string
	formulas []string
	seen     map[string]int
}

func (h *headingIDs) Generate(value []byte, _ ast.NodeKind) []byte {
	words := strings.FieldsFunc(strings.ToLower(valid(putBack(string(value), h.formulas))), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	name := []rune(strings.Join(words, "-"))
	id := "h-" + h.prefix + string(name[:min(len(name), 48)])
	if h.seen[id]++; h.seen[id] > 1 {
		id = fmt.Sprintf("%s--%d", id, h.seen[id])
	}
	return []byte(id)
}

func (h *headingIDs) Put([]byte) {}

// nodes renders what goldmark would render otherwise than our pages need it.
type nodes struct{}

// RegisterFuncs names the kinds of nodes that are rendered here.
func (n nodes) RegisterFuncs(reg renderer.NodeRendererFuncRegisterer) {
	reg.Register(ast.KindFencedCodeBlock, n.fence)
	reg.Register(ast.KindImage, n.image)
	reg.Register(extast.KindTaskCheckBox, n.task)
	reg.Register(ast.KindHeading, n.heading)
}

func (nodes) fence(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		block := node.(*ast.FencedCodeBlock)
		_, _ = w.WriteString("<pre><code>" + string(highlight(string(block.Lines().Value(source)), string(block.Language(source)))) + "</code></pre>\n")
	}
	return ast.WalkSkipChildren, nil
}

// task writes the box of a task as a sign: a page shows what was done and offers nothing to tick.
func (nodes) task(w util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering && node.(*extast.TaskCheckBox).IsChecked {
		_, _ = w.WriteString(`<span class="task" title="done">☑</span> `)
	} else if entering {
		_, _ = w.WriteString(`<span class="task" title="open">☐</span> `)
	}
	return ast.WalkContinue, nil
}

// heading writes a heading with a link to itself behind its text.
func (nodes) heading(w util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	level := literal("0123456"[node.(*ast.Heading).Level:][:1])
	id, _ := node.AttributeString("id")
	name, _ := id.([]byte)
	var m markup
	if entering {
		m.lit("<h", level)
		m.attr("id", string(name))
		m.lit(">")
	} else {
		if len(name) > 0 {
			m.lit(`<a class="anchor" title="Link to this heading"`)
			m.attr("href", "#"+string(name))
			m.lit(">#</a>")
		}
		m.lit("</h", level, ">\n")
	}
	_, _ = w.WriteString(string(m.html()))
	return ast.WalkContinue, nil
}

// image writes an image that is in the notebook, and a link in place of one that is
// elsewhere: no page of ours sends its reader's browser to another host unasked.
func (nodes) image(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	img := node.(*ast.Image)
	address, alt := string(img.Destination), plainText(img, source)
	var m markup
	switch {
	case imageURL.MatchString(address):
		m.lit(`<img`)
		m.attr("src", address)
		m.lit(` alt="`)
		m.text(alt)
		m.lit(`" loading="lazy">`)
	case strings.HasPrefix(address, "http://"), strings.HasPrefix(address, "https://"):
		m.lit(`<a class="elsewhere"`)
		m.attr("href", address)
		m.lit(`>Image elsewhere: `)
		m.text(cmpText(alt, address))
		m.lit(`</a>`)
	default:
		m.lit(`<span class="elsewhere">Image not in the notebook: `)
		m.text(cmpText(alt, address))
		m.lit(`</span>`)
	}
	_, _ = w.WriteString(string(m.html()))
	return ast.WalkSkipChildren, nil
}

func cmpText(a, b string) string {
	if strings.TrimSpace(a) != "" {
		return a
	}
	return b
}

func plainText(n ast.Node, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(c ast.Node, entering bool) (ast.WalkStatus, error) {
		if t, ok := c.(*ast.Text); ok && entering {
			b.Write(t.Segment.Value(source))
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}
