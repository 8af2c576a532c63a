package render

import (
	"slices"
	"strings"

	"github.com/nes-run/nes/viewer/notebook"
)

// marks are the classes by which a reader's view leaves a cell, its source or its outputs out, as its tags ask:
// "no-cell", "no-input" and "no-output".
func marks(c *notebook.Cell) string {
	var all []string
	for _, part := range []string{"cell", "input", "output"} {
		if slices.ContainsFunc(c.Tags, func(tag string) bool { return strings.ReplaceAll(tag, "_", "-") == "remove-"+part }) {
			all = append(all, "no-"+part)
		}
	}
	return strings.Join(all, " ")
}
