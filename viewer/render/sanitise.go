package render

import (
	"html/template"
	"net/url"
	"regexp"
	"strings"

	"github.com/microcosm-cc/bluemonday"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// imageURL is what an image in sanitised HTML may show: data, or a body that this server serves.
var imageURL = regexp.MustCompile(`^(?:data:image/[a-z+]+;base64,[A-Za-z0-9+/=\s]+|(?:/[A-Za-z0-9._~-]+)*/body/[0-9]+/[0-9a-f]{64})$`)

// newPolicy says which markup of a notebook may stand in a page of ours.
func newPolicy() *bluemonday.Policy {
	// Expressions are compiled here and not with the program, whose start they would slow down.
	imageData := regexp.MustCompile(`^image/(?:png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/]+={0,2}$`)
	linkURL := regexp.MustCompile(`(?i)^(?:https?://|mailto:|#)`) // leaves out data: and every scheme that is not listed
	pixels, small := regexp.MustCompile(`^[0-9]{1,4}%?$`), regexp.MustCompile(`^[0-9]{1,3}$`)
	alignment := regexp.MustCompile(`^(?:left|right|center)$`)
	// The classes that Markdown's own rendering sets. A notebook that writes one of them gains nothing.
	ownClasses := regexp.MustCompile(`^(?:hl-[a-z0-9]{1,3}|math|math block|dataframe|task|elsewhere|anchor)$`)
	headingID := regexp.MustCompile(`^h-[\p{L}\p{N}-]{1,80}$`)
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "br", "hr", "div", "span", "h1", "h2", "h3", "h4", "h5", "h6", "b", "strong", "i", "em", "u", "s", "del", "ins", "sub",
		"sup", "small", "mark", "code", "kbd", "samp", "var", "tt", "pre", "blockquote", "q", "cite", "abbr", "ul", "ol", "li", "dl", "dt", "dd",
		"table", "caption", "colgroup", "col", "thead", "tbody", "tfoot", "tr", "th", "td", "details", "summary", "figure", "figcaption", "center", "font")
	p.AllowAttrs("colspan", "rowspan", "span").Matching(small).OnElements("td", "th", "col", "colgroup")
	p.AllowAttrs("align").Matching(alignment).OnElements("td", "th", "tr", "p", "div", "img", "table")
	p.AllowAttrs("start").Matching(small).OnElements("ol")
	p.AllowAttrs("title").OnElements("abbr", "a", "img", "span", "th", "td")
	p.AllowAttrs("open").Matching(regexp.MustCompile(`^(?:open)?$`)).OnElements("details")
	p.AllowAttrs("class").Matching(ownClasses).OnElements("span", "div", "table", "li", "a")
	p.AllowAttrs("id").Matching(headingID).OnElements("h1", "h2", "h3", "h4", "h5", "h6")
	p.AllowAttrs("alt").OnElements("img")
	p.AllowAttrs("width", "height").Matching(pixels).OnElements("img", "td", "th", "table")
	p.AllowAttrs("src").Matching(imageURL).OnElements("img")
	p.AllowAttrs("loading").Matching(regexp.MustCompile(`^lazy$`)).OnElements("img")
	p.AllowAttrs("href").Matching(linkURL).OnElements("a")
	p.RequireParseableURLs(true)
	p.AllowRelativeURLs(true)
	p.AllowURLSchemes("http", "https", "mailto")
	p.AllowURLSchemeWithCustomPolicy("data", func(u *url.URL) bool {
		return u.RawQuery == "" && u.Fragment == "" && imageData.MatchString(u.Opaque)
	})
	p.RequireNoFollowOnLinks(true)
	p.RequireNoReferrerOnLinks(true)
	p.AddTargetBlankToFullyQualifiedLinks(true)
	return p
}

// sanitise makes a fragment of HTML safe. It is balanced before, so that it cannot close
// an element of the page around it, and not touched afterwards. The marks of formulas in it are replaced on the way.
func (r *Renderer) sanitise(fragment string, formulas []string) template.HTML {
	body := &html.Node{Type: html.ElementNode, Data: "body", DataAtom: atom.Body}
	nodes, err := html.ParseFragment(strings.NewReader(fragment), body)
	if err != nil { // nested too deeply to be parsed
		var m markup
		m.lit(`<pre>`)
		m.text(putBack(fragment, formulas))
		m.lit(`</pre>`)
		return m.html()
	}
	var balanced strings.Builder
	for _, n := range nodes {
		body.AppendChild(n)
	}
	drop(body)
	placeMath(body, formulas, false)
	for n := body.FirstChild; n != nil; n = n.NextSibling {
		if err := html.Render(&balanced, n); err != nil {
			return boxed("HTML that cannot be shown", err.Error())
		}
	}
	return template.HTML(r.policy().Sanitize(balanced.String())) //nolint:gosec // sanitised in this very step
}

// dropped are elements whose content is no text for readers.
var dropped = map[atom.Atom]bool{
	atom.Script: true, atom.Style: true, atom.Noscript: true, atom.Template: true, atom.Iframe: true, atom.Noembed: true, atom.Noframes: true,
	atom.Svg: true, atom.Math: true, atom.Object: true, atom.Embed: true, atom.Select: true, atom.Textarea: true, atom.Title: true, atom.Xmp: true, atom.Plaintext: true,
}

// drop removes elements with everything in them. It runs before the tree is written as
// text, because some of them (noscript, plaintext, SVG) are read differently by different parsers.
func drop(n *html.Node) {
	if n.Type == html.ElementNode && (dropped[n.DataAtom] || n.Namespace != "") || n.Type == html.CommentNode || n.Type == html.DoctypeNode {
		n.Type, n.Data, n.FirstChild, n.LastChild, n.Namespace, n.DataAtom = html.TextNode, "", nil, nil, "", 0
		return
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		drop(c)
	}
}

// rich tells HTML that needs its own document (scripts, styles, drawings, controls) from HTML that may stand in the page.
func rich(fragment string) bool {
	// pandas puts a style element of its own before each table; our styles take its place.
	frame := strings.Contains(fragment, `class="dataframe"`)
	z := html.NewTokenizer(strings.NewReader(fragment))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return false
		case html.StartTagToken, html.SelfClosingTagToken:
			if richTag(z, frame) {
				return true
			}
		}
	}
}

func richTag(z *html.Tokenizer, frame bool) bool {
	name, more := z.TagName()
	switch string(name) {
	case "script", "iframe", "object", "embed", "svg", "canvas", "video", "audio", "form", "input", "button", "select", "textarea", "link", "meta", "math":
		return true
	case "style":
		scoped := false
		for more {
			var key []byte
			key, _, more = z.TagAttr()
			scoped = scoped || string(key) == "scoped"
		}
		return !frame || !scoped
	}
	for more {
		var key, value []byte
		key, value, more = z.TagAttr()
		if strings.HasPrefix(string(key), "on") || string(key) == "style" && !plainStyle(string(value)) {
			return true
		}
	}
	return false
}

// plainStyle knows the inline styles that our own style sheet makes superfluous.
func plainStyle(style string) bool {
	for part := range strings.SplitSeq(style, ";") {
		name, _, _ := strings.Cut(part, ":")
		switch strings.TrimSpace(strings.ToLower(name)) {
		case "", "text-align", "vertical-align", "max-width", "max-height", "width", "overflow", "overflow-x":
		default:
			return false
		}
	}
	return true
}
