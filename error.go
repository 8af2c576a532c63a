package nes

import (
	"errors"
	"fmt"
)

// Code classifies an error for whoever has to react to it. api/problem maps
// codes to HTTP statuses, for the server and for the Go client alike.
type Code string

// The codes.
const (
	CodeInvalid       Code = "invalid"       // the request is wrong; [Error.Problems] lists all that is
	CodeNotFound      Code = "not_found"     // there is no such thing, or the caller may not know of it
	CodeConflict      Code = "conflict"      // the thing's state does not allow it
	CodeKeyReused     Code = "key_reused"    // an idempotency key came back with another request
	CodeUnauthorized  Code = "unauthorized"  // no valid credential
	CodeForbidden     Code = "forbidden"     // a valid credential without the right
	CodeTooLarge      Code = "too_large"     // more bytes than allowed
	CodeUnprocessable Code = "unprocessable" // understood, but the notebook or its source does not allow it; see [Error.Reason]
	CodeUnavailable   Code = "unavailable"   // try again later
	CodeBusy          Code = "busy"          // too many requests or a full queue; try again later
	CodeInternal      Code = "internal"      // a fault of ours; the detail is logged, not shown
)

// Problem is one thing wrong with one field of a request.
type Problem struct {
	// Field is the path of the field as the caller wrote it, such as "parameters.alpha".
	Field string `json:"field"`
	// Message says what is wrong and how to mend it.
	Message string `json:"message"`
}

// Error is an error with a code. Message is for people and holds no secret.
type Error struct {
	Code     Code
	Message  string
	Reason   Reason    // set when the error ends a run
	Problems []Problem // every field that is wrong, for CodeInvalid
	Err      error     // the cause, logged and never shown to callers
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an error with a code. A %w verb sets its cause, which becomes
// part of the message too: use it only for causes that may be shown.
func Errorf(code Code, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// Fail makes an error that ends a run for reason r, with a sentence for people.
func Fail(r Reason, format string, args ...any) error {
	return &Error{Code: CodeUnprocessable, Reason: r, Message: fmt.Sprintf(format, args...)}
}

// Invalid makes an error that lists every problem of a request, or nil when there is none.
func Invalid(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	msg := problems[0].Field + ": " + problems[0].Message
	if problems[0].Field == "" {
		msg = "the request " + problems[0].Message
	}
	if n := len(problems) - 1; n > 0 {
		msg = fmt.Sprintf("%s (and %d more)", msg, n)
	}
	return &Error{Code: CodeInvalid, Message: msg, Problems: problems}
}

// CodeOf returns the code of the outermost [Error] in err's chain, CodeInternal
// when there is none, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

// ReasonOf returns the reason for which err ends a run; [ReasonInternal] when it names none.
func ReasonOf(err error) Reason {
	if e, ok := errors.AsType[*Error](err); ok && e.Reason != "" {
		return e.Reason
	}
	return ReasonInternal
}
