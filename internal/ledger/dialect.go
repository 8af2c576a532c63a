package ledger

import (
	"context"
	"database/sql"
	"errors"

	"github.com/pressly/goose/v3"

	"github.com/nes-run/nes"
)

// dialect is all that differs between databases. The SQL of this package is
// written with ? for its arguments and is otherwise what both understand.
type dialect struct {
	goose goose.Dialect
	// rebind writes a statement's ? as the database wants them.
	rebind func(query string) string
	// like compares text without regard to ASCII case.
	like string
	// unavailable reports whether err says that the database cannot be used now but may be later.
	unavailable func(err error) bool
}

// fault turns an error of the database into one for callers, who are told what
// was tried but not how the database put it.
func (l *Ledger) fault(what string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*nes.Error](err); ok {
		return err
	}
	passing := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, sql.ErrConnDone) || errors.Is(err, errClosed) || l.dialect.unavailable(err)
	if passing {
		return &nes.Error{Code: nes.CodeUnavailable, Message: what + ": the ledger is not available", Err: err}
	}
	return &nes.Error{Code: nes.CodeInternal, Message: what + ": the ledger refused", Err: err}
}
