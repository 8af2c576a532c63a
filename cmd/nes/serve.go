package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/nes-run/nes/internal/app"
	"github.com/nes-run/nes/internal/config"
)

func newServe(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Serve the API and the pages, and execute what is submitted",
		Long: `Serve the API and the pages, and execute what is submitted, until SIGINT or SIGTERM.

Notebooks that run then go on, and are taken up again by the next server of the
same data directory. Everything is set by variables: see docs/configuration.md.`,
		Args: arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			c, err := config.Load()
			if err != nil {
				return err
			}
			log := c.Logger(s.err)
			for _, line := range c.Lines() {
				log.Debug("configuration", "variable", line)
			}
			a := app.New(app.Options{Config: c, Log: log, Version: version()})
			if err := a.Start(ctx); err != nil {
				return err
			}
			defer a.Stop()
			fmt.Fprintf(s.out, "NES serves at %s\n", a.URL())
			select {
			case err := <-a.Failed():
				return errors.Join(err, exit(exitError))
			case <-ctx.Done():
				stop() // a second signal ends the process at once
				log.Info("stopping; notebooks that run go on")
				return nil
			}
		},
	}
}
