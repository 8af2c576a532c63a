package app

import (
	"context"
	"io"
	"time"

	"github.com/nes-run/nes/internal/intake"
	"github.com/nes-run/nes/internal/ledger"
	"github.com/nes-run/nes/runner"
	"github.com/nes-run/nes/runner/agentapi"
	"github.com/nes-run/nes/runner/record"
	"github.com/nes-run/nes/storage"
	"github.com/nes-run/nes/viewer/notebook"
)

// execute starts what takes runs to their end, unless the App is passive. kick makes it look now.
func (a *App) execute(ctx context.Context, led *ledger.Ledger, bucket storage.Bucket, in *intake.Intake) (*record.Store, func(), error) {
	records := record.New(record.Options{
		Bucket: bucket, Source: in.Notebook, Index: indexer(bucket), Version: a.o.Version, Log: a.log, TempDir: a.tempDir(),
	})
	if a.o.Passive {
		return records, func() {}, nil
	}
	key, err := runner.LoadKey(a.o.Config.AgentKeyFile)
	if err != nil {
		return nil, nil, err
	}
	l, err := a.listen(ctx, a.o.Config.AgentAddr, "NES_AGENT_ADDR")
	if err != nil {
		return nil, nil, err
	}
	backend, err := a.backend(l.Addr().String(), key)
	if err != nil {
		return nil, nil, err
	}
	controller := runner.NewController(runner.Options{
		Ledger: led, Sources: in, Journals: records, Records: records, Backend: backend, Key: key, Log: a.log,
		Limits: a.limits(), HeardEvery: heardEvery(led), Policy: a.policy(),
	})
	if err := a.control(ctx, led, controller); err != nil {
		return nil, nil, err
	}
	a.serve("agents' server", l, agentapi.NewHandler(controller.Reception(), a.log), nil)
	return records, controller.Kick, nil
}

// heardEvery is how often other servers are told that an agent lives.
func heardEvery(led *ledger.Ledger) time.Duration {
	if led.Shared() {
		return 10 * time.Second
	}
	return 0
}

func (a *App) limits() runner.Limits {
	l := runner.Limits{Total: a.o.Config.MaxRunning, Profiles: map[string]int{}}
	for _, p := range a.o.Config.Site.Profiles {
		if p.MaxRunning > 0 {
			l.Profiles[p.Name] = p.MaxRunning
		}
	}
	return l
}

// indexer makes the viewer's index of a notebook when it is stored, so that its page opens at once.
func indexer(bucket storage.Bucket) func(ctx context.Context, from, to string) error {
	return func(ctx context.Context, from, to string) error {
		_, body, err := bucket.Open(ctx, from, 0, -1)
		if err != nil {
			return err
		}
		defer body.Close()
		index, err := notebook.Parse(body)
		if err != nil {
			return err
		}
		r, w := io.Pipe()
		go func() { w.CloseWithError(index.Write(w)) }()
		_, err = bucket.Put(ctx, to, r, storage.PutOptions{ContentType: "application/json"})
		_ = r.CloseWithError(io.ErrClosedPipe) // ends the writing when the bucket refused
		return err
	}
}
