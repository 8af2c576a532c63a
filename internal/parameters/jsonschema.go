package parameters

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/nbformat"
)

// maxJSONSchema bounds what a notebook may carry, in bytes.
const maxJSONSchema = 64 << 10

// property is what of a JSON Schema's property a form and a message can use. Everything else binds all the
// same: the whole schema is asked, see violations.
type property struct {
	Type        json.RawMessage   `json:"type"`
	Format      string            `json:"format"`
	Title       string            `json:"title"`
	Description string            `json:"description"`
	Enum        []json.RawMessage `json:"enum"`
	Minimum     json.RawMessage   `json:"minimum"`
	Maximum     json.RawMessage   `json:"maximum"`
	Default     json.RawMessage   `json:"default"`
}

// addJSONSchema reads metadata.nes.parameters and lays it over what the parameters cell says. One that is not valid
// is kept and refuses every run, because its author counts on it.
func (s *Schema) addJSONSchema(nb *nbformat.Notebook) {
	var own struct {
		Parameters json.RawMessage `json:"parameters"`
	}
	if json.Unmarshal(nb.Metadata["nes"], &own) != nil || len(own.Parameters) == 0 || isNull(own.Parameters) {
		return
	}
	s.JSONSchema = own.Parameters
	if _, err := resolved(own.Parameters); err != nil {
		s.Notes = append(s.Notes, err.Error())
		s.broken = true
		return
	}
	var top struct {
		Properties map[string]property `json:"properties"`
		Required   []string            `json:"required"`
	}
	if json.Unmarshal(own.Parameters, &top) != nil {
		return // valid, and of a form that no page can show
	}
	for _, name := range keysInOrder(own.Parameters, "properties") {
		s.lay(name, top.Properties[name])
	}
	for i := range s.Parameters {
		p := &s.Parameters[i]
		p.Required = p.Source == "" && slices.Contains(top.Required, p.Name)
	}
}

// lay gives a parameter what its property says, and adds the parameter where the cell has none.
func (s *Schema) lay(name string, from property) {
	i := slices.IndexFunc(s.Parameters, func(p Parameter) bool { return p.Name == name })
	if i < 0 {
		s.Parameters = append(s.Parameters, Parameter{Name: name, Default: from.Default})
		i = len(s.Parameters) - 1
	}
	p := &s.Parameters[i]
	if name, optional := typeOfProperty(from); name != "" {
		p.Type, p.Optional, p.Inferred = name, optional, false
	}
	if from.Enum != nil {
		p.Choices = compactAll(from.Enum)
	}
	if isComparable(from.Minimum) {
		p.Minimum = from.Minimum
	}
	if isComparable(from.Maximum) {
		p.Maximum = from.Maximum
	}
	if help := strings.TrimSpace(strings.Join(nonEmpty(from.Title, from.Description), ": ")); help != "" {
		p.Help = help
	}
}

func isComparable(v json.RawMessage) bool { return len(v) > 0 && isNumber(v) && comparable(v) }

func nonEmpty(texts ...string) []string {
	return slices.DeleteFunc(texts, func(s string) bool { return s == "" })
}

func compactAll(values []json.RawMessage) []json.RawMessage {
	out := make([]json.RawMessage, len(values))
	for i, v := range values {
		out[i] = compact(v)
	}
	return out
}

// schemaTypes by JSON Schema's names.
var schemaTypes = map[string]string{
	"integer": typeInt, "number": typeFloat, "boolean": typeBool, "string": typeStr, "array": typeList, "object": typeDict, "null": typeNone,
}

// typeOfProperty is a property's one type; several give none.
func typeOfProperty(from property) (name string, optional bool) {
	var names []string
	var one string
	if json.Unmarshal(from.Type, &one) == nil {
		names = []string{one}
	} else if json.Unmarshal(from.Type, &names) != nil {
		return "", false
	}
	if i := slices.Index(names, "null"); i >= 0 && len(names) == 2 {
		names, optional = slices.Delete(names, i, i+1), true
	}
	if len(names) != 1 {
		return "", false
	}
	if names[0] == "string" && (from.Format == "date" || from.Format == "date-time") {
		return typeDate, optional
	}
	return schemaTypes[names[0]], optional
}

// keysInOrder lists the keys of a field of an object as they are written.
func keysInOrder(object json.RawMessage, field string) (keys []string) {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(object, &fields)
	d := json.NewDecoder(bytes.NewReader(fields[field]))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return keys
		}
		keys = append(keys, key.(string))
		var skipped json.RawMessage
		if d.Decode(&skipped) != nil {
			return keys
		}
	}
	return keys
}

// resolved reads a JSON Schema. Nothing is loaded from anywhere, and it must be finite: see [bounded].
func resolved(raw json.RawMessage) (*jsonschema.Resolved, error) {
	const where = "metadata.nes.parameters"
	if len(raw) > maxJSONSchema {
		return nil, fmt.Errorf("%s has %d bytes, a JSON Schema may have %d", where, len(raw), maxJSONSchema)
	}
	if err := bounded(raw); err != nil {
		return nil, fmt.Errorf("%s cannot be used: %w", where, err)
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(raw, &schema); err != nil {
		return nil, fmt.Errorf("%s is not a JSON Schema: %w", where, err)
	}
	out, err := schema.Resolve(nil)
	if err != nil {
		return nil, fmt.Errorf("%s is not a JSON Schema: %w", where, err)
	}
	return out, nil
}

// violations asks the notebook's JSON Schema of what a run would have: the values given and, for the others, the
// defaults that are known.
func (s *Schema) violations(fitted map[string]json.RawMessage) []nes.Problem {
	switch {
	case s.JSONSchema == nil:
		return nil
	case s.broken:
		return []nes.Problem{{Field: "parameters", Message: "cannot be checked, mend the notebook: " + strings.Join(s.Notes, "; ")}}
	}
	have := map[string]json.RawMessage{}
	var problems []nes.Problem
	for _, p := range s.Parameters {
		if p.Default != nil {
			have[p.Name] = p.Default
		}
		if _, given := fitted[p.Name]; p.Required && !given {
			problems = append(problems, problem(p.Name, "is required: the notebook has no default for it"))
		}
	}
	maps.Copy(have, fitted)
	for _, name := range slices.Sorted(maps.Keys(fitted)) {
		if why := check(only(s.JSONSchema, name), map[string]json.RawMessage{name: fitted[name]}); why != "" {
			problems = append(problems, problem(name, why))
		}
	}
	if len(problems) > 0 {
		return problems
	}
	if why := check(s.withoutOpenRequirements(), have); why != "" {
		problems = append(problems, nes.Problem{Field: "parameters", Message: why})
	}
	return problems
}

// check says in what way values break a schema; "" when they do not.
func check(schema json.RawMessage, values map[string]json.RawMessage) string {
	rules, err := resolved(schema)
	if err != nil {
		return err.Error()
	}
	instance := map[string]any{}
	for name, value := range values {
		var v any
		_ = json.Unmarshal(value, &v) // it was compacted, so it is JSON
		instance[name] = v
	}
	err = rules.Validate(instance)
	if err == nil {
		return ""
	}
	text := err.Error()
	for strings.HasPrefix(text, "validating ") { // the path, which the field says
		_, text, _ = strings.Cut(text, ": ")
	}
	return "breaks the notebook's JSON Schema: " + text
}

// only is the part of a schema that speaks of one property by itself, so that each that is wrong is named.
func only(schema json.RawMessage, name string) json.RawMessage {
	fields, properties := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	_ = json.Unmarshal(schema, &fields)
	_ = json.Unmarshal(fields["properties"], &properties)
	part := map[string]any{}
	for _, key := range []string{"$schema", "$id", "$defs", "definitions"} {
		if v, ok := fields[key]; ok {
			part[key] = v
		}
	}
	if p, ok := properties[name]; ok {
		part["properties"] = map[string]json.RawMessage{name: p}
	}
	raw, _ := json.Marshal(part) // of raw JSON
	return raw
}

// withoutOpenRequirements is the schema without what it requires and the kernel alone knows, as day = date.today().
func (s *Schema) withoutOpenRequirements() json.RawMessage {
	fields := map[string]json.RawMessage{}
	var required []string
	if json.Unmarshal(s.JSONSchema, &fields) != nil || json.Unmarshal(fields["required"], &required) != nil {
		return s.JSONSchema
	}
	required = slices.DeleteFunc(required, func(name string) bool {
		return slices.ContainsFunc(s.Parameters, func(p Parameter) bool { return p.Name == name && p.Source != "" && p.Default == nil })
	})
	fields["required"], _ = json.Marshal(slices.Concat([]string{}, required))
	raw, _ := json.Marshal(fields)
	return raw
}
