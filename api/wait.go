package api

import (
	"context"
	"time"

	"github.com/nes-run/nes"
)

// reread is how often a run that is waited for is read even though nobody said that it
// changed: another replica may have changed it.
const reread = 5 * time.Second

// hold counts a call that stays open. release must be called when it is over.
func (s *Server) hold() (release func(), err error) {
	if s.streams.Add(1) > int64(s.o.MaxStreams) {
		s.streams.Add(-1)
		return nil, nes.Errorf(nes.CodeUnavailable, "too many callers are waiting: try again later")
	}
	return func() { s.streams.Add(-1) }, nil
}

// await returns the run as soon as done says so of it, and at the latest after wait, when it has ended, or when the server stops.
func (s *Server) await(ctx context.Context, run nes.Run, wait time.Duration, done func(*nes.Run) bool) (nes.Run, error) {
	release, err := s.hold()
	if err != nil {
		return run, err
	}
	defer release()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	tick := time.NewTicker(reread)
	defer tick.Stop()
	for {
		changed := s.o.Ledger.Changed(run.ID)
		now, err := s.o.Ledger.Run(ctx, run.ID)
		if err != nil || now.Ended() || done(&now) {
			return now, err
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-timer.C:
			return now, nil
		case <-s.closing.Done():
			return now, nil
		case <-ctx.Done():
			return now, ctx.Err()
		}
	}
}
