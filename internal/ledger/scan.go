package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nes-run/nes"
)

// runColumns are read in the order of runFields.
const runColumns = `id, status, stage, reason, message, spec, source, parameters, conversions, outcome,
	owner, team, client, parent, attempt, version, published, created_at, started_at, ended_at,
	not_before, asked_at, cancel_requested_at, cancel_requested_by`

func runFields(r *nes.Run) []any {
	return []any{
		&r.ID, &r.Status, &r.Stage, &r.Reason, &r.Message, document{&r.Spec}, document{&r.Source},
		document{&r.Parameters}, document{&r.Conversions}, document{&r.Outcome},
		&r.Owner, &r.Team, &r.Client, &r.Parent, &r.Attempt, &r.Version, flag{&r.Published}, instant{&r.CreatedAt},
		moment{&r.StartedAt}, moment{&r.EndedAt}, moment{&r.NotBefore}, moment{&r.AskedAt},
		moment{&r.CancelRequestedAt}, &r.CancelRequestedBy,
	}
}

const attemptColumns = `run_id, number, token_hash, status, reason, message, exit_marker, outcome, launched_at, started_at, ended_at, heard_at, place`

func attemptFields(a *nes.Attempt) []any {
	return []any{
		&a.RunID, &a.Number, &a.TokenHash, &a.Status, &a.Reason, &a.Message, (*[]byte)(&a.Exit), document{&a.Outcome},
		instant{&a.LaunchedAt}, moment{&a.StartedAt}, moment{&a.EndedAt}, moment{&a.HeardAt}, &a.Place,
	}
}

// document scans a column that holds JSON; NULL leaves its target as it is.
type document struct{ to any }

// Scan reads the column.
func (d document) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		return nil
	case string:
		return json.Unmarshal([]byte(v), d.to)
	case []byte:
		return json.Unmarshal(v, d.to)
	default:
		return fmt.Errorf("%T is not a document", src)
	}
}

// instant scans microseconds since 1970.
type instant struct{ to *time.Time }

// Scan reads the column.
func (i instant) Scan(src any) error {
	v, ok := src.(int64)
	if !ok {
		return fmt.Errorf("%T is not a time", src)
	}
	*i.to = time.UnixMicro(v).UTC()
	return nil
}

// moment scans microseconds since 1970, or NULL.
type moment struct{ to **time.Time }

// Scan reads the column.
func (m moment) Scan(src any) error {
	if src == nil {
		return nil
	}
	*m.to = new(time.Time)
	return instant{*m.to}.Scan(src)
}

// flag scans 0 or 1.
type flag struct{ to *bool }

// Scan reads the column.
func (f flag) Scan(src any) error {
	v, ok := src.(int64)
	if !ok {
		return fmt.Errorf("%T is not a flag", src)
	}
	*f.to = v != 0
	return nil
}

// micros is the argument for a time, which may be nil.
func micros(t *time.Time) any {
	if t == nil {
		return nil
	}
	return t.UnixMicro()
}

// encode is the argument for a column that holds JSON. Characters that matter in
// HTML alone stay as they are: a parameter keeps its form.
func encode(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "", fmt.Errorf("encode %T: %w", v, err)
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// words makes a sentence fit to be stored: it may quote what a notebook or a
// server said, and no database stores all bytes as text.
func words(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
}
