package access

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/nes-run/nes"
)

// Limiter bounds how many requests a second each caller may make, with a burst of ten seconds' worth.
type Limiter struct {
	now      func() time.Time
	rate     rate.Limit
	known    crowd // callers whose credential was checked
	stranger crowd // networks of those without one, so that guesses neither cost others their share nor much of anything
}

// crowd is a bounded number of callers.
type crowd struct {
	mu sync.Mutex
	of map[string]*rate.Limiter
}

const (
	burstSeconds = 10
	// maxCrowd callers are remembered; about 1 MB.
	maxCrowd = 10_000
)

// NewLimiter makes a limiter for so many requests a second; now is the clock.
func NewLimiter(perSecond int, now func() time.Time) *Limiter {
	return &Limiter{now: now, rate: rate.Limit(perSecond)}
}

// TooFast is in the chain of an error that says busy: after Wait the caller may try again.
type TooFast struct{ Wait time.Duration }

// Error says how long to wait.
func (e *TooFast) Error() string { return fmt.Sprintf("wait for %s", e.Wait) }

// take counts a request of p, or of whoever sent r when p is nobody. The error's code is busy.
func (l *Limiter) take(p Principal, r *http.Request) error {
	if l == nil {
		return nil
	}
	who, from := p.Name, &l.known
	name := p.Team + "/" + p.Name
	if p.Name == "" {
		name, from = network(r.RemoteAddr), &l.stranger
		who = name
	}
	wait := from.reserve(name, l.rate, l.now())
	if wait == 0 {
		return nil
	}
	return &nes.Error{
		Code: nes.CodeBusy, Err: &TooFast{wait},
		Message: fmt.Sprintf("%s makes more than %d requests a second: slow down, wait with ?wait=25s instead of asking again and again, or ask for a larger NES_RATE_LIMIT", who, int(l.rate)),
	}
}

// reserve returns how long to wait for the next request; 0 is that it may be made now.
func (c *crowd) reserve(name string, limit rate.Limit, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	burst := int(limit * burstSeconds)
	one := c.of[name]
	if one == nil {
		c.forget(burst, now)
		one = rate.NewLimiter(limit, burst)
		c.of[name] = one
	}
	if one.AllowN(now, 1) {
		return 0
	}
	r := one.ReserveN(now, 1)
	defer r.CancelAt(now)
	return r.DelayFrom(now)
}

// forget makes room for one more: of those who were quiet nothing is lost, and if all are loud, all begin anew.
func (c *crowd) forget(burst int, now time.Time) {
	if len(c.of) >= maxCrowd {
		for name, one := range c.of {
			if one.TokensAt(now) >= float64(burst) {
				delete(c.of, name)
			}
		}
	}
	if c.of == nil || len(c.of) >= maxCrowd {
		c.of = map[string]*rate.Limiter{}
	}
}

// network is what one stranger can write addresses in: an IPv4 address, or 64 bits of IPv6.
func network(remote string) string {
	a, ok := address(remote)
	if !ok {
		return "somebody"
	}
	bits := 64
	if a.Is4() {
		bits = 32
	}
	return netip.PrefixFrom(a, bits).Masked().Addr().String()
}
