package ledger

import (
	"sync"

	"github.com/nes-run/nes"
)

// hubMax bounds how many runs are waited for at once before all are told to look again.
const hubMax = 8192

// hub tells waiters that a run has changed.
type hub struct {
	mu      sync.Mutex
	waiters map[nes.RunID]chan struct{} // "" waits for any run
}

func newHub() *hub { return &hub{waiters: map[nes.RunID]chan struct{}{}} }

// Changed returns a channel that is closed at the next change of a run, in this process or, on
// PostgreSQL, in any that shares the ledger; "" means any run. Take the channel, read the run, then
// wait: so no change is missed. A channel may also be closed without a change: when very many
// runs are waited for, and when the way to the database was interrupted.
func (l *Ledger) Changed(run nes.RunID) <-chan struct{} { return l.hub.wait(run) }

func (h *hub) wait(run nes.RunID) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c, ok := h.waiters[run]; ok {
		return c
	}
	if len(h.waiters) >= hubMax {
		h.clear() // runs that never change again would be kept for ever otherwise
	}
	c := make(chan struct{})
	h.waiters[run] = c
	return c
}

func (h *hub) changed(run nes.RunID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range []nes.RunID{run, ""} {
		if c, ok := h.waiters[id]; ok {
			close(c)
			delete(h.waiters, id)
		}
	}
}

// all tells everyone to look again.
func (h *hub) all() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clear()
}

func (h *hub) clear() {
	for id, c := range h.waiters {
		close(c)
		delete(h.waiters, id)
	}
}
