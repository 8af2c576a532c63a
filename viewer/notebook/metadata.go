package notebook

import (
	"encoding/json"
	"strings"
	"time"
)

// setMetadata takes over one key of the notebook's metadata, as far as it is known.
func (x *Index) setMetadata(key string, raw json.RawMessage) {
	switch key {
	case "title":
		_ = json.Unmarshal(raw, &x.Title)
	case "name": // nbformat 3
		if x.Title == "" {
			_ = json.Unmarshal(raw, &x.Title)
		}
	case "kernelspec":
		f := fields(raw)
		x.Kernel, x.KernelName = f.text("name"), f.text("display_name")
		x.setLanguage(f.text("language"))
	case "language_info":
		x.setLanguage(fields(raw).text("name"))
	case "papermill":
		x.Execution = execution(fields(raw))
	case "nes":
		x.NES = raw
	}
}

func (x *Index) setLanguage(name string) {
	if name != "" {
		x.Language = strings.ToLower(name)
	}
}

func execution(f object) *Execution {
	e := &Execution{Start: f.time("start_time"), End: f.time("end_time"), Seconds: f.number("duration"), Parameters: f["parameters"]}
	e.Failed = string(f["exception"]) == "true"
	return e
}

// finish says what the whole file lacks.
func (p *parser) finish() {
	x := p.x
	if p.dropped > 0 {
		p.problem("The first %d cells are shown; %d more are not.", MaxCells, p.dropped)
	}
	if x.Major != 2 && x.Major != 3 && x.Major != 4 && len(x.Problems) == 0 {
		p.problem("The file says that it has nbformat %d; 2 to 4 are known. It is read as 4.", x.Major)
	}
	if x.Language == "" {
		x.Language = "python" // what notebooks without a word on it are written in
	}
}

// object is a JSON object whose fields are read one by one, so that one of the wrong kind costs only itself.
type object map[string]json.RawMessage

func fields(raw json.RawMessage) object {
	var o object
	_ = json.Unmarshal(raw, &o)
	return o
}

func (o object) text(key string) string {
	var s string
	_ = json.Unmarshal(o[key], &s)
	return s
}

func (o object) number(key string) float64 {
	var n float64
	_ = json.Unmarshal(o[key], &n)
	return max(n, 0)
}

func (o object) flag(key string) bool { return string(o[key]) == "true" }

// time reads a time as papermill writes it, with or without a zone, or a number of seconds since 1970.
func (o object) time(key string) *time.Time {
	if n := o.number(key); n > 0 && n < 1e11 {
		t := time.UnixMilli(int64(n * 1000)).UTC()
		return &t
	}
	text := o.text(key)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, text); err == nil {
			t = t.UTC()
			return &t
		}
	}
	return nil
}

func (c *Cell) setMetadata(raw json.RawMessage) {
	f := fields(raw)
	_ = json.Unmarshal(f["tags"], &c.Tags)
	jupyter := fields(f["jupyter"])
	c.SourceHidden = jupyter.flag("source_hidden") || f.flag("hide_input") || c.HasTag("hide-input") || c.HasTag("hide_input") || c.HasTag("hide-cell")
	c.OutputsHidden = c.OutputsHidden || jupyter.flag("outputs_hidden") || f.flag("collapsed") || c.HasTag("hide-output")
	if c.RawMIME = f.text("raw_mimetype"); c.RawMIME == "" {
		c.RawMIME = f.text("format")
	}
	c.Run = timing(fields(f["papermill"]), fields(f["nes"]))
}

// timing reads papermill's metadata and, for what papermill does not know, NES's beside it.
func timing(papermill, nes object) Timing {
	t := Timing{Status: status(papermill.text("status")), Start: papermill.time("start_time"), Seconds: papermill.number("duration")}
	if t.Detail = nes.text("status"); t.Status == "" {
		t.Status = status(t.Detail)
	}
	if wall := nes.number("wall_seconds"); wall > 0 {
		t.Seconds = wall
	}
	t.CPU, t.Memory = nes.number("cpu_seconds"), int64(nes.number("memory_peak_bytes"))
	return t
}

// status reduces papermill's and the journal's words to four.
func status(word string) string {
	switch word {
	case Pending, Running, Completed, Failed:
		return word
	case "ok", "allowed":
		return Completed
	case "error", "died", "timeout", "stopped":
		return Failed
	}
	return ""
}

// classify settles what only the whole output tells.
func (o *Output) classify(fail Error) {
	switch o.Type {
	case "pyout":
		o.Type = "execute_result"
	case "pyerr":
		o.Type = "error"
	}
	if o.Type == "error" {
		o.Error = &fail
	}
	if o.Type == "stream" && o.Name == "" {
		o.Name = "stdout"
	}
}

// setSizes takes over width and height that the output's metadata gives for a MIME type.
func (o *Output) setSizes(raw json.RawMessage) {
	meta := fields(raw)
	for i := range o.Bodies {
		f := fields(meta[o.Bodies[i].MIME])
		o.Bodies[i].resize(int(min(f.number("width"), maxPixels)), int(min(f.number("height"), maxPixels)))
	}
}

// resize takes over the size that a notebook asks for; where it gives one side, the other keeps the image's proportion.
func (b *Body) resize(width, height int) {
	switch {
	case width > 0 && height == 0 && b.Width > 0:
		height = max(1, b.Height*width/b.Width)
	case height > 0 && width == 0 && b.Height > 0:
		width = max(1, b.Width*height/b.Height)
	}
	if width > 0 {
		b.Width, b.Height = width, height
	}
}
