package record

import (
	"context"
	"encoding/json"
	"io"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
)

// Names of what is kept of a run beside an attempt's record: at its end, and before the attempt is launched.
const (
	verdictFile = "verdict.json"
	intentFile  = "intent.json"
)

// Publish stores the verdict of an ended run: all that the ledger knows of it, so that a lost ledger can be made again.
func (s *Store) Publish(ctx context.Context, run *nes.Run) error {
	d := nes.Dossier{V: 1, Run: *run}
	if s.o.Dossier != nil {
		var err error
		if d, err = s.o.Dossier(ctx, run.ID); err != nil {
			return err
		}
	}
	return s.put(ctx, storage.AttemptPrefix(run, run.Attempt)+verdictFile, "application/json", writer(d))
}

// Intend stores what is known of a run before its newest attempt is launched: with it and the attempt's
// journal the run goes on when the ledger is lost. It is stored once.
func (s *Store) Intend(ctx context.Context, run *nes.Run) error {
	if s.o.Dossier == nil {
		return nil
	}
	d, err := s.o.Dossier(ctx, run.ID)
	if err != nil {
		return err
	}
	key := storage.AttemptPrefix(run, run.Attempt) + intentFile
	err = s.pipe(ctx, key, storage.PutOptions{ContentType: "application/json", IfGeneration: storage.CreateOnly()}, writer(d))
	if nes.CodeOf(err) == nes.CodeConflict {
		return nil
	}
	return err
}

// writer writes a dossier. Values keep their form.
func writer(d nes.Dossier) func(io.Writer) error {
	return func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		return e.Encode(d)
	}
}
