package record_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/record"
	"github.com/nes-run/nes/storage"
	"github.com/nes-run/nes/storage/file"
)

// TestVerdictAndIntentHoldTheDossier, in the form that the ledger gave it; an intent is stored once.
func TestVerdictAndIntentHoldTheDossier(t *testing.T) {
	t.Parallel()
	bucket, err := file.Open(t.TempDir())
	require.NoError(t, err)
	run := nes.Run{ID: "r", Attempt: 2, Message: "<b>&", Spec: nes.Spec{Parameters: map[string]json.RawMessage{"n": json.RawMessage("1.50")}}}
	known := nes.Dossier{
		V: 1, Run: run, Attempts: []nes.KeptAttempt{{Attempt: nes.Attempt{RunID: "r", Number: 1}, TokenHash: "hash", Exit: json.RawMessage(`{"m":"<"}`)}},
		Events: []nes.Event{{Seq: 7, RunID: "r", Kind: "submitted"}}, Keys: []nes.KeptKey{{Name: "k", Fingerprint: "f"}},
	}
	asked := 0
	s := record.New(record.Options{Bucket: bucket, Dossier: func(_ context.Context, id nes.RunID) (nes.Dossier, error) {
		asked++
		require.Equal(t, run.ID, id)
		d := known
		d.V += asked - 1 // tells the calls apart
		return d, nil
	}})
	require.NoError(t, s.Intend(t.Context(), &run))
	require.NoError(t, s.Intend(t.Context(), &run))
	require.NoError(t, s.Publish(t.Context(), &run))
	for name, v := range map[string]int{"intent.json": 1, "verdict.json": 3} {
		_, r, err := bucket.Open(t.Context(), storage.AttemptPrefix(&run, 2)+name, 0, -1)
		require.NoError(t, err)
		var found nes.Dossier
		dec := json.NewDecoder(r)
		require.NoError(t, dec.Decode(&found))
		require.NoError(t, r.Close())
		want := known
		want.V = v
		require.Equal(t, want, found, name)
		require.Equal(t, `{"m":"<"}`, string(found.Attempts[0].Exit))
	}
}

// TestNoVerdictWithoutTheLedger: one that does not tell all is not stored.
func TestNoVerdictWithoutTheLedger(t *testing.T) {
	t.Parallel()
	bucket, err := file.Open(t.TempDir())
	require.NoError(t, err)
	away := nes.Errorf(nes.CodeUnavailable, "the ledger is away")
	s := record.New(record.Options{Bucket: bucket, Dossier: func(context.Context, nes.RunID) (nes.Dossier, error) { return nes.Dossier{}, away }})
	run := nes.Run{ID: "r", Attempt: 1}
	require.ErrorIs(t, s.Publish(t.Context(), &run), away)
	require.ErrorIs(t, s.Intend(t.Context(), &run), away)
	page, err := bucket.List(t.Context(), storage.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, page.Objects)
}
