package ledger

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/nes-run/nes"
)

// postgresConns is how many connections write at most, and as many read; one more listens.
// "pool_max_conns" in the address changes it.
const postgresConns = 8

// channel is where changes are announced: the run, and the transaction by its name.
const channel = "nes_ledger"

var postgresDialect = dialect{
	goose:  goose.DialectPostgres,
	shared: true,
	rebind: numbered,
	like:   "ILIKE",
	now:    "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT",
	// Not FOR UPDATE, for which the insertion of a row that refers to this one would wait.
	locked:      " FOR NO KEY UPDATE",
	alone:       "SELECT pg_advisory_xact_lock(hashtextextended(?, 0))",
	announce:    " RETURNING pg_notify('" + channel + "', run_id || ' ' || change_id)",
	unavailable: postgresUnavailable,
	raced:       postgresRaced,
	unsure:      postgresUnsure,
}

// postgresSession is how each connection uses the database. Its limits free what a process holds that was
// frozen or cut off: most of all the counter of events, for which all writers wait.
var postgresSession = map[string]string{
	"application_name":                    "nes",
	"default_transaction_isolation":       "read committed",
	"synchronous_commit":                  "on",
	"statement_timeout":                   "20s",
	"lock_timeout":                        "10s",
	"idle_in_transaction_session_timeout": "10s",
	"timezone":                            "UTC",
}

// openPostgres opens connections that write, connections that read, and one that listens.
func (l *Ledger) openPostgres(ctx context.Context, url string) error {
	c, conns, err := postgresConfig(url)
	if err != nil {
		return err
	}
	reading := c.Copy()
	reading.RuntimeParams["default_transaction_read_only"] = "on"
	l.writes, l.reads = l.postgresPool(c, conns), l.postgresPool(reading, conns)
	l.listener, err = listen(ctx, c, l.self, l.hub, l.log)
	if err != nil {
		where := fmt.Sprintf("%s:%d/%s", c.Host, c.Port, c.Database)
		// pgx says why, and never the password.
		err = nes.Errorf(nes.CodeUnavailable, "open the ledger at %s: %w: check NES_LEDGER and that the database runs and exists", where, err)
		return errors.Join(err, l.reads.close(), l.writes.close())
	}
	return nil
}

func (l *Ledger) postgresPool(c *pgx.ConnConfig, conns int) *pool {
	db := stdlib.OpenDB(*c)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	db.SetConnMaxLifetime(time.Hour) // servers behind an address change
	return newPool(db, l.dialect)
}

func postgresConfig(url string) (c *pgx.ConnConfig, conns int, err error) {
	c, err = pgx.ParseConfig(url)
	if err != nil {
		return nil, 0, nes.Errorf(nes.CodeInvalid, "the ledger's address cannot be read: write it like postgres://user:password@host:5432/database?sslmode=verify-full")
	}
	conns = postgresConns
	if n, ok := c.RuntimeParams["pool_max_conns"]; ok {
		delete(c.RuntimeParams, "pool_max_conns")
		if conns, err = strconv.Atoi(n); err != nil || conns < 1 {
			return nil, 0, nes.Errorf(nes.CodeInvalid, "the ledger's pool_max_conns is %q: write a number from 1", n)
		}
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	for name, value := range postgresSession {
		if _, set := c.RuntimeParams[name]; !set {
			c.RuntimeParams[name] = value
		}
	}
	return c, conns, nil
}

// numbered writes each ? as $1, $2, ... No statement of this package has one in a literal.
func numbered(query string) string {
	var b strings.Builder
	for i := 1; ; i++ {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(i))
		query = after
	}
}

// postgresUnavailable knows the conditions that pass: no connection, a server that starts, stops, has
// no room, or is a standby that only reads; a statement or lock that took too long.
func postgresUnavailable(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code {
		case "55P03", "25006", "25P03":
			return true
		}
		class := e.Code[:min(2, len(e.Code))]
		return class == "08" || class == "53" || class == "57" || class == "58"
	}
	return disconnected(err)
}

// postgresRaced: a serialisation failure, a deadlock, or a key that another transaction inserted first.
func postgresRaced(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "40001" || e.Code == "40P01" || e.Code == "23505")
}

// postgresUnsure: everything but a plain answer of the server.
func postgresUnsure(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.HasPrefix(e.Code, "57") || strings.HasPrefix(e.Code, "08")
	}
	return !errors.Is(err, pgx.ErrTxCommitRollback) && !errors.Is(err, sql.ErrTxDone)
}

func disconnected(err error) bool {
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	return pgconn.SafeToRetry(err) || pgconn.Timeout(err) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, sql.ErrTxDone)
}
