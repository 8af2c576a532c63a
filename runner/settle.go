package runner

import (
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"encoding/json"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
)

// relaunchPause is before an attempt that replaces one that never started.
const relaunchPause = 500 * time.Millisecond

// maxBackoff bounds what doubling makes of a back-off.
const maxBackoff = time.Hour

// Settle says what an attempt's outcome means for its run: ActEnd, or ActRetry. attempts are
// all of the run, the newest last, with the exit that was recorded for each. It is a pure function; the jitter
// comes from the run's id.
func Settle(r *nes.Run, o nes.Outcome, attempts []nes.Attempt, p Policy, now time.Time) Decision {
	p = p.WithDefaults()
	end := Decision{Do: ActEnd, Reason: o.Reason, Message: o.Message}
	if o.Reason == nes.ReasonNotReady {
		return settleNotReady(r, o, now)
	}
	if _, ordered := OrderOf(r, p, now); ordered || o.Reason.Status() == nes.StatusSucceeded {
		return end
	}
	tally := count(attempts)
	if tally.newestUnstarted && worthAnother(o.Reason) && tally.unstarted <= p.Relaunches {
		return retry(o, now.Add(relaunchPause<<(tally.unstarted-1)))
	}
	policy := r.Spec.Retry
	if policy == nil || !mayRetry(policy, o.Reason) || tally.tried > policy.Limit {
		return end
	}
	at := now.Add(backoff(r.ID, policy, p, tally.tried))
	if d := r.Spec.Deadline.Std(); d > 0 && !at.Before(r.CreatedAt.Add(d)) {
		end.Message += " (no time for another attempt before the deadline)"
		return end
	}
	return retry(o, at)
}

// worthAnother reports whether an attempt that never started is replaced without asking: where it was lost, not where the
// backend gave it up after it had waited long enough for a place, an image or an admission.
func worthAnother(reason nes.Reason) bool {
	switch reason {
	case nes.ReasonUnschedulable, nes.ReasonImagePullFailed, nes.ReasonAdmissionRejected:
		return false
	}
	return reason.Status() == nes.StatusError
}

func retry(o nes.Outcome, at time.Time) Decision {
	return Decision{Do: ActRetry, Reason: o.Reason, Message: o.Message, At: at}
}

// settleNotReady starts the notebook again later, as long as its own policy gives it time.
func settleNotReady(r *nes.Run, o nes.Outcome, now time.Time) Decision {
	end := Decision{Do: ActEnd, Reason: o.Reason, Message: o.Message}
	n := r.Spec.NotReady
	if n == nil || r.CancelRequestedAt != nil {
		return end
	}
	next := now.Add(max(n.Every.Std(), time.Second))
	until := r.CreatedAt.Add(n.Until.Std())
	if next.After(until) {
		end.Message = fmt.Sprintf("still not ready %s after submission: %s", n.Until, o.Message)
		return end
	}
	return retry(o, next)
}

// tally of a run's attempts.
type tally struct {
	unstarted       int // never started
	tried           int // may have run, and not only to say that they are not ready
	newestUnstarted bool
}

func count(attempts []nes.Attempt) tally {
	var t tally
	for _, a := range attempts {
		var e journal.Exit
		_ = json.Unmarshal(a.Exit, &e)
		t.newestUnstarted = e.Unstarted
		switch {
		case e.Unstarted:
			t.unstarted++
		case a.Reason != nes.ReasonNotReady:
			t.tried++
		}
	}
	return t
}

func mayRetry(p *nes.Retry, reason nes.Reason) bool {
	info := reason.Info()
	if !info.Retryable {
		return false
	}
	if len(p.On) == 0 {
		return info.Status == nes.StatusError
	}
	return slices.Contains(p.On, reason)
}

// backoff doubles with every attempt, and is up to a fifth longer or shorter so that runs that failed together do not come back together.
func backoff(id nes.RunID, policy *nes.Retry, p Policy, tried int) time.Duration {
	d := policy.Backoff.Std()
	if d == 0 {
		d = p.RetryBackoff
	}
	for range tried - 1 {
		d = min(2*d, maxBackoff)
	}
	h := fnv.New32a()
	fmt.Fprintf(h, "%s.%d", id, tried)
	jitter := float64(h.Sum32()%4001)/10000 - 0.2
	return d + time.Duration(jitter*float64(d))
}
