package notebook

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"io"
	"strings"
)

// capture keeps the first limit bytes that are written to it and counts them all.
type capture struct {
	limit int
	buf   []byte
	size  int64
	sum   hash.Hash // nil when no digest is wanted
}

func (c *capture) Write(p []byte) (int, error) {
	c.size += int64(len(p))
	if room := c.limit - len(c.buf); room > 0 {
		c.buf = append(c.buf, p[:min(room, len(p))]...)
	}
	if c.sum != nil {
		c.sum.Write(p)
	}
	return len(p), nil
}

func (c *capture) text() string { return strings.ToValidUTF8(string(c.buf), "\uFFFD") }
func (c *capture) cut() bool    { return c.size > int64(len(c.buf)) }

// joined reads nbformat's "string or list of strings" into w. A value of another kind is
// skipped, and ok is false.
func (s *scanner) joined(w io.Writer) (ok bool, err error) {
	c, err := s.peek()
	if err != nil {
		return false, err
	}
	switch c {
	case '"':
		return true, s.str(w)
	case '[':
		ok = true
		err = s.array(func(int) error {
			if c, err := s.peek(); err != nil || c == '"' {
				return cmpErr(err, s.strIf(err, w))
			}
			ok = false
			return s.skip()
		})
		return ok, err
	default:
		return false, s.skip()
	}
}

func (s *scanner) strIf(err error, w io.Writer) error {
	if err != nil {
		return err
	}
	return s.str(w)
}

// raw consumes a value of any kind and returns its JSON; nil when it is longer than limit.
func (s *scanner) raw(limit int) (json.RawMessage, error) {
	if _, err := s.peek(); err != nil {
		return nil, err
	}
	keep := &capture{limit: limit}
	if err := s.copyValue(keep); err != nil || keep.cut() || !json.Valid(keep.buf) {
		return nil, err
	}
	return keep.buf, nil
}

// copyValue consumes a value and writes its JSON to w as it stands in the file.
func (s *scanner) copyValue(w io.Writer) error {
	before := s.tee
	s.tee = w
	defer func() { s.tee = before }()
	return s.skip()
}

// body consumes the value of a MIME type.
func (p *parser) body(mime string) (Body, error) {
	if _, err := p.s.peek(); err != nil {
		return Body{}, err
	}
	b := Body{MIME: strings.ToLower(mime), Offset: p.s.off, JSON: isJSON(mime)}
	keep := &capture{limit: MaxInline, sum: sha256.New()}
	if err := p.readBody(&b, keep); err != nil {
		return b, err
	}
	b.Length = p.s.off - b.Offset
	b.Size = keep.size
	b.SHA256 = hex.EncodeToString(keep.sum.Sum(nil))
	if strings.HasPrefix(b.MIME, "image/") {
		b.Width, b.Height = sizeOf(b.MIME, keep.buf)
	}
	if !keep.cut() && p.inline+b.Size <= MaxInlineTotal {
		p.inline += b.Size
		b.Inline, b.Text = true, keep.text()
	}
	return b, nil
}

func (p *parser) readBody(b *Body, w io.Writer) error {
	if c, err := p.s.peek(); err != nil {
		return err
	} else if b.JSON && c == '"' && p.shortKeys {
		b.JSON = false // nbformat 3 keeps JSON in a string
	} else if !b.JSON && c != '"' && c != '[' {
		b.JSON = true // not what the format says; shown as it is
	}
	if b.JSON {
		return p.s.copyValue(w)
	}
	_, err := p.s.joined(w)
	return err
}

// isJSON reports whether nbformat keeps values of this type as JSON rather than as text.
func isJSON(mime string) bool {
	m := strings.ToLower(mime)
	return m == "application/json" || strings.HasPrefix(m, "application/") && strings.HasSuffix(m, "+json")
}

// Sections is implemented by files for which one reading from an offset on costs less than many: those of a bucket.
type Sections interface {
	OpenSection(offset, length int64) (io.ReadCloser, error)
}

func openSection(file io.ReaderAt, offset, length int64) (io.ReadCloser, error) {
	if f, ok := file.(Sections); ok {
		return f.OpenSection(offset, length)
	}
	return io.NopCloser(io.NewSectionReader(file, offset, length)), nil
}

// Copy writes the body to w, read from the file at its place. Memory does not grow with it.
func (b *Body) Copy(w io.Writer, file io.ReaderAt) error {
	if b.Inline {
		_, err := io.WriteString(w, b.Text)
		return err
	}
	section, err := openSection(file, b.Offset, b.Length)
	if err != nil {
		return err
	}
	defer section.Close()
	s, out := newScanner(section), bufio.NewWriterSize(w, 32<<10) // a string comes in pieces as short as a letter
	if b.JSON {
		err = s.copyValue(out)
	} else {
		_, err = s.joined(out)
	}
	if flushed := out.Flush(); err == nil {
		err = flushed
	}
	return err
}
