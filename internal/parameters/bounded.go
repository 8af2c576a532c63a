package parameters

import (
	"encoding/json"
	"fmt"
	"strings"
)

// maxExpanded is how many parts a JSON Schema may have once each reference is replaced by what it refers to.
const maxExpanded = 10_000

// bounded refuses a schema that could keep the server busy or exhaust its stack: a notebook brings it, and checking
// follows references without a limit of its own. A schema that refers to itself is refused, one level of data
// being all that parameters need, and so is one that grows beyond [maxExpanded].
func bounded(raw json.RawMessage) error {
	var root any
	if err := json.Unmarshal(raw, &root); err != nil {
		return fmt.Errorf("it is not JSON: %w", err)
	}
	w := walker{root: root, sizes: map[string]int{}, open: map[string]bool{}}
	n, err := w.size(root, 0)
	if err == nil && n > maxExpanded {
		err = errTooWide
	}
	return err
}

var errTooWide = fmt.Errorf("with its references it has more than %d parts", maxExpanded)

// walker measures a schema.
type walker struct {
	root  any
	sizes map[string]int  // by reference
	open  map[string]bool // references that are being followed
}

func (w *walker) size(v any, depth int) (int, error) {
	if depth > maxDepth {
		return 0, fmt.Errorf("it is nested deeper than %d levels", maxDepth)
	}
	total := 1
	add := func(v any) error {
		n, err := w.size(v, depth+1)
		total = min(total+n, maxExpanded+1)
		return err
	}
	switch v := v.(type) {
	case []any:
		for _, element := range v {
			if err := add(element); err != nil {
				return 0, err
			}
		}
	case map[string]any:
		for key, value := range v {
			if err := add(value); err != nil {
				return 0, err
			}
			n, err := w.reference(key, value, depth)
			if err != nil {
				return 0, err
			}
			total = min(total+n, maxExpanded+1)
		}
	}
	return total, nil
}

// reference measures what a reference leads to.
func (w *walker) reference(key string, value any, depth int) (int, error) {
	to, isText := value.(string)
	switch {
	case key == "$dynamicRef" || key == "$recursiveRef":
		return 0, fmt.Errorf("%s is not supported, use $ref", key)
	case key == "$id" && depth > 0:
		return 0, fmt.Errorf("$id is taken at the top alone, refer to #/$defs/name")
	case key == "$anchor" || key == "$dynamicAnchor":
		return 0, fmt.Errorf("%s is not supported, refer to #/$defs/name", key)
	case key != "$ref" || !isText:
		return 0, nil
	case w.open[to]:
		return 0, fmt.Errorf("%s refers to itself", to)
	}
	if n, known := w.sizes[to]; known {
		return n, nil
	}
	target, err := w.follow(to)
	if err != nil {
		return 0, err
	}
	w.open[to] = true
	n, err := w.size(target, depth+1)
	delete(w.open, to)
	w.sizes[to] = n
	return n, err
}

// follow finds what a reference within the schema leads to.
func (w *walker) follow(to string) (any, error) {
	path, ok := strings.CutPrefix(to, "#/")
	if !ok || strings.ContainsAny(path, "~%") {
		return nil, fmt.Errorf("%s is not followed: only #/$defs/name is", to)
	}
	at := w.root
	for part := range strings.SplitSeq(path, "/") {
		object, ok := at.(map[string]any)
		if !ok || object[part] == nil {
			return nil, fmt.Errorf("%s leads nowhere", to)
		}
		at = object[part]
	}
	return at, nil
}
