package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"

	"go.yaml.in/yaml/v3"
)

// addYAML adds the mapping in b to all. Values keep the exact form in which they are
// written: dates stay text, as papermill has it, and numbers keep every digit.
func addYAML(all map[string]json.RawMessage, b []byte, where string) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return fmt.Errorf("%s: this is not YAML: %s", where, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		return nil
	}
	top := doc.Content[0]
	if top.Kind == yaml.AliasNode || top.Kind != yaml.MappingNode {
		return fmt.Errorf("%s: a mapping of names to values is needed, such as {alpha: 1}", where)
	}
	c := converter{left: maxNodes}
	fields, err := c.mapping(top)
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	for _, f := range fields {
		all[f.key] = f.value
	}
	return nil
}

// maxNodes bounds what aliases can blow up.
const maxNodes = 1_000_000

type converter struct{ left int }

type field struct {
	key   string
	value json.RawMessage
}

func (c *converter) value(n *yaml.Node) (json.RawMessage, error) {
	if c.left--; c.left < 0 {
		return nil, fmt.Errorf("line %d: these are more than %d values", n.Line, maxNodes)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return c.value(n.Alias)
	case yaml.SequenceNode:
		return c.sequence(n)
	case yaml.MappingNode:
		fields, err := c.mapping(n)
		if err != nil {
			return nil, err
		}
		return object(fields), nil
	}
	return scalar(n)
}

func (c *converter) sequence(n *yaml.Node) (json.RawMessage, error) {
	var b bytes.Buffer
	b.WriteByte('[')
	for i, item := range n.Content {
		v, err := c.value(item)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(v)
	}
	b.WriteByte(']')
	return b.Bytes(), nil
}

// mapping returns the fields in their order; of two with one name the later one counts,
// and what is merged in by "<<" counts least.
func (c *converter) mapping(n *yaml.Node) ([]field, error) {
	var own, merged []field
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Tag == "!!merge" {
			more, err := c.merge(v)
			if err != nil {
				return nil, err
			}
			merged = append(more, merged...)
			continue
		}
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d: a name must be text", k.Line)
		}
		value, err := c.value(v)
		if err != nil {
			return nil, err
		}
		own = append(own, field{k.Value, value})
	}
	return append(merged, own...), nil
}

// merge returns the fields of a mapping, or of a list of mappings of which the first counts most.
func (c *converter) merge(n *yaml.Node) ([]field, error) {
	if c.left--; c.left < 0 {
		return nil, fmt.Errorf("line %d: these are more than %d values", n.Line, maxNodes)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return c.merge(n.Alias)
	case yaml.MappingNode:
		return c.mapping(n)
	case yaml.SequenceNode:
		var all []field
		for _, item := range n.Content {
			fields, err := c.merge(item)
			if err != nil {
				return nil, err
			}
			all = append(fields, all...)
		}
		return all, nil
	}
	return nil, fmt.Errorf("line %d: only mappings can be merged", n.Line)
}

// object writes fields as JSON; of two with one name the later one.
func object(fields []field) json.RawMessage {
	last := map[string]int{}
	for i, f := range fields {
		last[f.key] = i
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range fields {
		if last[f.key] != i {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.Write(text(f.key))
		b.WriteByte(':')
		b.Write(f.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

func scalar(n *yaml.Node) (json.RawMessage, error) {
	switch n.ShortTag() {
	case "!!null":
		return json.RawMessage("null"), nil
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return nil, fmt.Errorf("line %d: %q is not a boolean", n.Line, n.Value)
		}
		return json.Marshal(b)
	case "!!int":
		return integer(n.Value), nil
	case "!!float":
		return float(n)
	case "!!binary":
		return nil, fmt.Errorf("line %d: binary values cannot be parameters", n.Line)
	}
	return text(n.Value), nil
}

// integer keeps what has leading zeros as text: 007 is an identifier, and in YAML 1.1 even a number of base eight.
func integer(s string) json.RawMessage {
	if isNumber(s) {
		return json.RawMessage(s)
	}
	digits := strings.TrimLeft(s, "+-")
	based := len(digits) > 1 && digits[0] == '0' && strings.IndexByte("xXoObB", digits[1]) >= 0
	if n, ok := new(big.Int).SetString(s, 0); ok && (based || !strings.HasPrefix(digits, "0")) {
		return json.RawMessage(n.String())
	}
	return text(s)
}

func float(n *yaml.Node) (json.RawMessage, error) {
	if isNumber(n.Value) {
		return json.RawMessage(n.Value), nil
	}
	var f float64
	if err := n.Decode(&f); err != nil {
		return text(n.Value), nil
	}
	b, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("line %d: %s has no form in JSON; give it as text and let the notebook make a number of it", n.Line, n.Value)
	}
	if !bytes.ContainsAny(b, ".eE") {
		b = append(b, ".0"...)
	}
	return b, nil
}
