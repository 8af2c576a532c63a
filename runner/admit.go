package runner

import (
	"cmp"
	"slices"

	"github.com/nes-run/nes"
)

// Limits of attempts that are under way at once; 0 is no limit.
type Limits struct {
	Total    int
	Profiles map[string]int // by the profile's name
	Groups   map[string]int // by the group's name
}

// Admit chooses which of the queued runs may be launched now, in their order: the higher
// priority first, and of equal ones the one that was submitted first. A run that its profile or
// group holds back holds back nobody else. An attempt takes a place from the intent to launch it until it is over.
func Admit(runs []nes.Run, limits Limits) []nes.RunID {
	var queue []nes.Run
	places := takenPlaces{profiles: map[string]int{}, groups: map[string]int{}}
	for _, r := range runs {
		switch {
		case takesPlace(r.Stage):
			places.take(&r)
		case launchable(&r):
			queue = append(queue, r)
		}
	}
	slices.SortStableFunc(queue, inOrder)
	var admitted []nes.RunID
	for _, r := range queue {
		if places.free(&r, limits) {
			places.take(&r)
			admitted = append(admitted, r.ID)
		}
	}
	return admitted
}

func takesPlace(s nes.Stage) bool {
	return s == nes.StageScheduling || s == nes.StageStarting || s == nes.StageExecuting
}

// launchable reports whether r waits for nothing but a place.
func launchable(r *nes.Run) bool {
	return r.Stage == nes.StageQueued && r.Source != nil && r.CancelRequestedAt == nil
}

func inOrder(a, b nes.Run) int {
	return cmp.Or(cmp.Compare(b.Spec.Priority, a.Spec.Priority), a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
}

type takenPlaces struct {
	total            int
	profiles, groups map[string]int
}

func (t *takenPlaces) take(r *nes.Run) {
	t.total++
	t.profiles[r.Spec.Profile]++
	t.groups[r.Spec.Group]++
}

func (t *takenPlaces) free(r *nes.Run, l Limits) bool {
	below := func(n, limit int) bool { return limit <= 0 || n < limit }
	return below(t.total, l.Total) &&
		below(t.profiles[r.Spec.Profile], l.Profiles[r.Spec.Profile]) &&
		below(t.groups[r.Spec.Group], l.Groups[r.Spec.Group])
}
