package app

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/config"
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
		Bucket: bucket, Source: in.Notebook, Dossier: led.Dossier, Index: indexer(bucket), Version: a.o.Version, Log: a.log, TempDir: a.tempDir(), Shared: led.Shared(),
	})
	if a.o.Passive {
		return records, func() {}, nil
	}
	key, err := a.tokenKey(ctx, led)
	if err != nil {
		return nil, nil, err
	}
	place, err := a.place()
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
		Limits: a.limits(), HeardEvery: heardEvery(led), Place: a.reach(place), Policy: a.policy(),
	})
	if err := a.control(ctx, led, controller, place); err != nil {
		return nil, nil, err
	}
	a.serve("agents' server", l, agentapi.NewHandler(controller.Reception(), a.log), nil)
	return records, controller.Kick, nil
}

// tokenKey is the key of the attempts' tokens: of one server its own, of several the one that they share, so
// that any of them can go on with what another one has begun to launch.
func (a *App) tokenKey(ctx context.Context, led *ledger.Ledger) (runner.Key, error) {
	if file := a.o.Config.AgentKeyFile; file != "" {
		return runner.LoadKey(file)
	}
	if !led.Shared() {
		return runner.LoadKey(filepath.Join(a.o.Config.DataDir, "agent.key"))
	}
	text, err := led.Key(ctx, "attempts", runner.DrawKey)
	if err != nil {
		return nil, err
	}
	return runner.ParseKey(text)
}

// place names the data directory among all. Only its owner reaches the attempts that run below it, and it has one owner
// at a time, so whoever finds its own name somewhere knows that the process which wrote it is gone.
func (a *App) place() (string, error) {
	path := filepath.Join(a.o.Config.DataDir, "place")
	raw, err := os.ReadFile(path)
	if err == nil && len(raw) > 0 {
		return string(raw), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", nes.Errorf(nes.CodeInvalid, "read %s: %w", path, reason(err))
	}
	name := rand.Text()
	if err := writeFile(path, []byte(name)); err != nil {
		return "", nes.Errorf(nes.CodeInvalid, "write %s: %w", path, reason(err))
	}
	return name, nil
}

// reach is the place where this server alone reaches attempts; empty where every server reaches them.
func (a *App) reach(place string) string {
	if a.o.Config.Backend == config.Local {
		return place
	}
	return ""
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
			if p.Name == defaultProfile {
				l.Profiles[""] = p.MaxRunning
			}
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
