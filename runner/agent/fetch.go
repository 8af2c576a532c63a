package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/bundle"
	"github.com/nes-run/nes/runner/agentapi"
	"github.com/nes-run/nes/runner/journal"
)

// Config of an agent. Fields without a default in their comment are required.
type Config struct {
	Dir    string // the work volume
	Client *agentapi.Client
	Log    *slog.Logger

	// Amend changes the launch order before it is written; nil changes nothing.
	Amend func(*journal.Launch)
	// Limits of the tree; the zero value is 200,000 files, 4 GiB.
	Limits bundle.Limits
	// Finish, when closed, means that the attempt must end: send what there is and go.
	Finish <-chan struct{}
	// Disk is how much the notebook may write; the zero value is not looked at.
	Disk Disk
	// Died, when closed, means that exec has died, for whoever knows it better than by the lock; nil is never.
	Died <-chan struct{}
}

// Fetch puts the tree and the launch order into the work volume. The order comes last: where it
// is, everything is. A *nes.Error with a reason means that it can never succeed.
func Fetch(ctx context.Context, c Config) error {
	v, err := OpenVolume(c.Dir)
	if err != nil {
		return err
	}
	defer v.Close()
	if v.Fetched() {
		return nil
	}
	launch, err := c.Client.Launch(ctx)
	if err != nil {
		return fmt.Errorf("fetch the launch order: %w", err)
	}
	if c.Amend != nil {
		c.Amend(&launch)
	}
	if c.Limits == (bundle.Limits{}) {
		c.Limits = bundle.Limits{Files: 200_000, FileSize: 4 << 30, TreeSize: 4 << 30, Depth: 100}
	}
	err = c.Client.Bundle(ctx, func(r io.Reader) error {
		if err := v.root.RemoveAll(journal.WorkDir); err != nil {
			return err
		}
		return v.unpack(r, c.Limits)
	})
	if err != nil {
		return fmt.Errorf("fetch the tree: %w", err)
	}
	return v.order(launch)
}

func (v *Volume) order(launch journal.Launch) error {
	raw, err := json.Marshal(launch)
	if err != nil {
		return err
	}
	if err := v.root.MkdirAll(journal.RunDir, 0o755); err != nil {
		return err
	}
	return v.replace(journal.LaunchFile, raw)
}

// unpack writes a bundle into the volume's tree. Links are made at the very end, when all of them are known
// to stay inside, so that nothing is written through one.
func (v *Volume) unpack(r io.Reader, limits bundle.Limits) error {
	if err := v.root.Mkdir(journal.WorkDir, 0o755); err != nil {
		return err
	}
	b, err := bundle.NewReader(r, limits)
	if err != nil {
		return refuse(err)
	}
	defer b.Close()
	for {
		e, err := b.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return refuse(err)
		}
		if err := v.unpackEntry(b, e); err != nil {
			return fmt.Errorf("unpack %s: %w", e.Path, err)
		}
	}
	if err := b.Check(); err != nil {
		return refuse(err)
	}
	for name, target := range b.Links() {
		if err := v.link(path.Join(journal.WorkDir, name), target); err != nil {
			return fmt.Errorf("unpack %s: %w", name, err)
		}
	}
	return nil
}

// refuse makes a limit and a forbidden entry final; whatever else is wrong with the bytes may be the line's fault.
func refuse(err error) error {
	switch {
	case errors.Is(err, bundle.ErrTooLarge):
		return nes.Fail(nes.ReasonSourceTooLarge, "the tree is refused: %v", err)
	case errors.Is(err, bundle.ErrForbidden):
		return nes.Fail(nes.ReasonSourceForbidden, "the tree is refused: %v", err)
	default:
		return err
	}
}

func (v *Volume) unpackEntry(r io.Reader, e bundle.Entry) error {
	name := path.Join(journal.WorkDir, e.Path)
	switch e.Kind {
	case bundle.Dir:
		return v.root.MkdirAll(name, 0o755)
	case bundle.File:
		return v.unpackFile(name, r, e)
	}
	return nil
}

func (v *Volume) unpackFile(name string, r io.Reader, e bundle.Entry) error {
	mode := fs.FileMode(0o644)
	if e.Executable {
		mode = 0o755
	}
	f, err := v.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrNotExist) {
		if err = v.root.MkdirAll(path.Dir(name), 0o755); err == nil {
			f, err = v.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		}
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

func (v *Volume) link(name, target string) error {
	if err := v.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	return v.root.Symlink(target, name)
}
