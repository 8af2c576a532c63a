package access_test

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
)

// TestManyAskAtOnce: however a caller's requests meet, as many are let in as its burst holds, and each guess stays out.
func TestManyAskAtOnce(t *testing.T) {
	t.Parallel()
	c, r := &clock{time.Unix(1_800_000_000, 0)}, &register{}
	kim, lee := issue(t, c, r, "kim", access.RoleRead), issue(t, c, r, "lee", access.RoleRead)
	ask := asker(access.NewGate(access.GateOptions{Issuer: access.NewIssuer(r, c.now), Limiter: access.NewLimiter(5, c.now)}))
	var in, busy, out atomic.Int64
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			switch err := ask(fmt.Sprintf("192.0.2.%d:1", i%250), []string{kim, lee, "guess"}[i%3]); nes.CodeOf(err) {
			case "":
				in.Add(1)
			case nes.CodeBusy:
				busy.Add(1)
			case nes.CodeUnauthorized:
				out.Add(1)
			}
		})
	}
	wg.Wait()
	require.Equal(t, []int64{100, 100, 100}, []int64{in.Load(), busy.Load(), out.Load()}, "two bursts of fifty, what is beyond them, and the guesses")
}

// TestTheLastStrangerCounts holds the reading of X-Forwarded-For to a plain look at chains of proxies.
func TestTheLastStrangerCounts(t *testing.T) {
	t.Parallel()
	gate := access.NewGate(access.GateOptions{Trusted: trusting(), AnyHost: true})
	hops := []string{"10.1.2.3", "203.0.113.9", "192.0.2.10", "192.0.2.11", "fd00::1", "nonsense", ""}
	ours := func(s string) bool { return s == "192.0.2.10" || s == "192.0.2.11" }
	random := rand.New(rand.NewPCG(1, 2))
	let := map[bool]int{}
	for range 5000 {
		var chain []string
		for range random.IntN(5) {
			chain = append(chain, hops[random.IntN(len(hops))])
		}
		want := false
		for i := len(chain) - 1; i >= 0; i-- {
			if !ours(chain[i]) {
				want = chain[i] == "10.1.2.3" || chain[i] == "fd00::1"
				break
			}
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = "192.0.2.10:80"
		cut := random.IntN(len(chain) + 1) // the header may come in two lines
		for _, part := range [][]string{chain[:cut], chain[cut:]} {
			if len(part) > 0 {
				r.Header.Add("X-Forwarded-For", strings.Join(part, ", "))
			}
		}
		p, err := gate.Enter(r)
		require.Equal(t, want, err == nil, "%q", chain)
		require.Equal(t, want, p.Name == "airflow")
		let[want]++
	}
	require.Greater(t, let[true], 500)
	require.Greater(t, let[false], 500)
}

func TestAProfileThatIsChosenForSomebody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ own, asked, got, problem string }{
		{"", "", "", ""},
		{"", "large", "large", ""},
		{"nightly", "", "nightly", ""},
		{"nightly", "nightly", "nightly", ""},
		{"nightly", "large", "large", `must be "nightly" for kim, or left out`},
		{"nightly", "Nightly", "Nightly", `must be "nightly" for kim, or left out`},
	} {
		spec := nes.Spec{Profile: c.asked}
		problems := access.Principal{Name: "kim", Profile: c.own}.Allot(&spec)
		require.Equal(t, c.got, spec.Profile, "%+v", c)
		if c.problem == "" {
			require.Empty(t, problems, "%+v", c)
			continue
		}
		require.Equal(t, []nes.Problem{{Field: "profile", Message: c.problem}}, problems)
	}
}
