package runner

import (
	"fmt"
	"time"

	"github.com/nes-run/nes"
)

// Policy is what the administrator sets for all runs. Zero fields mean the default in parentheses.
type Policy struct {
	AgentSilence time.Duration // after which an attempt that nothing is heard of is given up (60 s)
	Placing      time.Duration // that an attempt may take until its agent reports first (10 min)
	Grace        time.Duration // that a cancelled notebook has after SIGINT, and again after SIGTERM (10 s)
	Relaunches   int           // of attempts that never started, without asking (3)
	RetryBackoff time.Duration // where the run's own policy names none (10 s)
	Timeout      time.Duration // of runs that name none (0: none)
	PlaceSilence time.Duration // after which attempts of another server's machine are given up (10 min)
	MaxLook      time.Duration // after which an attempt under way is looked at, whatever happens (5 s)
}

// WithDefaults fills in what is not set.
func (p Policy) WithDefaults() Policy {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&p.AgentSilence, time.Minute)
	set(&p.Placing, 10*time.Minute)
	set(&p.Grace, 10*time.Second)
	set(&p.RetryBackoff, 10*time.Second)
	set(&p.MaxLook, 5*time.Second)
	set(&p.PlaceSilence, 10*time.Minute)
	if p.Relaunches == 0 {
		p.Relaunches = 3
	}
	return p
}

// timeout of the run's attempts; 0 is none.
func (p Policy) timeout(r *nes.Run) time.Duration {
	if r.Spec.Timeout > 0 {
		return r.Spec.Timeout.Std()
	}
	return p.Timeout
}

// slack is how much later than the driver the server acts on a clock that the driver keeps.
const slack = 5 * time.Second

// patience is how long an attempt that was told to end may take until it is ended hard.
func (p Policy) patience() time.Duration { return 2*p.Grace + 10*time.Second }

// Order is the wish that a run ends.
type Order struct {
	Reason nes.Reason
	Why    string
	Since  time.Time
}

// OrderOf says whether a run is to end, and why: the earliest of a cancel, its deadline, the
// end of its lease and the server's own copy of its timeout. Both the controller and whoever answers the agent
// ask it, so that they never differ.
func OrderOf(r *nes.Run, p Policy, now time.Time) (Order, bool) {
	var first Order
	consider := func(reason nes.Reason, since time.Time, why string) {
		if since.After(now) || (!first.Since.IsZero() && !since.Before(first.Since)) {
			return
		}
		first = Order{reason, why, since}
	}
	if at := r.CancelRequestedAt; at != nil {
		consider(nes.ReasonCancelled, *at, cancelledBy(r.CancelRequestedBy))
	}
	for _, c := range clocks(r, p) {
		consider(c.reason, c.at, c.why)
	}
	return first, !first.Since.IsZero()
}

func cancelledBy(who string) string {
	if who == "" {
		return "cancelled"
	}
	return "cancelled by " + who
}

// clock ends a run at a time that is known before.
type clock struct {
	reason nes.Reason
	at     time.Time
	why    string
}

func clocks(r *nes.Run, p Policy) []clock {
	var all []clock
	if d := r.Spec.Deadline.Std(); d > 0 {
		all = append(all, clock{nes.ReasonDeadlineExceeded, r.CreatedAt.Add(d), fmt.Sprintf("not done %s after submission", d)})
	}
	if d := r.Spec.Lease.Std(); d > 0 {
		asked := r.CreatedAt
		if r.AskedAt != nil && r.AskedAt.After(asked) {
			asked = *r.AskedAt
		}
		all = append(all, clock{nes.ReasonCancelled, asked.Add(d), fmt.Sprintf("nobody asked about the run for %s", d)})
	}
	if d := p.timeout(r); d > 0 && r.StartedAt != nil && r.Stage == nes.StageExecuting {
		all = append(all, clock{nes.ReasonRunTimeout, r.StartedAt.Add(d + slack), fmt.Sprintf("ran longer than %s", d)})
	}
	return all
}

// nextClock is the first time after now at which OrderOf may say something new; zero for none.
func nextClock(r *nes.Run, p Policy, now time.Time) time.Time {
	var next time.Time
	for _, c := range clocks(r, p) {
		next = earlier(next, after(c.at, now))
	}
	return next
}

// after returns t, or zero when it is not after now.
func after(t, now time.Time) time.Time {
	if t.After(now) {
		return t
	}
	return time.Time{}
}

// earlier returns the earlier of two times, where zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
