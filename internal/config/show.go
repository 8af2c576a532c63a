package config

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"
)

// Variable is a row of the documentation.
type Variable struct {
	Name    string
	Default string // as people are told
	Meaning string
	value   string
}

// Variables lists every variable in the order of the documentation.
func Variables() []Variable { return Config{}.variables() }

// Table is the list of variables in Markdown.
func Table() string {
	var b strings.Builder
	b.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	for _, v := range Variables() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.Name, v.Default, v.Meaning)
	}
	return b.String()
}

// Lines shows the configuration as assignments, one a line, without anything secret.
func (c Config) Lines() []string {
	var lines []string
	for _, v := range c.variables() {
		lines = append(lines, v.Name+"="+v.value)
	}
	return lines
}

func (c Config) variables() []Variable {
	var out []Variable
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := f.Tag.Get("envconfig")
		if name == "" {
			continue
		}
		out = append(out, Variable{
			Name: "NES_" + name, Default: shownDefault(f.Tag), Meaning: f.Tag.Get("desc"),
			value: shown(v.Field(i).Interface(), f.Tag.Get("secret") == "true"),
		})
	}
	return out
}

func shownDefault(tag reflect.StructTag) string {
	if d := tag.Get("default"); d != "" {
		return "`" + d + "`"
	}
	return tag.Get("shown")
}

// shown is a value as it may be seen by everyone.
func shown(value any, secret bool) string {
	if list, ok := value.([]string); ok {
		return strings.Join(list, ",")
	}
	s := fmt.Sprint(value)
	if secret && s != "" {
		return "***"
	}
	return redactURL(s)
}

// redactURL takes a password out of an address, wherever a database's address may hold it.
func redactURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		if strings.Contains(s, "@") {
			return "***"
		}
		return s
	}
	if strings.Contains(u.Opaque, "@") && !strings.Contains(u.Opaque, "@sha256:") { // user:password@host without a scheme; an image's digest is none
		return "***"
	}
	query := u.Query()
	if query.Has("password") {
		query.Set("password", "xxxxx")
		u.RawQuery = query.Encode()
	} else if u.User == nil {
		return s
	}
	return u.Redacted()
}
