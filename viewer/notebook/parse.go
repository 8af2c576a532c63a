package notebook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/nes-run/nes"
)

// Parse reads a notebook once, from its first to its last byte. Its error is r's own, or a
// *nes.Error with reason NotANotebook for what has no cells at all. A file that is
// malformed behind its first cell gives what could be read, and a Problem.
func Parse(r io.Reader) (*Index, error) {
	p := &parser{s: newScanner(r), x: &Index{Version: Version}}
	err := p.notebook()
	var bad *errSyntax
	switch {
	case errors.As(err, &bad) && p.seenCells:
		p.problem("The file is damaged: %s. What comes before is shown.", bad.Error())
	case errors.As(err, &bad):
		return nil, nes.Fail(nes.ReasonNotANotebook, "not a notebook: %s", bad.Error())
	case err != nil:
		return nil, err
	case !p.seenCells:
		return nil, nes.Fail(nes.ReasonNotANotebook, "not a notebook: it has no list of cells")
	}
	p.x.Size = p.s.off
	p.finish()
	return p.x, nil
}

type parser struct {
	s         *scanner
	x         *Index
	inline    int64 // bytes of bodies that are held
	shortKeys bool  // within an output of nbformat 3
	seenCells bool
	dropped   int // cells beyond MaxCells
}

func (p *parser) problem(format string, args ...any) {
	p.x.Problems = append(p.x.Problems, fmt.Sprintf(format, args...))
}

func (p *parser) notebook() error {
	return p.s.object(func(key string) error {
		switch key {
		case "nbformat":
			return p.integer(&p.x.Major)
		case "nbformat_minor":
			return p.integer(&p.x.Minor)
		case "metadata":
			return p.orSkip('{', p.metadata)
		case "cells":
			return p.orSkip('[', p.cells)
		case "worksheets": // nbformat 3
			p.seenCells = true
			return p.orSkip('[', func() error { return p.s.array(func(int) error { return p.orSkip('{', p.worksheet) }) })
		default:
			return p.s.skip()
		}
	})
}

func (p *parser) worksheet() error {
	return p.s.object(func(key string) error {
		if key == "cells" {
			return p.orSkip('[', p.cells)
		}
		return p.s.skip()
	})
}

// orSkip reads a value by f if it begins with open, and skips it otherwise.
func (p *parser) orSkip(open byte, f func() error) error {
	if c, err := p.s.peek(); err != nil {
		return err
	} else if c != open {
		return p.s.skip()
	}
	return f()
}

func (p *parser) metadata() error {
	return p.s.object(func(key string) error {
		if key == "widgets" { // the state of widgets may be most of the file, and is not shown
			return p.s.skip()
		}
		raw, err := p.s.raw(maxMetadata)
		if err != nil || raw == nil {
			return err
		}
		p.x.setMetadata(key, raw)
		return nil
	})
}

func (p *parser) cells() error {
	p.seenCells = true
	return p.s.array(func(int) error {
		if len(p.x.Cells) >= MaxCells {
			p.dropped++
			return p.s.skip()
		}
		if c, err := p.s.peek(); err != nil {
			return err
		} else if c != '{' {
			p.x.Cells = append(p.x.Cells, Cell{Type: "unknown", Problem: "The cell is not an object."})
			return p.s.skip()
		}
		cell := Cell{Type: "unknown"}
		err := p.cell(&cell)
		if err != nil {
			cell.Problem = "The cell is damaged: " + err.Error() + "."
		}
		p.x.Cells = append(p.x.Cells, cell)
		return err
	})
}

func (p *parser) cell(c *Cell) error {
	var meta json.RawMessage
	dropped := 0
	err := p.s.object(func(key string) (err error) {
		switch key {
		case "cell_type":
			return p.name(&c.Type)
		case "id":
			return p.name(&c.ID)
		case "source", "input":
			return p.source(c)
		case "execution_count", "prompt_number":
			return p.count(&c.Count)
		case "level":
			return p.integer(&c.Level)
		case "collapsed":
			return p.flag(&c.OutputsHidden)
		case "metadata":
			meta, err = p.s.raw(maxMetadata)
			return err
		case "attachments":
			return p.orSkip('{', func() error { return p.attachments(c) })
		case "outputs":
			return p.orSkip('[', func() error { return p.outputs(c, &dropped) })
		default:
			return p.s.skip()
		}
	})
	c.setMetadata(meta)
	if dropped > 0 {
		c.Problem = fmt.Sprintf("%d more outputs are not shown.", dropped)
	}
	return err
}

func (p *parser) source(c *Cell) error {
	keep := capture{limit: MaxSource}
	ok, err := p.s.joined(&keep)
	c.Source = keep.text()
	if err == nil && !ok {
		c.Problem = "The source is not text."
	}
	if keep.cut() {
		c.Problem = fmt.Sprintf("The source is cut: %d of %d bytes are shown.", len(keep.buf), keep.size)
	}
	return err
}

func (p *parser) attachments(c *Cell) error {
	return p.s.object(func(name string) error {
		if len(c.Attachments) >= MaxBodies {
			return p.s.skip()
		}
		a := Attachment{Name: name}
		err := p.orSkip('{', func() error { return p.bundle(&a.Bodies) })
		c.Attachments = append(c.Attachments, a)
		return err
	})
}

// bundle reads an object of bodies by MIME type.
func (p *parser) bundle(bodies *[]Body) error {
	return p.s.object(func(mime string) error {
		if len(*bodies) >= MaxBodies {
			return p.s.skip()
		}
		b, err := p.body(mime)
		if err != nil {
			return err
		}
		*bodies = append(*bodies, b)
		return nil
	})
}

func (p *parser) outputs(c *Cell, dropped *int) error {
	return p.s.array(func(int) error {
		if len(c.Outputs) >= MaxOutputs {
			*dropped++
			return p.s.skip()
		}
		if ch, err := p.s.peek(); err != nil {
			return err
		} else if ch != '{' {
			c.Outputs = append(c.Outputs, Output{Type: "unknown", Problem: "The output is not an object."})
			return p.s.skip()
		}
		o := Output{Type: "unknown"}
		err := p.output(&o)
		if err != nil {
			o.Problem = "The output is damaged: " + err.Error() + "."
		}
		c.Outputs = append(c.Outputs, o)
		return err
	})
}

// shortTypes are the keys that nbformat 3 has in place of MIME types.
var shortTypes = map[string]string{
	"text": "text/plain", "html": "text/html", "svg": "image/svg+xml", "png": "image/png", "jpeg": "image/jpeg",
	"latex": "text/latex", "json": "application/json", "javascript": "application/javascript", "pdf": "application/pdf",
}

func (p *parser) output(o *Output) error {
	var fail Error
	var sizes json.RawMessage
	err := p.s.object(func(key string) (err error) {
		switch key {
		case "output_type":
			return p.name(&o.Type)
		case "name", "stream":
			return p.name(&o.Name)
		case "execution_count", "prompt_number":
			return p.count(&o.Count)
		case "data":
			return p.orSkip('{', func() error { return p.bundle(&o.Bodies) })
		case "metadata":
			sizes, err = p.s.raw(maxMetadata)
			return err
		case "ename":
			return p.name(&fail.Name)
		case "evalue":
			return p.limited(&fail.Value, MaxInline)
		case "traceback":
			return p.traceback(&fail)
		}
		if mime, ok := shortTypes[key]; ok && len(o.Bodies) < MaxBodies {
			return p.shortBody(o, mime)
		}
		return p.s.skip()
	})
	o.classify(fail)
	o.setSizes(sizes)
	return err
}

// shortBody reads a stream's text, or a body under a key of nbformat 3.
func (p *parser) shortBody(o *Output, mime string) error {
	p.shortKeys = true
	defer func() { p.shortKeys = false }()
	b, err := p.body(mime)
	if err == nil {
		o.Bodies = append(o.Bodies, b)
	}
	return err
}

func (p *parser) traceback(e *Error) error {
	room := MaxTraceback
	line := func(int) error {
		keep := capture{limit: room}
		_, err := p.s.joined(&keep)
		if room -= len(keep.buf); keep.size > 0 && len(e.Traceback) < 1000 {
			e.Traceback = append(e.Traceback, keep.text())
		}
		return err
	}
	if c, err := p.s.peek(); err != nil || c != '[' {
		return cmpErr(err, line(0))
	}
	return p.s.array(line)
}

// name reads a short string; another value is skipped and leaves v.
func (p *parser) name(v *string) error { return p.limited(v, maxName) }

func (p *parser) limited(v *string, limit int) error {
	keep := capture{limit: limit}
	ok, err := p.s.joined(&keep)
	if ok {
		*v = keep.text()
	}
	return err
}

func (p *parser) integer(v *int) error {
	var n *int
	err := p.count(&n)
	if n != nil {
		*v = *n
	}
	return err
}

// count reads a number or null.
func (p *parser) count(v **int) error {
	raw, err := p.s.raw(64)
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(strings.TrimSpace(string(raw))); err == nil {
		*v = &n
	}
	return nil
}

func (p *parser) flag(v *bool) error {
	raw, err := p.s.raw(16)
	*v = string(raw) == "true"
	return err
}
