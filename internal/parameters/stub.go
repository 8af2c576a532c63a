package parameters

import (
	"encoding/json"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/nbformat"
)

func inspect(nb *nbformat.Notebook) Schema { return Schema{Language: nb.Language()} }

func fit(_ Schema, given map[string]json.RawMessage) (map[string]json.RawMessage, []nes.Conversion, error) {
	return given, nil, nil
}

func checkNames(map[string]json.RawMessage) []nes.Problem { return nil }
