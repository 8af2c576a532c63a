package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/nes-run/nes"
)

// given are the parameters of a command line, in papermill's five forms.
type given struct {
	base64s, files, yamls []string
	typed, raw            pairs
}

func (g *given) flags(f *pflag.FlagSet) {
	f.VarP(&g.typed, "parameters", "p", "`name value` (two words, or name=value) of a parameter; True, False, None and numbers are taken as such")
	f.VarP(&g.raw, "parameters_raw", "r", "`name value` of a parameter that is text, whatever it looks like")
	f.StringArrayVarP(&g.files, "parameters_file", "f", nil, "YAML or JSON `file` with parameters; - is standard input")
	f.StringArrayVarP(&g.yamls, "parameters_yaml", "y", nil, "parameters as YAML or JSON `text`")
	f.StringArrayVarP(&g.base64s, "parameters_base64", "b", nil, "parameters as YAML in `base64`")
}

// values puts the forms together in papermill's order, in which later ones win:
// base64, files, YAML, -p, -r.
func (g *given) values(stdin io.Reader) (map[string]json.RawMessage, error) {
	all := map[string]json.RawMessage{}
	for _, text := range g.base64s {
		b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("-b: this is not base64: %w", err)
		}
		if err := addYAML(all, b, "-b"); err != nil {
			return nil, err
		}
	}
	for _, path := range g.files {
		b, err := readFile(path, stdin)
		if err != nil {
			return nil, fmt.Errorf("-f: %w", err)
		}
		if err := addYAML(all, b, "-f "+path); err != nil {
			return nil, err
		}
	}
	for _, text := range g.yamls {
		if err := addYAML(all, []byte(text), "-y"); err != nil {
			return nil, err
		}
	}
	for _, p := range g.typed {
		all[p.name] = typedValue(p.value)
	}
	for _, p := range g.raw {
		all[p.name] = text(p.value)
	}
	return all, nil
}

func readFile(path string, stdin io.Reader) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(io.LimitReader(stdin, nes.MaxParameters+1))
	}
	return os.ReadFile(path)
}

// typedValue reads the value of -p. As with papermill, True, False and None are
// Python's, and what is a number is one. But a number is only what is written as JSON
// writes it, so that nothing is lost: 007, 1_000, +5 and nan stay text. The server
// makes of such text what the notebook declares ("007" for an int is 7, for a str "007"),
// and of a number the very text again where the notebook declares a str.
func typedValue(s string) json.RawMessage {
	switch s {
	case "True":
		return json.RawMessage("true")
	case "False":
		return json.RawMessage("false")
	case "None":
		return json.RawMessage("null")
	}
	if isNumber(s) {
		return json.RawMessage(s)
	}
	return text(s)
}

// isNumber reports whether s is a number of JSON and nothing else.
func isNumber(s string) bool {
	return s != "" && (s[0] == '-' || '0' <= s[0] && s[0] <= '9') && strings.Trim(s, "0123456789.eE+-") == "" && json.Valid([]byte(s))
}

// text is s as a JSON string. Bytes that are no UTF-8 cannot be sent, and become replacement characters.
func text(s string) json.RawMessage {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string cannot fail
	return json.RawMessage(strings.TrimSuffix(b.String(), "\n"))
}

// pairs are the values of a flag that takes a name and a value.
type pairs []pair

type pair struct{ name, value string }

// String is asked by pflag for the default.
func (p *pairs) String() string { return "" }

// Type is shown where the usage names none.
func (p *pairs) Type() string { return "name value" }

// Set takes what joinPairs has made of two words, or name=value.
func (p *pairs) Set(s string) error {
	if name, value, ok := strings.Cut(s, pairSeparator); ok {
		*p = append(*p, pair{name, value})
		return nil
	}
	name, value, ok := strings.Cut(s, "=")
	if !ok {
		return fmt.Errorf("a name and a value are needed: -p name value")
	}
	*p = append(*p, pair{name, value})
	return nil
}

// pairSeparator stands between name and value once they are one word; no argument can hold it.
const pairSeparator = "\x00"

// joinPairs makes one word of the two that papermill's options -p and -r take,
// because flags here take one. It stops at "--".
func joinPairs(args []string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		switch a := args[i]; a {
		case "--":
			return append(out, args[i:]...)
		case "-p", "--parameters", "-r", "--parameters_raw":
			out = append(out, a)
			if i+2 < len(args) && !strings.Contains(args[i+1], "=") {
				out = append(out, args[i+1]+pairSeparator+args[i+2])
				i += 2
			} else if i+1 < len(args) {
				out = append(out, args[i+1])
				i++
			}
		default:
			out = append(out, a)
		}
	}
	return out
}
