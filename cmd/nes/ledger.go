package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nes-run/nes/internal/app"
	"github.com/nes-run/nes/internal/config"
	"github.com/nes-run/nes/internal/ledger"
)

func newMigrate(s streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the ledger's schema up to date, or say how far it is",
		Long: `Bring the ledger's schema up to date, or say how far it is.

A server migrates by itself when it starts; of several that start together one
does it while the others wait. A ledger that a newer NES has used is refused.
Make a backup first: there is no way back but that.`,
		RunE: func(*cobra.Command, []string) error {
			return errors.New(`say "nes migrate up" or "nes migrate status"; see nes migrate --help`)
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use: "up", Short: "Bring the schema up to date", Args: arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return migrate(cmd.Context(), s) },
	}, &cobra.Command{
		Use: "status", Short: "Say how far the schema is; exit code 1 if it is behind", Args: arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return migrationStatus(cmd.Context(), s) },
	})
	return cmd
}

func migrate(ctx context.Context, s streams) error {
	c, err := config.Load()
	if err != nil {
		return err
	}
	if err := alone(c); err != nil {
		return err
	}
	l, err := ledger.Open(ctx, c.Ledger, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if err := l.Close(); err != nil {
		return err
	}
	return migrationStatus(ctx, s)
}

// alone refuses to touch a file that a server of this machine has open; the server has migrated it.
func alone(c config.Config) error {
	if !strings.HasPrefix(c.Ledger, "sqlite://") {
		return nil
	}
	lock, err := app.TryLock(c.DataDir)
	if err != nil {
		return err
	}
	return lock.Unlock()
}

func migrationStatus(ctx context.Context, s streams) error {
	c, err := config.Load()
	if err != nil {
		return err
	}
	schema, err := ledger.Inspect(ctx, c.Ledger, slog.New(slog.DiscardHandler))
	if err == nil {
		err = schema.Err()
	}
	if err != nil {
		return err
	}
	if schema.Have < schema.Knows {
		fmt.Fprintf(s.out, "the ledger's schema is version %d, this program's %d: run \"nes migrate up\", or start the server\n", schema.Have, schema.Knows)
		return exit(exitFailed)
	}
	fmt.Fprintf(s.out, "the ledger's schema is version %d: up to date\n", schema.Have)
	return nil
}

func newReindex(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "reindex",
		Short: "Make a lost ledger again out of the bucket",
		Long: `Make a lost ledger again out of the bucket, while no server runs.

What had ended comes back as it was. What was running goes on when the server
starts; what had not been launched yet is lost. It may be repeated: a run that
the ledger has is left alone.`,
		Args: arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.Load()
			if err != nil {
				return err
			}
			r, err := app.Reindex(cmd.Context(), app.Options{Config: c, Log: quiet(c, s), Version: version()})
			for _, line := range r.Failed {
				fmt.Fprintln(s.err, "nes: "+clean(line))
			}
			fmt.Fprintf(s.out, "%d ended, %d under way, %d known before, %d not readable\n", r.Ended, r.UnderWay, r.Known, len(r.Failed))
			if err == nil && len(r.Failed) > 0 {
				return exit(exitFailed)
			}
			return err
		},
	}
}
