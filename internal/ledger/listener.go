package ledger

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nes-run/nes"
)

const (
	// listenPing is how often a connection on which nothing is heard is tried.
	listenPing = 30 * time.Second
	// listenPause is the longest time between two tries to connect.
	listenPause = 5 * time.Second
)

// listener hears of the changes that other processes make, on a connection of its own.
type listener struct {
	config *pgx.ConnConfig
	self   string // whose changes are known here without it
	hub    *hub
	log    *slog.Logger

	stop    context.CancelFunc
	stopped chan struct{}
}

// listen connects, and hears from then on.
func listen(ctx context.Context, c *pgx.ConnConfig, self string, h *hub, log *slog.Logger) (*listener, error) {
	n := &listener{config: c.Copy(), self: self, hub: h, log: log, stopped: make(chan struct{})}
	conn, err := n.connect(ctx)
	if err != nil {
		return nil, err
	}
	ctx, n.stop = context.WithCancel(context.WithoutCancel(ctx))
	go n.loop(ctx, conn)
	return n, nil
}

func (n *listener) close() {
	n.stop()
	<-n.stopped
}

func (n *listener) connect(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, n.config)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		closeConn(conn)
		return nil, err
	}
	return conn, nil
}

func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // nothing is lost with it
}

// loop hears until it is stopped, and connects again when the connection is lost. What
// happened meanwhile was not heard, so everyone looks again then.
func (n *listener) loop(ctx context.Context, conn *pgx.Conn) {
	defer close(n.stopped)
	for ctx.Err() == nil {
		err := n.hear(ctx, conn)
		closeConn(conn)
		if ctx.Err() != nil {
			return
		}
		n.log.WarnContext(ctx, "changes of other servers are not heard until the ledger is connected again", "err", err)
		if conn = n.reconnect(ctx); conn != nil {
			n.hub.all()
		}
	}
}

// reconnect tries until it succeeds; nil when it was stopped.
func (n *listener) reconnect(ctx context.Context) *pgx.Conn {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, listenPause) {
		if conn, err := n.connect(ctx); err == nil {
			return conn
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// hear passes on what is announced until the connection is lost.
func (n *listener) hear(ctx context.Context, conn *pgx.Conn) error {
	for {
		note, err := n.next(ctx, conn)
		switch {
		case err != nil:
			return err
		case note == "":
			if err := n.ping(ctx, conn); err != nil {
				return err
			}
			continue
		}
		run, change, _ := strings.Cut(note, " ")
		if !strings.HasPrefix(change, n.self+".") {
			n.hub.changed(nes.RunID(run))
		}
	}
}

// next waits for a note; it is empty when none came for a while.
func (n *listener) next(ctx context.Context, conn *pgx.Conn) (string, error) {
	wait, cancel := context.WithTimeout(ctx, listenPing)
	defer cancel()
	note, err := conn.WaitForNotification(wait)
	if err != nil {
		if wait.Err() != nil && ctx.Err() == nil && !conn.IsClosed() {
			return "", nil
		}
		return "", err
	}
	return note.Payload, nil
}

func (n *listener) ping(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, listenPause)
	defer cancel()
	return conn.Ping(ctx)
}
