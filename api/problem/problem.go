// Package problem owns the form of an error on the wire, RFC 9457 problem details,
// and the one table between [nes.Code] and HTTP statuses. The server writes by
// it and the Go client reads by it, so that an error crosses the wire unchanged.
package problem

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/nes-run/nes"
)

// ContentType of a problem document.
const ContentType = "application/problem+json"

// MaxSize is the most that a client reads of a problem document, in bytes.
const MaxSize = 1 << 20

// Details is the body of an answer that is an error.
type Details struct {
	// Type is where the code is explained, relative to the server.
	Type string `json:"type"`
	// Title is the same for every error of a code.
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail says what went wrong this time, and how to mend it.
	Detail    string        `json:"detail,omitempty"`
	Code      nes.Code      `json:"code"`
	Reason    nes.Reason    `json:"reason,omitempty"`   // for which a run ended or would end
	Problems  []nes.Problem `json:"problems,omitempty"` // every wrong field
	Instance  string        `json:"instance,omitempty"` // path of the request
	RequestID string        `json:"request_id,omitempty"`
	Run       nes.RunID     `json:"run,omitempty"` // that the error is about
}

// row of the table.
type row struct {
	code   nes.Code
	status int
	title  string
}

// table holds every code once. Where codes share a status, the first is what the bare status means.
var table = []row{
	{nes.CodeInvalid, http.StatusBadRequest, "The request is not valid"},
	{nes.CodeNotFound, http.StatusNotFound, "There is no such thing"},
	{nes.CodeConflict, http.StatusConflict, "Its state does not allow this"},
	{nes.CodeUnprocessable, http.StatusUnprocessableEntity, "The notebook or its source does not allow this"},
	{nes.CodeKeyReused, http.StatusUnprocessableEntity, "The idempotency key belongs to another request"},
	{nes.CodeUnauthorized, http.StatusUnauthorized, "Sign in"},
	{nes.CodeForbidden, http.StatusForbidden, "This is not allowed"},
	{nes.CodeTooLarge, http.StatusRequestEntityTooLarge, "This is too large"},
	{nes.CodeBusy, http.StatusTooManyRequests, "Too much at once"},
	{nes.CodeUnavailable, http.StatusServiceUnavailable, "Not available now"},
	{nes.CodeInternal, http.StatusInternalServerError, "A fault in NES"},
}

// Codes lists every code of the table with its title.
func Codes() []Details {
	var all []Details
	for _, r := range table {
		all = append(all, Details{Type: typeOf(r.code), Title: r.title, Status: r.status, Code: r.code})
	}
	return all
}

// Status returns the HTTP status of a code; 500 for one that is not known.
func Status(code nes.Code) int {
	for _, r := range table {
		if r.code == code {
			return r.status
		}
	}
	return http.StatusInternalServerError
}

// CodeOf returns what a bare HTTP status means, for answers that come from a proxy.
func CodeOf(status int) nes.Code {
	for _, r := range table {
		if r.status == status {
			return r.code
		}
	}
	switch {
	case status == http.StatusBadGateway || status == http.StatusGatewayTimeout:
		return nes.CodeUnavailable
	case status >= 400 && status < 500:
		return nes.CodeInvalid
	}
	return nes.CodeInternal
}

// From describes err for a caller. Of an internal error nothing but that is told.
func From(err error) Details {
	code := nes.CodeOf(err)
	d := Details{Type: typeOf(code), Status: Status(code), Code: code}
	for _, r := range table {
		if r.code == code {
			d.Title = r.title
		}
	}
	e, ok := errors.AsType[*nes.Error](err)
	if !ok || d.Status == http.StatusInternalServerError {
		d.Detail = "Something went wrong that should not. The server's log says more under this request's id."
		return d
	}
	d.Detail, d.Reason, d.Problems = e.Message, e.Reason, e.Problems
	return d
}

// Err rebuilds the error that d describes.
func (d Details) Err() error {
	message := d.Detail
	if message == "" {
		message = d.Title
	}
	return &nes.Error{Code: d.Code, Message: message, Reason: d.Reason, Problems: d.Problems}
}

// Read rebuilds the error of an answer whose status is 400 or more, be it a problem document or what a proxy made.
func Read(res *http.Response) error {
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if kind == ContentType {
		var d Details
		if err := json.NewDecoder(io.LimitReader(res.Body, MaxSize)).Decode(&d); err == nil && d.Code != "" {
			return d.Err()
		}
	}
	return nes.Errorf(CodeOf(res.StatusCode), "the server answered %s", res.Status)
}

func typeOf(code nes.Code) string { return "/docs#error-" + string(code) }
