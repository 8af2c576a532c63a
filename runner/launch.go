package runner

import (
	"maps"
	"slices"
	"strconv"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
	"github.com/nes-run/nes/storage"
)

// LaunchOrder is what the run's newest attempt is told to do. It follows from the record alone.
func LaunchOrder(r *nes.Run, p Policy) journal.Launch {
	l := journal.Launch{
		V: journal.Version, RunID: string(r.ID), Attempt: r.Attempt,
		KernelName:     r.Spec.KernelName,
		StartTimeout:   r.Spec.StartTimeout.Std().Seconds(),
		CellTimeout:    r.Spec.CellTimeout.Std().Seconds(),
		RunTimeout:     p.timeout(r).Seconds(),
		SilenceTimeout: r.Spec.SilenceTimeout.Std().Seconds(),
		Grace:          p.WithDefaults().Grace.Seconds(),
		InputPath:      r.Spec.InputURL,
		OutputPath:     storage.NotebookKey(r, r.Attempt),
		Env:            map[string]string{"NES_RUN_ID": string(r.ID), "NES_ATTEMPT": strconv.Itoa(r.Attempt)},
	}
	if r.Source != nil {
		l.Notebook = r.Source.Path
	}
	l.Secrets = slices.Sorted(maps.Keys(r.Spec.Secrets))
	given := r.Parameters
	if given == nil {
		given = r.Spec.Parameters
	}
	if len(given) > 0 {
		l.Parameters = make(map[string]any, len(given))
		for name, value := range given {
			l.Parameters[name] = value
		}
	}
	return l
}
