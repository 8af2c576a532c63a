package main

import (
	"fmt"
	"log/slog"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/nes-run/nes/internal/app"
)

func newView(s streams) *cobra.Command {
	o := app.ViewOptions{}
	cmd := &cobra.Command{
		Use:   "view [DIRECTORY or gs://BUCKET or s3://BUCKET]",
		Short: "Show the notebooks of a directory or bucket in the browser",
		Long: `Show the notebooks and other files of a directory or bucket in the browser, until SIGINT or SIGTERM.

It needs no ledger and no Python, executes nothing and changes nothing. Without an argument it shows the
current directory. A bucket's credentials come from where its own tools look for them: see docs/storage.md.`,
		Example: "  nes view ./reports\n  nes view gs://team-notebooks/daily --addr 127.0.0.1:4000",
		Args:    arguments(0, 1, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			if o.Where = "."; len(args) > 0 {
				o.Where = args[0]
			}
			o.Prefix = strings.TrimRight(o.Prefix, "/")
			o.Log = slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
			o.Ready = func(url string) { fmt.Fprintf(s.out, "%s is shown at %s\n", o.Where, url) }
			return app.View(ctx, o)
		},
	}
	cmd.Flags().StringVar(&o.Addr, "addr", "127.0.0.1:4000", "where the server listens: host and port")
	cmd.Flags().StringVar(&o.Prefix, "prefix", "", "path below which everything is served, such as /notebooks")
	cmd.Flags().BoolVar(&o.Insecure, "insecure", false, "listen where others can reach it, without sign-in")
	return cmd
}
