package app

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nes-run/nes/internal/ledger"
	"github.com/nes-run/nes/runner"
)

// Of the servers that share a ledger, one controls: the one that holds this lease.
const (
	controlLease = "controller"
	leaseTerm    = 15 * time.Second
	leaseRenew   = leaseTerm / 5
	// leaseGrace is how long after the last renewal a holder goes on: shorter than the term, so that it has
	// stopped before another begins. That two controlled for a moment would do no harm: the ledger guards every change.
	leaseGrace = leaseTerm * 3 / 5
)

// leader makes the controller control while this server holds the lease.
type leader struct {
	ledger     *ledger.Ledger
	controller *runner.Controller
	log        *slog.Logger
	self       string
}

// control starts the controller. Where others use the ledger too, it leads whenever it is this server's turn, and cares
// for what runs on this machine alone meanwhile. self is told by no other server that lives.
func (a *App) control(ctx context.Context, led *ledger.Ledger, c *runner.Controller, self string) error {
	if !led.Shared() {
		a.later("controller", func(context.Context) error { c.Stop(); return nil })
		return c.Start(ctx)
	}
	l := &leader{ledger: led, controller: c, log: a.log, self: self}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.Lead(false)
	if err := c.Start(ctx); err != nil {
		cancel()
		return err
	}
	var running sync.WaitGroup
	running.Go(func() { l.run(ctx) })
	a.later("controller", func(context.Context) error { cancel(); running.Wait(); c.Stop(); return nil })
	return nil
}

func (l *leader) run(ctx context.Context) {
	for ctx.Err() == nil {
		if l.hold(ctx) {
			l.lead(ctx)
		}
		pause(ctx, leaseRenew)
	}
}

// lead controls until the lease is lost or the server stops.
func (l *leader) lead(ctx context.Context) {
	l.turn(ctx, true)
	l.log.Info("this server controls")
	for renewed := time.Now(); time.Since(renewed) < leaseGrace; {
		pause(ctx, leaseRenew)
		if ctx.Err() != nil {
			break
		}
		asked := time.Now()
		// The call must not last longer than this server may control.
		try, cancel := context.WithDeadline(ctx, renewed.Add(leaseGrace))
		held, err := l.ledger.Hold(try, controlLease, l.self, leaseTerm)
		cancel()
		if err == nil && !held {
			break
		}
		if held {
			renewed = asked
		}
	}
	l.turn(ctx, false)
	l.log.Info("this server controls no more")
	l.release(ctx)
}

// turn makes the controller lead or follow. It waits for the steps that are under way.
func (l *leader) turn(ctx context.Context, leads bool) {
	l.controller.Stop()
	l.controller.Lead(leads)
	if err := l.controller.Start(ctx); err != nil {
		l.log.Error("the controller does not start", "err", err)
	}
}

// release lets another server begin at once; where that fails the lease runs out by itself.
func (l *leader) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := l.ledger.Release(ctx, controlLease, l.self); err != nil {
		l.log.Warn("the lease was not given back", "err", err)
	}
}

func (l *leader) hold(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, leaseRenew)
	defer cancel()
	held, err := l.ledger.Hold(ctx, controlLease, l.self, leaseTerm)
	if err != nil && ctx.Err() == nil {
		l.log.Warn("who controls cannot be found out", "err", err)
	}
	return held
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
