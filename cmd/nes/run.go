package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/config"
	"github.com/nes-run/nes/internal/worktree"
)

// runOptions are the flags of nes run.
type runOptions struct {
	follow
	given    given
	spec     nes.Spec
	labels   []string
	timeout  duration
	cell     duration
	starting duration
	deadline duration
}

func newRun(s streams) *cobra.Command {
	o := &runOptions{}
	cmd := &cobra.Command{
		Use:   "run NOTEBOOK [OUTPUT]",
		Short: "Run a notebook and wait for its end",
		Long: `Run the notebook at an address, or the one at a path together with what lies beside
it: the Git working tree as it is, uncommitted changes and all, or the plain directory.

The exit code is 0 when the notebook succeeded or skipped itself, 1 when it failed, 2 when
the request was refused, 3 when NES, the storage or the Git server failed, 4 when the run
was cancelled (Ctrl-C does), and 5 when --wait was over.`,
		Example: `  nes run https://github.com/acme/reports/blob/main/daily.ipynb -p date 2024-01-31
  nes run ./daily.ipynb -y '{regions: [EU, US]}' -o out.ipynb`,
		Args: arguments(1, 2, "the notebook's address or path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				if o.output != "" && o.output != args[1] {
					return fmt.Errorf("OUTPUT and --output name different files")
				}
				o.output = args[1]
			}
			return o.run(cmd.Context(), s, args[0])
		},
	}
	o.flags(cmd.Flags())
	return cmd
}

func (o *runOptions) flags(f *pflag.FlagSet) {
	f.SortFlags = false
	o.given.flags(f)
	o.follow.flags(f)
	f.StringVarP(&o.spec.KernelName, "kernel", "k", "", "`name` of the kernel instead of the notebook's own")
	f.StringVar(&o.spec.Runtime, "runtime", "", "`name` of the environment to run in")
	f.StringVar(&o.spec.Profile, "profile", "", "`name` of the allowance to run under")
	f.Var(&o.timeout, "timeout", "longest executing `time`, such as 15m")
	f.Var(&o.cell, "cell-timeout", "longest `time` of one cell")
	f.Var(&o.starting, "start-timeout", "longest `time` for the kernel to start (1m)")
	f.Var(&o.deadline, "deadline", "`time` from now by which the run must be done")
	f.StringArrayVar(&o.labels, "label", nil, "`key=value` to find the run by; may be repeated")
	f.StringVar(&o.spec.Group, "group", "", "`name` of the group that the run belongs to")
	f.StringVar(&o.spec.IdempotencyKey, "idempotency-key", "", "`key` under which a second submission is the same run")
}

func (o *runOptions) run(ctx context.Context, s streams, notebook string) error {
	spec, err := o.build(s)
	if err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	tree, err := treeOf(ctx, notebook)
	if err != nil {
		return err
	}
	ses, err := connect(ctx, s, settle)
	if err != nil {
		return err
	}
	defer ses.close()
	if o.noWait && ses.embedded() {
		return noServer()
	}
	spec.InputURL = notebook
	if tree != nil {
		if spec.InputURL, err = send(ctx, s, ses, notebook, tree); err != nil {
			return err
		}
	}
	run, created, err := ses.Submit(ctx, spec)
	if err != nil {
		return err
	}
	if !created {
		fmt.Fprintf(s.err, "this is run %s, which was submitted before\n", run.ID)
	}
	return o.follow.to(ctx, s, ses, run)
}

// build makes the request of the flags.
func (o *runOptions) build(s streams) (nes.Spec, error) {
	spec := o.spec
	var err error
	if spec.Parameters, err = o.given.values(s.in); err != nil {
		return spec, err
	}
	if spec.Labels, err = labels(o.labels); err != nil {
		return spec, err
	}
	spec.Timeout, spec.CellTimeout = nes.Duration(o.timeout), nes.Duration(o.cell)
	spec.StartTimeout, spec.Deadline = nes.Duration(o.starting), nes.Duration(o.deadline)
	return spec, nil
}

func labels(list []string) (map[string]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	out := map[string]string{}
	for _, l := range list {
		key, value, ok := strings.Cut(l, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("--label %q: write key=value", l)
		}
		out[key] = value
	}
	return out, nil
}

// treeOf opens the working tree of a notebook that is named by its path; nil for one that has an address.
func treeOf(ctx context.Context, notebook string) (*worktree.Tree, error) {
	if _, err := os.Stat(notebook); err != nil && isAddress(notebook) {
		return nil, nil
	}
	c, err := config.Load()
	if err != nil {
		return nil, err
	}
	return worktree.Open(ctx, notebook, worktree.Options{DataDir: c.DataDir})
}

// isAddress tells the forms of addresses from paths: a scheme, git@host:path, or a host name first.
func isAddress(s string) bool {
	if strings.Contains(s, "://") || strings.HasPrefix(s, "git@") {
		return true
	}
	host, _, ok := strings.Cut(s, "/")
	return ok && strings.Contains(strings.Trim(host, "."), ".") && !strings.HasSuffix(host, ".ipynb")
}

// send uploads the working tree of notebook and returns the address by which it is run. When something in
// the tree changed meanwhile, as happens while somebody works, it is all done once more.
func send(ctx context.Context, s streams, ses *session, notebook string, tree *worktree.Tree) (string, error) {
	sum, err := upload(ctx, ses, tree)
	if nes.CodeOf(err) == nes.CodeConflict {
		if tree, err = treeOf(ctx, notebook); err != nil {
			return "", err
		}
		sum, err = upload(ctx, ses, tree)
	}
	if err != nil {
		return "", err
	}
	for _, note := range tree.Notes {
		fmt.Fprintln(s.err, "note: "+note)
	}
	return tree.Address(sum), nil
}

// upload sends a tree while it is read. The code is conflict when the tree did not keep still.
func upload(ctx context.Context, ses *session, tree *worktree.Tree) (string, error) {
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		_, err := tree.WriteTo(w)
		_ = w.CloseWithError(err)
		written <- err
	}()
	sum, err := ses.Upload(ctx, r)
	_ = r.CloseWithError(io.ErrClosedPipe) // ends the writing when the server refused
	if werr := <-written; nes.CodeOf(werr) == nes.CodeConflict {
		return "", werr // says which file, and not only that the body broke off
	}
	return sum, err
}

// duration is a flag that takes 90s, 15m or a number of seconds.
type duration nes.Duration

// String is asked by pflag for the default, which is none.
func (d *duration) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

// Type is shown where the usage names none.
func (d *duration) Type() string { return "time" }

// Set reads the value.
func (d *duration) Set(s string) error {
	v, err := nes.ParseDuration(s)
	*d = duration(v)
	return err
}
