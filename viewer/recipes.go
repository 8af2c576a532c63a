package viewer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/nes-run/nes"
)

// recipe is a way to submit the same run from elsewhere.
type recipe struct{ Name, Text string }

// recipes of a run for a server whose address is base; with sign, callers have to sign in.
func recipes(run *nes.Run, base string, sign bool) []recipe {
	if strings.HasPrefix(run.Spec.InputURL, "bundle://") {
		return nil // a tree that somebody sent has no address that others could use
	}
	return []recipe{{"curl", curl(run, base, sign)}, {"nes", command(run, base)}, {"Airflow", task(run)}}
}

func curl(run *nes.Run, base string, sign bool) string {
	body := written(struct {
		InputURL   string                     `json:"input_url"`
		Parameters map[string]json.RawMessage `json:"parameters,omitempty"`
		Runtime    string                     `json:"runtime,omitempty"`
		Profile    string                     `json:"profile,omitempty"`
	}{run.Spec.InputURL, run.Spec.Parameters, run.Spec.Runtime, run.Spec.Profile})
	head := ""
	if sign {
		head = " -H \"Authorization: Bearer $NES_TOKEN\""
	}
	return "curl -sS " + shell(base+"/v1/runs") + head + " \\\n  -H 'Content-Type: application/json' \\\n  -d " + shell(string(body))
}

func command(run *nes.Run, base string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "NES_SERVER=%s nes run %s", shell(base), shell(run.Spec.InputURL))
	for _, name := range slices.Sorted(maps.Keys(run.Spec.Parameters)) {
		value := string(run.Spec.Parameters[name])
		var text string
		// A string goes as it is, unless it would be read as another kind of value.
		if json.Unmarshal(run.Spec.Parameters[name], &text) == nil && !json.Valid([]byte(text)) {
			value = text
		}
		fmt.Fprintf(&b, " \\\n  -p %s %s", shell(name), shell(value))
	}
	return b.String()
}

func task(run *nes.Run) string {
	var b strings.Builder
	fmt.Fprintf(&b, "NesOperator(\n    task_id=%s,\n    input_url=%s,\n", python(quoted(identifier(runName(*run))), 1), python(quoted(run.Spec.InputURL), 1))
	if len(run.Spec.Parameters) > 0 {
		b.WriteString("    parameters={\n")
		for _, name := range slices.Sorted(maps.Keys(run.Spec.Parameters)) {
			fmt.Fprintf(&b, "        %s: %s,\n", python(quoted(name), 1), python(run.Spec.Parameters[name], 1))
		}
		b.WriteString("    },\n")
	}
	for _, more := range [][2]string{{"runtime", run.Spec.Runtime}, {"profile", run.Spec.Profile}} {
		if more[1] != "" {
			fmt.Fprintf(&b, "    %s=%s,\n", more[0], python(quoted(more[1]), 1))
		}
	}
	b.WriteString(")")
	return b.String()
}

// shell quotes a word for a POSIX shell.
func shell(word string) string {
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("@%+=:,./_-", c)
	}
	if word != "" && !strings.ContainsFunc(word, func(c rune) bool { return !plain(c) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func quoted(text string) json.RawMessage { return written(text) }

// written is v as JSON that people can read. What it is called with always is JSON.
func written(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("a run's words are JSON: %v", err))
	}
	return bytes.TrimSpace(b.Bytes())
}

// maxDepth of what is written as Python; nobody reads deeper.
const maxDepth = 50

// python writes a JSON value as Python does. Strings, numbers and brackets are alike in both.
func python(raw json.RawMessage, depth int) string {
	raw = bytes.TrimSpace(raw)
	if depth > maxDepth || len(raw) == 0 {
		return "..."
	}
	switch raw[0] {
	case 't':
		return "True"
	case 'f':
		return "False"
	case 'n':
		return "None"
	case '[':
		var list []json.RawMessage
		_ = json.Unmarshal(raw, &list)
		parts := make([]string, len(list))
		for i, v := range list {
			parts[i] = python(v, depth+1)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case '{':
		var object map[string]json.RawMessage
		_ = json.Unmarshal(raw, &object)
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(object)) {
			parts = append(parts, python(quoted(name), depth+1)+": "+python(object[name], depth+1))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case '"':
		return strings.ReplaceAll(string(raw), `\/`, "/") // the one escape that Python does not know
	}
	return string(raw)
}

// identifier makes a name one that a DAG can use for a task.
func identifier(name string) string {
	name = strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' {
			return c
		}
		return '_'
	}, name)
	return strings.Trim(name, "_.-")
}

// base is the address under which the reader reaches this server, without a last slash.
func (v *viewer) base(r *http.Request) string {
	if v.PublicURL != "" {
		return strings.TrimRight(v.PublicURL, "/")
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return scheme + r.Host + v.Prefix
}
