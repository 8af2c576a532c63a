package executor

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/allowance"
)

// masker replaces secrets in what processes write beside the journal. It is the log's part of what the driver does for the journal
// (nes_driver/mask.py), with the forms that one line of a log can show.
type masker struct {
	forms [][]byte // longest first
	held  []byte   // what may be the beginning of a secret
}

const masked = "***"

// lineMin is the length of a line of a secret that is masked by itself.
const lineMin = 8

// secretsOf reads the values that this process was given, and refuses one that cannot be masked.
func secretsOf(names []string) (values []string, err error) {
	for _, name := range names {
		value, ok := os.LookupEnv(name)
		if !ok {
			return nil, nes.Fail(nes.ReasonAdmissionRejected, "the secret variable %s was not given to the notebook's container: ask the administrator", name)
		}
		if len(value) < allowance.MinSecret {
			return nil, nes.Fail(nes.ReasonAdmissionRejected, "the secret variable %s has %d bytes, and one of less than %d cannot be masked in output: ask the administrator for a longer one",
				name, len(value), allowance.MinSecret)
		}
		values = append(values, value)
	}
	return values, nil
}

// newMasker returns nil where there is nothing to mask.
func newMasker(values []string) *masker {
	if len(values) == 0 {
		return nil
	}
	m := &masker{}
	for _, value := range values {
		m.add(value)
		if lines := strings.FieldsFunc(value, func(r rune) bool { return r == '\n' || r == '\r' }); len(lines) > 1 {
			for _, line := range lines {
				if len(line) >= lineMin {
					m.add(line)
				}
			}
		}
	}
	slices.SortFunc(m.forms, func(a, b []byte) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return bytes.Compare(a, b)
	})
	m.forms = slices.CompactFunc(m.forms, bytes.Equal)
	return m
}

// add takes the forms of one value.
func (m *masker) add(value string) {
	quoted, _ := json.Marshal(value) // of a text: never fails
	escaped := url.QueryEscape(value)
	forms := []string{
		value, string(quoted[1 : len(quoted)-1]), html.EscapeString(value), strings.ReplaceAll(strings.ReplaceAll(value, `\`, `\\`), "\n", `\n`),
		escaped, strings.ReplaceAll(escaped, "+", "%20"), url.PathEscape(value),
	}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		forms = append(forms, e.EncodeToString([]byte(value)))
		for before := range 3 {
			text := e.EncodeToString(append(make([]byte, before), value...))
			forms = append(forms, text[(before*8+5)/6:(before+len(value))*8/6])
		}
	}
	for _, form := range forms {
		if len(form) >= allowance.MinSecret {
			m.forms = append(m.forms, []byte(form))
		}
	}
}

// pass returns what can be written of p now, without secrets.
func (m *masker) pass(p []byte) []byte {
	text := append(m.held, p...)
	cut := m.begun(text)
	m.held = bytes.Clone(text[cut:])
	return m.mask(text[:cut])
}

// rest returns what was held back.
func (m *masker) rest() []byte {
	text := m.mask(m.held)
	m.held = nil
	return text
}

func (m *masker) mask(text []byte) []byte {
	for _, form := range m.forms {
		if bytes.Contains(text, form) {
			text = bytes.ReplaceAll(text, form, []byte(masked))
		}
	}
	return text
}

// begun is where the longest end of text begins that may go on as a secret; never inside of a whole one.
func (m *masker) begun(text []byte) int {
	cut := len(text)
	for _, form := range m.forms {
		for at := max(0, len(text)-len(form)+1); at < cut; at++ {
			if bytes.HasPrefix(form, text[at:]) {
				cut = at
			}
		}
	}
	for moved := cut < len(text); moved; {
		moved = false
		for _, form := range m.forms {
			from := max(0, cut-len(form)+1)
			at := bytes.Index(text[from:min(len(text), cut+len(form)-1)], form)
			if at >= 0 && from+at < cut {
				cut, moved = from+at, true
			}
		}
	}
	return cut
}
