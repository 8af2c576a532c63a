package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/nes-run/nes"
)

// follow is what run and rerun do once a run is submitted.
type follow struct {
	output  string
	noWait  bool
	json    bool
	wait    duration
	printer *printer
}

func (f *follow) flags(fs *pflag.FlagSet) {
	fs.StringVarP(&f.output, "output", "o", "", "`file` to copy the executed notebook to, also when it failed")
	fs.BoolVar(&f.noWait, "no-wait", false, "print the run's id and end; the server goes on")
	fs.Var(&f.wait, "wait", "longest `time` to wait; then the exit code is 5, and the server goes on")
	fs.BoolVar(&f.json, "json", false, "print the run as the API gives it")
}

// check refuses what could only fail after the notebook has run.
func (f *follow) check() error {
	if f.output == "" {
		return nil
	}
	if f.noWait {
		return fmt.Errorf("--output needs the end of the run: leave out --no-wait, or use nes get --output later")
	}
	info, err := os.Stat(filepath.Dir(f.output))
	if err != nil || !info.IsDir() {
		return fmt.Errorf("--output %s: there is no directory %s", f.output, filepath.Dir(f.output))
	}
	if info, err := os.Stat(f.output); err == nil && info.IsDir() {
		return fmt.Errorf("--output %s: is a directory: name a file in it", f.output)
	}
	return nil
}

// to waits for the end of the run and says what came of it.
func (f *follow) to(ctx context.Context, s streams, ses *session, run nes.Run) error {
	if f.noWait {
		return f.print(s, ses, &run, "")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f.printer = newPrinter(s.err)
	defer f.printer.close()
	ses.standBy(ctx, func(err error) {
		if err != nil {
			f.printer.say("the server ended, and this process cannot take its place: " + explain(err))
			return
		}
		f.printer.say("the server ended; this process carries its runs on")
	})
	stop := f.onSignal(ctx, ses, run.ID)
	defer stop()
	ended, err := f.await(ctx, ses, run.ID)
	f.printer.close()
	if err != nil {
		return err
	}
	saved, err := f.save(ctx, s, ses, &ended)
	if err != nil {
		return err
	}
	explainFailure(ctx, s.err, ses, &ended)
	if err := f.print(s, ses, &ended, saved); err != nil {
		return err
	}
	if code := ended.Reason.Info().ExitCode; code != 0 {
		return exit(code)
	}
	return nil
}

// await shows progress until the run has ended.
func (f *follow) await(ctx context.Context, ses *session, id nes.RunID) (nes.Run, error) {
	wait := ctx
	if f.wait > 0 {
		var cancel context.CancelFunc
		wait, cancel = context.WithTimeout(ctx, time.Duration(f.wait))
		defer cancel()
	}
	watching, cancel := context.WithCancel(wait)
	defer cancel()
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		f.printer.watch(watching, ses, id)
	}()
	run, err := ses.Wait(wait, id)
	cancel()
	<-shown
	if err != nil && wait.Err() != nil && ctx.Err() == nil {
		f.printer.say(fmt.Sprintf("run %s goes on; see nes get %s", id, id))
		return run, exit(exitGaveUp)
	}
	return run, err
}

// onSignal cancels the run at the first Ctrl-C and leaves at the second.
func (f *follow) onSignal(ctx context.Context, ses *session, id nes.RunID) (stop func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case <-signals:
		case <-done:
			return
		}
		f.printer.say("cancelling; once more leaves at once")
		go func() {
			if _, err := ses.Cancel(ctx, id); err != nil && ctx.Err() == nil && nes.CodeOf(err) != nes.CodeConflict {
				f.printer.say("the run cannot be cancelled: " + explain(err))
			}
		}()
		select {
		case <-signals:
			f.printer.close()
			os.Exit(exitCancel)
		case <-done:
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}

// save copies the executed notebook to where the caller wants it, all or nothing.
func (f *follow) save(ctx context.Context, s streams, ses *session, run *nes.Run) (string, error) {
	if f.output == "" {
		return "", nil
	}
	err := saveNotebook(ctx, ses, run.ID, 0, f.output)
	if nes.CodeOf(err) == nes.CodeNotFound {
		fmt.Fprintf(s.err, "there is no executed notebook, so %s was not written\n", f.output)
		return "", nil
	}
	return f.output, err
}

func saveNotebook(ctx context.Context, ses *session, id nes.RunID, attempt int, path string) error {
	body, err := ses.Notebook(ctx, id, attempt)
	if err != nil {
		return err
	}
	defer body.Close()
	if path == "-" {
		if _, err := io.Copy(os.Stdout, body); err != nil {
			return nes.Errorf(nes.CodeUnavailable, "write the notebook: %w", err)
		}
		return nil
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(tmp.Name()) // is gone once it is renamed
	_, err = io.Copy(tmp, body)
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return nes.Errorf(nes.CodeUnavailable, "write %s: %w", path, err)
	}
	return os.Rename(tmp.Name(), path)
}

// print writes the result: the run, or one line with its status and where to look.
func (f *follow) print(s streams, ses *session, run *nes.Run, saved string) error {
	if f.json {
		return printJSON(s.out, run)
	}
	if f.noWait {
		_, err := fmt.Fprintln(s.out, run.ID, run.OutputURL)
		return err
	}
	line := []string{status(run)}
	switch {
	case saved != "":
		line = append(line, saved)
	case ses.remote || !ses.embedded():
		line = append(line, run.OutputURL)
	case run.Outcome != nil && run.Outcome.Notebook != "":
		line = append(line, localPath(ses.config.Bucket, run.Outcome.Notebook))
	}
	_, err := fmt.Fprintln(s.out, strings.Join(line, "  "))
	return err
}

// localPath is the file of an object in a bucket of files.
func localPath(bucket, key string) string {
	return filepath.Join(strings.TrimPrefix(bucket, "file://"), filepath.FromSlash(key))
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// status is the word for people.
func status(run *nes.Run) string {
	switch run.Reason {
	case nes.ReasonSkipped, nes.ReasonCancelled:
		return string(run.Reason)
	case nes.ReasonCompleted:
		return string(run.Status)
	}
	return string(run.Status) + " (" + string(run.Reason) + ")"
}
