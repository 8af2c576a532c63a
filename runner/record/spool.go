package record

import (
	"errors"
	"io"
	"os"
	"unicode/utf8"
)

// spool is the text of a live log, in a file that nobody else can name.
type spool struct {
	dir  string
	file *os.File
	size int64
	max  int64
	err  error
}

const spoolFull = "[the log is longer than may be stored: the rest is left out]\n"

func newSpool(dir string, max int64) *spool { return &spool{dir: dir, max: max} }

// append never fails at once: the log is worth less than the journal that is being taken in.
func (s *spool) append(text []byte) {
	if len(text) == 0 || s.err != nil || s.size > s.max {
		return
	}
	if s.size+int64(len(text)) > s.max {
		text = append(firstRunes(text, s.max-s.size), spoolFull...)
		defer func() { s.size = max(s.size, s.max+1) }()
	}
	if s.file == nil {
		if s.file, s.err = anonymous(s.dir); s.err != nil {
			return
		}
	}
	n, err := s.file.WriteAt(text, s.size)
	s.size, s.err = s.size+int64(n), err
}

// reader reads everything that was spooled.
func (s *spool) reader() io.Reader {
	if s.file == nil {
		return eof{}
	}
	return io.NewSectionReader(s.file, 0, s.size)
}

// page reads at most limit bytes from cursor on, whole characters only.
func (s *spool) page(cursor int64, limit int) (string, error) {
	if s.file == nil || cursor >= s.size {
		return "", s.err
	}
	buf := make([]byte, min(int64(limit), s.size-cursor))
	n, err := s.file.ReadAt(buf, cursor)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return string(wholeRunes(buf[:n])), nil
}

func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
	}
}

// anonymous makes a file that goes away with this process.
func anonymous(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "nes-spool-*")
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

// wholeRunes cuts off a character that was begun at the end; it leaves what is no UTF-8 as it is.
func wholeRunes(b []byte) []byte {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		c := b[len(b)-i]
		if !utf8.RuneStart(c) {
			continue
		}
		if c >= utf8.RuneSelf && !utf8.FullRune(b[len(b)-i:]) && len(b) > i {
			return b[:len(b)-i]
		}
		break
	}
	return b
}

// firstRunes is the beginning of text, n bytes of it at most, between two characters; text is longer than that.
func firstRunes(text []byte, n int64) []byte {
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }
