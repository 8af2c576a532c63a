package access_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
)

// clock is moved by hand.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// asker calls a gate from an address, with a token or without one.
func asker(gate *access.Gate) func(from, token string) error {
	return func(from, token string) error {
		r := httptest.NewRequest("GET", "http://localhost/v1/runs", nil)
		r.RemoteAddr = from
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		_, err := gate.Enter(r)
		return err
	}
}

func TestEachCallerHasItsOwnPace(t *testing.T) {
	t.Parallel()
	c := &clock{time.Unix(1_800_000_000, 0)}
	ask := asker(access.NewGate(access.GateOptions{Tokens: known(t), Limiter: access.NewLimiter(2, c.now)}))
	for i := range 20 {
		require.NoError(t, ask(fmt.Sprintf("192.0.2.%d:1", i), token), "ten seconds' worth at once, from wherever")
	}
	err := ask("192.0.2.1:1", token)
	require.Equal(t, nes.CodeBusy, nes.CodeOf(err))
	tooFast, ok := errors.AsType[*access.TooFast](err)
	require.True(t, ok)
	require.Equal(t, 500*time.Millisecond, tooFast.Wait)
	require.Contains(t, err.Error(), "plain makes more than 2 requests a second")
	require.NoError(t, ask("192.0.2.1:1", "another-token-entirely"), "another caller has its own share")
	require.Equal(t, nes.CodeBusy, nes.CodeOf(ask("192.0.2.1:1", token)), "who asks too often does not move the time")
	c.at = c.at.Add(500 * time.Millisecond)
	require.NoError(t, ask("192.0.2.1:1", token))
	require.Equal(t, nes.CodeBusy, nes.CodeOf(ask("192.0.2.1:1", token)))
}

// Guessing costs nobody else anything: strangers are counted by where they are, not by what they say.
func TestStrangersAreCountedByNetwork(t *testing.T) {
	t.Parallel()
	c := &clock{time.Unix(1_800_000_000, 0)}
	ask := asker(access.NewGate(access.GateOptions{Tokens: known(t), Limiter: access.NewLimiter(1, c.now)}))
	for i := range 10 {
		require.Equal(t, nes.CodeUnauthorized, nes.CodeOf(ask(fmt.Sprintf("[2001:db8::%d]:1", i), fmt.Sprint("guess", i))))
	}
	require.Equal(t, nes.CodeBusy, nes.CodeOf(ask("[2001:db8::ffff:1]:1", "guess")), "the same 64 bits")
	require.Equal(t, nes.CodeUnauthorized, nes.CodeOf(ask("[2001:db8:0:1::1]:1", "guess")), "the next 64 bits")
	require.Equal(t, nes.CodeUnauthorized, nes.CodeOf(ask("192.0.2.1:1", "")))
	require.NoError(t, ask("[2001:db8::1]:1", token), "who has a token is not held up by neighbours that guess")
}

func TestAFloodOfStrangersIsForgotten(t *testing.T) {
	t.Parallel()
	c := &clock{time.Unix(1_800_000_000, 0)}
	ask := asker(access.NewGate(access.GateOptions{Tokens: known(t), Limiter: access.NewLimiter(1, c.now)}))
	for range 10 {
		require.NoError(t, ask("192.0.2.1:1", token))
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 100_000 {
		require.Error(t, ask(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255), "guess"))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(8<<20), "100,000 addresses are not kept")
	require.Equal(t, nes.CodeBusy, nes.CodeOf(ask("192.0.2.1:1", token)), "and callers with a token are remembered all the same")
}

func TestNobodyIsHeldUpWhereNobodySignsIn(t *testing.T) {
	t.Parallel()
	ask := asker(access.NewGate(access.GateOptions{Limiter: access.NewLimiter(1, time.Now)}))
	for range 100 {
		require.NoError(t, ask("127.0.0.1:1", ""))
	}
}
