package parameters

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// dialect is what the lexer has to know of a language.
type dialect struct {
	triple    bool     // has """strings""" (and '''strings''', where single is set)
	single    bool     // 'text' is a string like "text"
	multiline bool     // an ordinary string may hold line ends
	dotted    bool     // dots belong to names
	prefixes  bool     // letters before a quote belong to the string
	block     bool     // has #= comments =#
	escapes   bool     // a line of its own may be a magic or shell command
	operators []string // of more than one character, longest first
}

// kind of a token.
type kind int

const (
	kindName kind = iota
	kindNumber
	kindString
	kindOperator
)

// token as it is written.
type token struct {
	kind kind
	s    string
	pos  int
}

func (t token) is(operator string) bool { return t.kind == kindOperator && t.s == operator }
func (t token) isName(names ...string) bool {
	for _, n := range names {
		if t.kind == kindName && t.s == n {
			return true
		}
	}
	return false
}

// statement is a logical line, or a part of one between semicolons.
type statement struct {
	indent int
	tokens []token
	help   string // the comment on its last line, else on its first
	src    string // what the tokens' positions refer to
}

// text returns some of its tokens as they are written.
func (s *statement) text(tokens []token) string {
	if len(tokens) == 0 {
		return ""
	}
	last := tokens[len(tokens)-1]
	return s.src[tokens[0].pos : last.pos+len(last.s)]
}

// errUnreadable says that the source does not follow the language's brackets and quotes.
var errUnreadable = errors.New("brackets or quotes do not match")

// Cells beyond these bounds are no parameters cells that anybody wrote.
const (
	maxDepth  = 100     // of brackets, so that recursion is bounded
	maxSource = 1 << 20 // bytes
)

type lexer struct {
	dialect
	src   string
	pos   int
	stack []byte // open brackets
	out   []statement
	cur   statement
	line  int // len(out) when the logical line began
}

// lex cuts source into statements.
func lex(source string, d dialect) ([]statement, error) {
	if len(source) > maxSource {
		return nil, errUnreadable
	}
	l := &lexer{dialect: d, src: strings.ReplaceAll(source, "\r\n", "\n")}
	l.beginLine()
	for l.pos < len(l.src) {
		if err := l.step(); err != nil {
			return nil, err
		}
	}
	if len(l.stack) > 0 {
		return nil, errUnreadable
	}
	l.endLine()
	return l.out, nil
}

// step reads one token, space, comment or line end.
func (l *lexer) step() error {
	c := l.src[l.pos]
	switch {
	case c == '\n':
		l.pos++
		if len(l.stack) == 0 {
			l.endLine()
			l.beginLine()
		}
	case c == ' ' || c == '\t' || c == '\f' || c == '\r':
		l.pos++
	case c == '\\' && strings.HasPrefix(l.src[l.pos:], "\\\n"):
		l.pos += 2
	case c == '#':
		return l.comment()
	case c == ';' && len(l.stack) == 0:
		l.pos++
		l.endStatement()
	default:
		return l.token()
	}
	return nil
}

func (l *lexer) token() error {
	c, _ := utf8.DecodeRuneInString(l.src[l.pos:])
	switch {
	case c == '"' || c == '\'' && (l.single || l.prefixes):
		return l.str(l.pos)
	case isNameStart(c):
		return l.name()
	case isDigit(l.src, l.pos) || c == '.' && isDigit(l.src, l.pos+1):
		l.number()
		return nil
	}
	return l.operator()
}

// beginLine measures the indentation, and passes over a line that is a command for
// the notebook's shell, not for the language.
func (l *lexer) beginLine() {
	start := l.pos
	for l.pos < len(l.src) && (l.src[l.pos] == ' ' || l.src[l.pos] == '\t') {
		l.pos++
	}
	l.cur.indent, l.line = l.pos-start, len(l.out)
	if l.escapes && l.pos < len(l.src) && strings.IndexByte("%!?", l.src[l.pos]) >= 0 {
		l.skipLine()
	}
}

func (l *lexer) skipLine() {
	if n := strings.IndexByte(l.src[l.pos:], '\n'); n >= 0 {
		l.pos += n
		return
	}
	l.pos = len(l.src)
}

func (l *lexer) endStatement() {
	if len(l.cur.tokens) > 0 {
		l.cur.src = l.src
		l.out = append(l.out, l.cur)
	}
	l.cur = statement{indent: l.cur.indent}
}

// endLine closes the statement; a comment at the end of the line belongs to it.
func (l *lexer) endLine() {
	if len(l.cur.tokens) == 0 && l.cur.help != "" && len(l.out) > l.line {
		l.out[len(l.out)-1].help = l.cur.help
	}
	l.endStatement()
	l.cur = statement{}
}

// comment of the line. Inside brackets the first one counts until the last line brings its own.
func (l *lexer) comment() error {
	if l.block && strings.HasPrefix(l.src[l.pos:], "#=") {
		n := strings.Index(l.src[l.pos:], "=#")
		if n < 0 {
			return errUnreadable
		}
		l.pos += n + 2
		return nil
	}
	start := l.pos
	l.skipLine()
	text := strings.TrimSpace(strings.TrimLeft(l.src[start:l.pos], "#"))
	if len(l.stack) == 0 || l.cur.help == "" {
		l.cur.help = text
	}
	return nil
}

func (l *lexer) name() error {
	start := l.pos
	for l.pos < len(l.src) {
		c, size := utf8.DecodeRuneInString(l.src[l.pos:])
		if !isNamePart(c) && (c != '.' || !l.dotted) {
			break
		}
		l.pos += size
	}
	if l.prefixes && l.pos < len(l.src) && strings.IndexByte(`"'`, l.src[l.pos]) >= 0 && isPrefix(l.src[start:l.pos]) {
		return l.str(start)
	}
	l.emit(kindName, start)
	return nil
}

// isPrefix knows the letters that may stand before a Python string.
func isPrefix(s string) bool {
	switch strings.ToLower(s) {
	case "r", "u", "b", "f", "t", "br", "rb", "fr", "rf", "tr", "rt":
		return true
	}
	return false
}

// str reads a string whose prefix begins at start and whose quote is at pos.
func (l *lexer) str(start int) error {
	quote := l.src[l.pos : l.pos+1]
	lines := l.multiline
	if l.triple && strings.HasPrefix(l.src[l.pos:], strings.Repeat(quote, 3)) {
		quote, lines = strings.Repeat(quote, 3), true
	}
	l.pos += len(quote)
	for l.pos < len(l.src) {
		switch {
		case l.src[l.pos] == '\\':
			l.pos += 2
		case strings.HasPrefix(l.src[l.pos:], quote):
			l.pos += len(quote)
			l.emit(kindString, start)
			return nil
		case l.src[l.pos] == '\n' && !lines:
			return errUnreadable
		default:
			l.pos++
		}
	}
	return errUnreadable
}

// number reads everything that may belong to one; what it means is asked later.
func (l *lexer) number() {
	start := l.pos
	hex := strings.HasPrefix(strings.ToLower(l.src[start:]), "0x")
	for l.pos < len(l.src) {
		c := l.src[l.pos]
		last := l.src[max(start, l.pos-1)]
		sign := (c == '+' || c == '-') && (last == 'e' || last == 'E') && !hex
		if !sign && c != '.' && c != '_' && !isAlnum(c) {
			break
		}
		l.pos++
	}
	l.emit(kindNumber, start)
}

func (l *lexer) operator() error {
	start := l.pos
	for _, op := range l.operators {
		if strings.HasPrefix(l.src[start:], op) {
			l.pos += len(op)
			l.emit(kindOperator, start)
			return nil
		}
	}
	c, size := utf8.DecodeRuneInString(l.src[start:])
	l.pos += size
	l.emit(kindOperator, start)
	return l.bracket(c)
}

// bracket keeps account of what is open.
func (l *lexer) bracket(c rune) error {
	switch c {
	case '(', '[', '{':
		l.stack = append(l.stack, closing(byte(c)))
		if len(l.stack) > maxDepth {
			return errUnreadable
		}
	case ')', ']', '}':
		if len(l.stack) == 0 || l.stack[len(l.stack)-1] != byte(c) {
			return errUnreadable
		}
		l.stack = l.stack[:len(l.stack)-1]
	}
	return nil
}

func (l *lexer) emit(k kind, start int) {
	l.cur.tokens = append(l.cur.tokens, token{kind: k, s: l.src[start:l.pos], pos: start})
}

func closing(open byte) byte {
	switch open {
	case '(':
		return ')'
	case '[':
		return ']'
	}
	return '}'
}

func isDigit(s string, i int) bool { return i < len(s) && '0' <= s[i] && s[i] <= '9' }

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
