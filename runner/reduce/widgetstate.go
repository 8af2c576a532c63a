package reduce

import (
	"maps"
	"slices"
)

// widgets writes metadata.widgets: the state of every widget, in the format of @jupyter-widgets/schema.
func (c *copier) widgets(ws *widgets) error {
	c.text(`{"application/vnd.jupyter.widget-state+json": {"state": {`)
	sep := "\n   "
	for _, id := range slices.Sorted(maps.Keys(ws.comms)) {
		w := ws.comms[id]
		if _, ok := w.state["_model_name"]; !ok {
			continue
		}
		c.text(sep + string(encode(id)) + `: {`)
		c.model(w)
		c.text(`}`)
		sep = ",\n   "
	}
	c.text(`}, "version_major": 2, "version_minor": 0}}`)
	return c.failed
}

func (c *copier) model(w *comm) {
	if len(w.buffers) > 0 {
		c.text(`"buffers": [`)
		for i, b := range w.buffers {
			c.text(separator(i) + `{"data": `)
			c.place(b.data)
			c.text(`, "encoding": "base64", "path": ` + b.path + `}`)
		}
		c.text(`], `)
	}
	for _, name := range []string{"model_name", "model_module", "model_module_version"} {
		p := w.state["_"+name]
		c.text(`"` + name + `": `)
		c.or(p.place, p.loose, `null`)
		c.text(`, `)
	}
	c.text(`"state": {`)
	c.fields(w)
	c.text(`}`)
}

func (c *copier) fields(w *comm) {
	keys := slices.Collect(maps.Keys(w.state))
	if _, ok := w.state["outputs"]; w.owned && !ok {
		keys = append(keys, "outputs")
	}
	slices.Sort(keys)
	for i, key := range keys {
		c.text(separator(i))
		if p := w.state[key]; p.loose { // the key too may hold half a surrogate pair
			c.text(mendedKey(key))
		} else {
			c.text(`"` + key + `"`)
		}
		c.text(`: `)
		if key == "outputs" && w.owned {
			c.captured(w)
			continue
		}
		p := w.state[key]
		c.or(p.place, p.loose, `null`)
	}
}

// captured writes what an Output widget caught, behind what it held at first.
func (c *copier) captured(w *comm) {
	c.text(`[`)
	c.place(w.captured.first)
	for i, o := range w.captured.list {
		if i > 0 || w.captured.first.n > 0 {
			c.text(`, `)
		}
		c.output(o)
	}
	c.text(`]`)
}

func separator(i int) string {
	if i == 0 {
		return ""
	}
	return ", "
}
