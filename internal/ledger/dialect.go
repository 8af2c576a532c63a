package ledger

import (
	"context"
	"database/sql"
	"errors"

	"github.com/pressly/goose/v3"

	"github.com/nes-run/nes"
)

// dialect is all that differs between databases. The SQL of this package is
// written with ? for its arguments and is otherwise what both understand. Where a
// database needs nothing, because its transactions that write come one after another, the fragment is empty.
type dialect struct {
	goose goose.Dialect
	// shared is true where several processes may use one ledger.
	shared bool
	// rebind writes a statement's ? as the database wants them.
	rebind func(query string) string
	// like compares text without regard to ASCII case.
	like string
	// now is the database's clock, in microseconds since 1970.
	now string
	// locked ends a SELECT of a row that nobody else may change until the transaction ends.
	locked string
	// alone is a statement that lets one transaction at a time go on with a name.
	alone string
	// announce ends the insertion of an event, and tells other processes of it.
	announce string
	// unavailable reports whether err says that the database cannot be used now but may be later.
	unavailable func(err error) bool
	// raced reports whether err undid a transaction that may succeed when it is done again.
	raced func(err error) bool
	// unsure reports whether a commit that ended with err may have been done all the same.
	unsure func(err error) bool
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
		errors.Is(err, sql.ErrConnDone) || errors.Is(err, errClosed) || errors.Is(err, errUndone) ||
		l.dialect.raced(err) || l.dialect.unavailable(err)
	if passing {
		return &nes.Error{Code: nes.CodeUnavailable, Message: what + ": the ledger is not available", Err: err}
	}
	return &nes.Error{Code: nes.CodeInternal, Message: what + ": the ledger refused", Err: err}
}
