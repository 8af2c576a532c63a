package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/strictjson"
)

// jsonWriter is how echo writes JSON.
type jsonWriter struct{}

// Serialize writes v without escaping what only HTML would need escaped.
func (jsonWriter) Serialize(c echo.Context, v any, _ string) error {
	b, err := encode(v)
	if err == nil {
		_, err = c.Response().Write(b)
	}
	return err
}

// Deserialize is not used: bodies are read by [Server.decode].
func (jsonWriter) Deserialize(echo.Context, any) error { return echo.ErrUnsupportedMediaType }

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

// writeJSON writes a whole answer.
func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	b, err := encode(v)
	if err != nil {
		panic(err) // every type that is answered with can be written
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b) // the only error is a caller who has gone
}

// decode reads the request's JSON body into v, a pointer to a struct, and returns what is wrong with it.
func (s *Server) decode(c echo.Context, v any) ([]nes.Problem, error) {
	data, err := s.body(c)
	if err != nil {
		return nil, err
	}
	return strictjson.Decode(data, v), nil
}

// body reads the whole of a body that says to be JSON or says nothing. HTML forms are refused,
// which also means that a page of another website cannot send one unasked.
func (s *Server) body(c echo.Context) ([]byte, error) {
	r := c.Request()
	if given := r.Header.Get("Content-Type"); given != "" {
		kind, _, err := mime.ParseMediaType(given)
		if err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json") {
			return nil, nes.Invalid([]nes.Problem{{Field: "Content-Type", Message: "must be application/json"}})
		}
	}
	data, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, s.o.MaxBody))
	if err != nil {
		return nil, readError(err)
	}
	s.bodyDone(c)
	return data, nil
}

// bodyDone lifts the time limit of the body, so that waiting afterwards is not taken for slow sending.
func (s *Server) bodyDone(c echo.Context) {
	_ = http.NewResponseController(c.Response()).SetReadDeadline(time.Time{})
}

func readError(err error) error {
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nes.Errorf(nes.CodeTooLarge, "the body is larger than %d bytes", large.Limit)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nes.Errorf(nes.CodeInvalid, "the body came too slowly")
	}
	return nes.Errorf(nes.CodeInvalid, "the body broke off")
}

// uploadError tells what ended a long body, where it was the body and not what was done with it.
func uploadError(err error) error {
	_, large := errors.AsType[*http.MaxBytesError](err)
	if large || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF) && nes.CodeOf(err) == nes.CodeInternal {
		return readError(err)
	}
	return err
}

// patient reads a long body as long as it keeps coming.
type patient struct {
	io.Reader
	control *http.ResponseController
	idle    time.Duration
}

// Read reads on and gives the sender time anew.
func (p *patient) Read(b []byte) (int, error) {
	_ = p.control.SetReadDeadline(time.Now().Add(p.idle))
	return p.Reader.Read(b)
}
