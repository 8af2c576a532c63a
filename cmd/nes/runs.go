package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/client"
)

func newGet(s streams) *cobra.Command {
	var asJSON bool
	var output string
	var attempt int
	cmd := &cobra.Command{
		Use:   "get RUN",
		Short: "Show a run, or save its notebook",
		Args:  arguments(1, 1, "the run's id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd.Context(), s, look, func(ctx context.Context, ses *session) error {
				id := nes.RunID(args[0])
				if output != "" {
					return saveNotebook(ctx, ses, id, attempt, output)
				}
				run, err := ses.Run(ctx, id, 0, 0)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(s.out, run)
				}
				return describe(s, &run)
			})
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "`file` to save the executed notebook to; - is standard output")
	cmd.Flags().IntVar(&attempt, "attempt", 0, "`number` of the attempt whose notebook is saved (the newest)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the run as the API gives it")
	return cmd
}

// with runs what a command does with a server.
func with(ctx context.Context, s streams, n need, do func(context.Context, *session) error) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	ses, err := connect(ctx, s, n)
	if err != nil {
		return err
	}
	defer ses.close()
	err = do(ctx, ses)
	if err != nil && ctx.Err() != nil {
		return exit(exitCancel)
	}
	return err
}

// describe writes a run for people, a field a line.
func describe(s streams, run *nes.Run) error {
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, clean(value))
		}
	}
	row("run", string(run.ID))
	row("status", status(run))
	if !run.Ended() {
		row("stage", string(run.Stage))
	}
	row("message", run.Message)
	row("notebook", notebookOf(run))
	if run.Source != nil {
		row("commit", run.Source.Commit+map[bool]string{true: " with changes"}[run.Source.Dirty])
	}
	row("parameters", parametersOf(run))
	row("submitted", run.CreatedAt.Local().Format(time.DateTime)+" by "+run.Owner)
	row("took", took(run, time.Now()))
	if p := run.Progress; p != nil && p.Total > 0 {
		row("cells", fmt.Sprintf("%d of %d done", p.Done, p.Total))
	}
	row("page", run.OutputURL)
	return w.Flush()
}

func notebookOf(run *nes.Run) string {
	if run.Source != nil {
		return run.Source.Repository + "/" + run.Source.Path
	}
	return run.Spec.InputURL
}

func parametersOf(run *nes.Run) string {
	p := run.Parameters
	if p == nil {
		p = run.Spec.Parameters
	}
	if len(p) == 0 {
		return ""
	}
	b, err := json.Marshal(p)
	if err != nil {
		return ""
	}
	return string(b)
}

// took is how long a run executed, so far or in all.
func took(run *nes.Run, now time.Time) string {
	if run.StartedAt == nil {
		return ""
	}
	if run.EndedAt != nil {
		now = *run.EndedAt
	}
	return now.Sub(*run.StartedAt).Round(100 * time.Millisecond).String()
}

// filters of nes list, by flag.
var filters = []struct{ flag, query, usage string }{
	{"status", "status", "`status`: Pending, Running, Succeeded, Failed or Error; may be repeated"},
	{"reason", "reason", "`reason` of the end, such as CellError; may be repeated"},
	{"repository", "repository", "`repository`, such as github.com/acme/reports"},
	{"notebook", "notebook", "`path` of the notebook in its repository"},
	{"label", "label", "`key=value` of a label; may be repeated"},
	{"parameter", "parameter", "`name=value` of a parameter; may be repeated"},
	{"group", "group", "`name` of the group"},
	{"text", "text", "`text` in address, message or labels"},
	{"since", "since", "only runs submitted after this `time` (2024-01-31T09:00:00Z)"},
}

func newList(s streams) *cobra.Command {
	var asJSON bool
	var limit int
	values := make([][]string, len(filters))
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short: "List runs, the newest first",
		Args:  arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			query := url.Values{"limit": {strconv.Itoa(limit)}}
			for i, f := range filters {
				for _, v := range values[i] {
					query.Add(f.query, v)
				}
			}
			return with(cmd.Context(), s, look, func(ctx context.Context, ses *session) error {
				page, err := ses.Runs(ctx, query)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(s.out, page)
				}
				return table(s, page)
			})
		},
	}
	for i, f := range filters {
		cmd.Flags().StringArrayVar(&values[i], f.flag, nil, f.usage)
	}
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "`number` of runs")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the page as the API gives it")
	return cmd
}

func table(s streams, page client.Page) error {
	w := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "RUN\tSTATUS\tSUBMITTED\tTOOK\tNOTEBOOK")
	for i := range page.Runs {
		r := &page.Runs[i]
		fmt.Fprintln(w, strings.Join([]string{string(r.ID), status(r), r.CreatedAt.Local().Format(time.DateTime), took(r, time.Now()), clean(notebookOf(r))}, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if page.Next != "" {
		fmt.Fprintln(s.err, "there are more; see --limit and the filters")
	}
	return nil
}

func newLogs(s streams) *cobra.Command {
	var followed bool
	cmd := &cobra.Command{
		Use:   "logs RUN",
		Short: "Show what a run's notebook has printed",
		Args:  arguments(1, 1, "the run's id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n := look
			if followed {
				n = settle
			}
			return with(cmd.Context(), s, n, func(ctx context.Context, ses *session) error {
				id := nes.RunID(args[0])
				if !followed {
					return logs(ctx, s, ses, id)
				}
				ses.standBy(ctx, func(err error) {
					if err != nil {
						fmt.Fprintln(s.err, explain(err))
					}
				})
				return ses.FollowLog(ctx, id, s.out)
			})
		},
	}
	cmd.Flags().BoolVarP(&followed, "follow", "f", false, "go on until the run has ended")
	return cmd
}

// logs writes what there is of the newest attempt's log.
func logs(ctx context.Context, s streams, ses *session, id nes.RunID) error {
	for cursor := int64(0); ; {
		page, err := ses.Log(ctx, id, 0, cursor, 0)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprint(s.out, page.Text); err != nil {
			return err
		}
		if page.Text == "" || page.Next == cursor {
			return nil
		}
		cursor = page.Next
	}
}

func newCancel(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel RUN...",
		Short: "Cancel runs; the notebooks so far are kept",
		Args:  arguments(1, 1000, "the run's id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd.Context(), s, settle, func(ctx context.Context, ses *session) error {
				for _, id := range args {
					run, err := ses.Cancel(ctx, nes.RunID(id))
					if err == nil && ses.embedded() && !run.Ended() {
						run, err = ses.Wait(ctx, run.ID) // this process is the one that carries it out
					}
					if err != nil {
						return err
					}
					word := "is being cancelled"
					if run.Ended() {
						word = status(&run)
					}
					fmt.Fprintln(s.out, run.ID, word)
				}
				return nil
			})
		},
	}
}

func newRerun(s streams) *cobra.Command {
	f := &follow{}
	g := &given{}
	var how client.Rerun
	cmd := &cobra.Command{
		Use:   "rerun RUN",
		Short: "Run a run's notebook again, at the same commit",
		Args:  arguments(1, 1, "the run's id"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if how.Parameters, err = g.values(s.in); err != nil {
				return err
			}
			if err := f.check(); err != nil {
				return err
			}
			ses, err := connect(cmd.Context(), s, settle)
			if err != nil {
				return err
			}
			defer ses.close()
			if f.noWait && ses.embedded() {
				return noServer()
			}
			run, err := ses.Rerun(cmd.Context(), nes.RunID(args[0]), how)
			if err != nil {
				return err
			}
			return f.to(cmd.Context(), s, ses, run)
		},
	}
	cmd.Flags().SortFlags = false
	g.flags(cmd.Flags())
	f.flags(cmd.Flags())
	cmd.Flags().BoolVar(&how.Newest, "newest", false, "take the newest commit of the branch instead")
	cmd.Flags().StringArrayVar(&how.Remove, "without", nil, "`name` of a parameter that is not to be given again")
	cmd.Flags().StringVar(&how.IdempotencyKey, "idempotency-key", "", "`key` under which a second submission is the same run")
	return cmd
}

// noServer says why --no-wait cannot be done.
func noServer() error {
	return nes.Errorf(nes.CodeInvalid, "--no-wait needs a server that goes on when this command ends: start one with \"nes serve\", or name one in NES_SERVER")
}
