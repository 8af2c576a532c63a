package api

import (
	"bytes"
	_ "embed" // for the page's template
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/problem"
)

//go:embed docs.tmpl
var docsTemplate string

// schema is as much of a JSON schema as the page shows.
type schema struct {
	Ref         string   `yaml:"$ref"`
	Type        string   `yaml:"type"`
	Format      string   `yaml:"format"`
	Description string   `yaml:"description"`
	Nullable    bool     `yaml:"nullable"`
	Enum        []any    `yaml:"enum"`
	Required    []string `yaml:"required"`
	Properties  ordered  `yaml:"properties"`
	Items       *schema  `yaml:"items"`
	AllOf       []schema `yaml:"allOf"`
	OneOf       []schema `yaml:"oneOf"`
	Extra       extra    `yaml:"additionalProperties"`
}

// ordered are named schemas in the order in which they are written.
type ordered []named

type named struct {
	Name   string
	Schema schema
}

// UnmarshalYAML keeps the order, which a map would lose.
func (o *ordered) UnmarshalYAML(n *yaml.Node) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		var s schema
		if err := n.Content[i+1].Decode(&s); err != nil {
			return err
		}
		*o = append(*o, named{n.Content[i].Value, s})
	}
	return nil
}

// extra is additionalProperties: false, or the schema of the values.
type extra struct{ Of *schema }

// UnmarshalYAML reads the schema and leaves out the boolean.
func (e *extra) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	e.Of = &schema{}
	return n.Decode(e.Of)
}

type parameter struct {
	Ref         string `yaml:"$ref"`
	Name        string `yaml:"name"`
	In          string `yaml:"in"`
	Description string `yaml:"description"`
	Required    bool   `yaml:"required"`
	Schema      schema `yaml:"schema"`
}

type media struct {
	Schema   schema `yaml:"schema"`
	Examples map[string]struct {
		Summary string    `yaml:"summary"`
		Value   yaml.Node `yaml:"value"`
	} `yaml:"examples"`
}

type response struct {
	Ref         string           `yaml:"$ref"`
	Description string           `yaml:"description"`
	Content     map[string]media `yaml:"content"`
}

type operation struct {
	ID          string      `yaml:"operationId"`
	Tags        []string    `yaml:"tags"`
	Summary     string      `yaml:"summary"`
	Description string      `yaml:"description"`
	Parameters  []parameter `yaml:"parameters"`
	Body        *struct {
		Required bool             `yaml:"required"`
		Content  map[string]media `yaml:"content"`
	} `yaml:"requestBody"`
	Responses map[string]response `yaml:"responses"`

	Method, Path string
}

// document is openapi.yaml as far as the page shows it.
type document struct {
	Info struct {
		Title       string `yaml:"title"`
		Version     string `yaml:"version"`
		Description string `yaml:"description"`
	} `yaml:"info"`
	Tags []struct {
		Name        string `yaml:"name"`
		Description string `yaml:"description"`
	} `yaml:"tags"`
	Paths      yaml.Node `yaml:"paths"`
	Components struct {
		Schemas    ordered              `yaml:"schemas"`
		Parameters map[string]parameter `yaml:"parameters"`
		Responses  map[string]response  `yaml:"responses"`
		Security   map[string]struct {
			Scheme      string `yaml:"scheme"`
			Description string `yaml:"description"`
		} `yaml:"securitySchemes"`
	} `yaml:"components"`

	operations []operation
}

// renderDocs makes the page of openapi.yaml. It is made once, when somebody asks for it.
func renderDocs() ([]byte, error) {
	var d document
	if err := yaml.Unmarshal([]byte(nes.OpenAPI()), &d); err != nil {
		return nil, fmt.Errorf("read openapi.yaml: %w", err)
	}
	if err := d.readPaths(); err != nil {
		return nil, fmt.Errorf("read the paths of openapi.yaml: %w", err)
	}
	page, err := template.New("docs").Funcs(template.FuncMap{
		"prose": prose, "word": word, "example": example, "lower": strings.ToLower,
	}).Parse(docsTemplate)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = page.Execute(&b, map[string]any{"Doc": &d, "Errors": problem.Codes(), "Reasons": nes.Reasons()})
	return b.Bytes(), err
}

// readPaths lists the operations in the order of the document.
func (d *document) readPaths() error {
	for i := 0; i+1 < len(d.Paths.Content); i += 2 {
		path, item := d.Paths.Content[i].Value, d.Paths.Content[i+1]
		var shared []parameter
		for j := 0; j+1 < len(item.Content); j += 2 {
			key, value := item.Content[j].Value, item.Content[j+1]
			if key == "parameters" {
				if err := value.Decode(&shared); err != nil {
					return err
				}
				continue
			}
			op := operation{Method: strings.ToUpper(key), Path: path}
			if err := value.Decode(&op); err != nil {
				return err
			}
			op.Parameters = d.resolve(append(slices.Clone(shared), op.Parameters...))
			d.operations = append(d.operations, op)
		}
	}
	return nil
}

func (d *document) resolve(list []parameter) []parameter {
	for i, p := range list {
		if p.Ref != "" {
			list[i] = d.Components.Parameters[last(p.Ref)]
		}
	}
	return list
}

// Tagged lists the operations under a tag.
func (d *document) Tagged(tag string) []operation {
	var list []operation
	for _, op := range d.operations {
		if slices.Contains(op.Tags, tag) {
			list = append(list, op)
		}
	}
	return list
}

// docsAnswer is one row of the answers of an operation.
type docsAnswer struct {
	Status, Description, Of string
}

// Answers lists what an operation answers with, by status.
func (d *document) Answers(op operation) []docsAnswer {
	var rows []docsAnswer
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		r := op.Responses[status]
		if r.Ref != "" {
			r = d.Components.Responses[last(r.Ref)]
		}
		kinds := slices.Sorted(maps.Keys(r.Content))
		rows = append(rows, docsAnswer{status, r.Description, strings.Join(kinds, ", ")})
	}
	return rows
}

func last(ref string) string { return ref[strings.LastIndex(ref, "/")+1:] }

// word says in a word or two what a schema is, and links to what has a section of its own.
func word(s schema) template.HTML {
	text := template.HTMLEscapeString
	switch {
	case s.Ref != "":
		name := text(last(s.Ref))
		return template.HTML(`<a href="#schema-` + name + `">` + name + `</a>`)
	case len(s.AllOf) == 1:
		return word(s.AllOf[0])
	case len(s.OneOf) > 0:
		parts := make([]string, len(s.OneOf))
		for i, o := range s.OneOf {
			parts[i] = string(word(o))
		}
		return template.HTML(strings.Join(parts, " or "))
	case len(s.Enum) > 0:
		return choices(s.Enum)
	case s.Items != nil:
		return "list of " + word(*s.Items)
	case s.Extra.Of != nil:
		return "name → " + word(*s.Extra.Of)
	case s.Format != "":
		return template.HTML(text(s.Format))
	case s.Type == "":
		return "any"
	}
	return template.HTML(text(s.Type))
}

func choices(enum []any) template.HTML {
	var parts []string
	for _, v := range enum {
		if v != nil && v != "" {
			parts = append(parts, "<code>"+template.HTMLEscapeString(fmt.Sprint(v))+"</code>")
		}
	}
	return template.HTML(strings.Join(parts, " "))
}

// prose turns paragraphs and `code` into HTML.
func prose(s string) template.HTML {
	var b strings.Builder
	for paragraph := range strings.SplitSeq(strings.TrimSpace(s), "\n\n") {
		b.WriteString("<p>")
		for i, part := range strings.Split(template.HTMLEscapeString(paragraph), "`") {
			if i%2 == 1 {
				part = "<code>" + part + "</code>"
			}
			b.WriteString(part)
		}
		b.WriteString("</p>")
	}
	return template.HTML(b.String())
}

// example prints a value as JSON, in the order in which it is written.
func example(n yaml.Node) (string, error) {
	var b strings.Builder
	err := writeExample(&b, &n, "")
	return b.String(), err
}

func writeExample(b *strings.Builder, n *yaml.Node, indent string) error {
	switch n.Kind {
	case yaml.MappingNode:
		return writeItems(b, "{}", len(n.Content)/2, indent, func(i int, indent string) error {
			key, err := encode(n.Content[2*i].Value)
			fmt.Fprintf(b, "%s: ", bytes.TrimSpace(key))
			if err != nil {
				return err
			}
			return writeExample(b, n.Content[2*i+1], indent)
		})
	case yaml.SequenceNode:
		return writeItems(b, "[]", len(n.Content), indent, func(i int, indent string) error {
			return writeExample(b, n.Content[i], indent)
		})
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return err
	}
	text, err := encode(v)
	b.Write(bytes.TrimSpace(text))
	return err
}

func writeItems(b *strings.Builder, brackets string, count int, indent string, item func(i int, indent string) error) error {
	inner, separator := indent+"  ", ",\n"
	if indent != "" { // only the outermost level takes a line for each
		inner, separator = indent, ", "
	}
	b.WriteByte(brackets[0])
	for i := range count {
		if i > 0 {
			b.WriteString(separator)
		}
		if indent == "" {
			if i == 0 {
				b.WriteByte('\n')
			}
			b.WriteString(inner)
		}
		if err := item(i, inner); err != nil {
			return err
		}
	}
	if indent == "" && count > 0 {
		b.WriteByte('\n')
	}
	b.WriteByte(brackets[1])
	return nil
}
