// Package strictjson decodes JSON that a person or a program wrote for NES, and tells
// everything that is wrong with it at once, by the path of each field.
//
// It differs from encoding/json: names must be known and written exactly, no name may come
// twice, null is the same as leaving the field out, wrong types do not end the reading, and text is UTF-8.
// What goes into a json.RawMessage keeps its exact form, null included.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/nes-run/nes"
)

// maxDepth of lists and objects in a document.
const maxDepth = 200

// maxProblems that are told; a document with more is hopeless.
const maxProblems = 100

// Decode reads one JSON document into v, a pointer to a struct, and returns what is wrong
// with it, in the order of the document. What is right is in v even so.
func Decode(data []byte, v any) []nes.Problem {
	if p := syntax(data); p != nil {
		return []nes.Problem{*p}
	}
	r := &reader{data: data, dec: json.NewDecoder(bytes.NewReader(data))}
	r.dec.UseNumber()
	root := r.value("", 0)
	d := &decoder{problems: r.problems}
	d.into(root, reflect.ValueOf(v).Elem(), "")
	if len(d.problems) > maxProblems {
		d.problems = append(d.problems[:maxProblems], nes.Problem{Message: "and more"})
	}
	return d.problems
}

// syntax says where data stops being JSON.
func syntax(data []byte) *nes.Problem {
	if len(bytes.TrimSpace(data)) == 0 {
		return &nes.Problem{Message: "is empty: send a JSON object"}
	}
	if !utf8.Valid(data) {
		return &nes.Problem{Message: "is not UTF-8"}
	}
	var document json.RawMessage
	err := json.Unmarshal(data, &document)
	if err == nil {
		return nil
	}
	at := int64(len(data))
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		at = min(s.Offset, at)
	}
	before := data[:at]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	return &nes.Problem{Message: fmt.Sprintf("is not JSON: line %d, column %d: %v", line, column, err)}
}

// node is a value with its place in the document.
type node struct {
	kind    string // object, list, string, number, boolean, null
	raw     []byte
	names   []string // of an object's members, in order
	members map[string]*node
	items   []*node
}

// reader makes nodes of a document that is known to be JSON.
type reader struct {
	data     []byte
	dec      *json.Decoder
	problems []nes.Problem
}

func (r *reader) value(path string, depth int) *node {
	begin := r.dec.InputOffset()
	token, err := r.dec.Token()
	if err != nil && !errors.Is(err, io.EOF) {
		r.problems = append(r.problems, nes.Problem{Field: path, Message: "is not JSON: " + err.Error()})
	}
	end := r.dec.InputOffset()
	switch t := token.(type) {
	case json.Delim:
		return r.inside(t, path, depth, end-1)
	case string:
		return &node{kind: "string", raw: bytes.TrimLeft(r.data[begin:end], " \t\r\n:,")}
	case json.Number:
		return &node{kind: "number", raw: []byte(t)}
	case bool:
		return &node{kind: "boolean", raw: strconv.AppendBool(nil, t)}
	}
	return &node{kind: "null", raw: []byte("null")}
}

// inside reads a list or an object whose bracket was read at start.
func (r *reader) inside(open json.Delim, path string, depth int, start int64) *node {
	n := &node{kind: "list"}
	if open == '{' {
		n.kind, n.members = "object", map[string]*node{}
	}
	if depth == maxDepth {
		r.problems = append(r.problems, nes.Problem{Field: path, Message: fmt.Sprintf("is nested deeper than %d", maxDepth)})
	}
	for r.dec.More() {
		if open == '{' {
			r.member(n, path, depth)
			continue
		}
		n.items = append(n.items, r.value(fmt.Sprintf("%s[%d]", path, len(n.items)), depth+1))
	}
	_, _ = r.dec.Token() // the closing bracket; the syntax was checked
	n.raw = r.data[start:r.dec.InputOffset()]
	return n
}

func (r *reader) member(n *node, path string, depth int) {
	token, _ := r.dec.Token()
	name, _ := token.(string)
	at := join(path, name)
	value := r.value(at, depth+1)
	if _, twice := n.members[name]; twice {
		r.problems = append(r.problems, nes.Problem{Field: at, Message: "is given twice"})
		return
	}
	n.names = append(n.names, name)
	n.members[name] = value
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// decoder puts nodes into Go values.
type decoder struct{ problems []nes.Problem }

func (d *decoder) add(path, format string, args ...any) {
	d.problems = append(d.problems, nes.Problem{Field: path, Message: fmt.Sprintf(format, args...)})
}

var (
	rawType         = reflect.TypeFor[json.RawMessage]()
	unmarshalerType = reflect.TypeFor[json.Unmarshaler]()
)

// into decodes n into v.
func (d *decoder) into(n *node, v reflect.Value, path string) {
	switch {
	case v.Type() == rawType:
		v.SetBytes(bytes.Clone(n.raw))
	case n.kind == "null":
		// The same as absent.
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.into(n, v.Elem(), path)
	case reflect.PointerTo(v.Type()).Implements(unmarshalerType):
		if err := v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(n.raw); err != nil {
			d.add(path, "%s", strings.TrimPrefix(err.Error(), "json: "))
		}
	default:
		d.plain(n, v, path)
	}
}

// plain decodes into a kind of Go value that has no say in it.
func (d *decoder) plain(n *node, v reflect.Value, path string) {
	want := kindOf(v.Kind())
	if n.kind != want {
		d.add(path, "must be %s, not %s", article(want), article(n.kind))
		return
	}
	switch v.Kind() {
	case reflect.String:
		var s string
		_ = json.Unmarshal(n.raw, &s) // a valid string
		v.SetString(s)
	case reflect.Bool:
		v.SetBool(string(n.raw) == "true")
	case reflect.Struct:
		d.object(n, v, path)
	case reflect.Map:
		d.table(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	default:
		d.number(n, v, path)
	}
}

func (d *decoder) object(n *node, v reflect.Value, path string) {
	fields, known := fieldsOf(v.Type())
	for _, name := range n.names {
		i, ok := fields[name]
		if !ok {
			message := "is no field"
			if near := nes.Nearest(name, known); near != "" {
				message += fmt.Sprintf("; did you mean %q?", near)
			}
			d.add(join(path, name), "%s", message)
			continue
		}
		d.into(n.members[name], v.Field(i), join(path, name))
	}
}

func (d *decoder) table(n *node, v reflect.Value, path string) {
	v.Set(reflect.MakeMap(v.Type()))
	for _, name := range n.names {
		if n.members[name].kind == "null" && v.Type().Elem() != rawType {
			continue
		}
		value := reflect.New(v.Type().Elem()).Elem()
		d.into(n.members[name], value, join(path, name))
		v.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), value)
	}
}

func (d *decoder) list(n *node, v reflect.Value, path string) {
	v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
	for i, item := range n.items {
		d.into(item, v.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
}

func (d *decoder) number(n *node, v reflect.Value, path string) {
	f, err := strconv.ParseFloat(string(n.raw), 64)
	if v.CanFloat() {
		if err != nil {
			d.add(path, "is too large a number")
			return
		}
		v.SetFloat(f)
		return
	}
	if err != nil || !isWhole(string(n.raw)) || math.Abs(f) >= 1<<53 || v.OverflowInt(int64(f)) {
		d.add(path, "must be a whole number")
		return
	}
	v.SetInt(int64(f))
}

// isWhole reports whether a number has no fraction, by its digits: as a float, 1e-400 would be 0.
func isWhole(number string) bool {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(number), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimRight(whole+fraction, "0")
	if strings.Trim(digits, "-") == "" {
		return true
	}
	shift, err := strconv.Atoi(exponent)
	if exponent != "" && err != nil {
		return false // a number beyond all numbers, or next to nothing
	}
	return shift+len(whole)-len(digits) >= 0
}

// fieldsOf maps the JSON names of a struct to its fields.
func fieldsOf(t reflect.Type) (fields map[string]int, names []string) {
	fields = map[string]int{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		fields[name] = i
		names = append(names, name)
	}
	return fields, names
}

// kindOf is the kind of JSON value that a kind of Go value takes.
func kindOf(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Struct, reflect.Map:
		return "object"
	case reflect.Slice:
		return "list"
	}
	return "number"
}

func article(kind string) string {
	switch kind {
	case "null":
		return kind
	case "object":
		return "an object"
	}
	return "a " + kind
}
