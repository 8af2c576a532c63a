// Command demo shows NES on one machine: it serves the example notebooks from a real Git repository, starts a
// server with nothing but defaults, and submits three runs that a data scientist recognises.
//
//	go run ./examples/demo         keeps serving until it is interrupted
//	go run ./examples/demo -once   checks every result and ends; exit code 1 if anything is not as it should be
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/tabwriter"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/client"
)

func main() {
	once := flag.Bool("once", false, "check every result and end")
	addr := flag.String("addr", "127.0.0.1:8080", "where the server listens; another port is taken when it is in use")
	dir := flag.String("dir", ".demo", "where the demo keeps its data")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo(ctx, *dir, *addr, *once); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo publishes the notebooks, starts the server, submits the runs, and shows or checks them.
func demo(ctx context.Context, dir, addr string, once bool) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	repository, err := publish(ctx, "examples/notebooks", filepath.Join(dir, "git"))
	if err != nil {
		return fmt.Errorf("publish the example notebooks: %w", err)
	}
	server, err := serve(ctx, dir, addr)
	if err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	defer server.stop()
	c := client.New(server.url, client.Options{})
	runs, err := submit(ctx, c, repository, once)
	if err != nil {
		return err
	}
	fmt.Printf("\nNES is at %s\nThe notebooks come from the Git repository %s\n\n", server.url, repository)
	show(runs)
	if once {
		return check(ctx, c, runs)
	}
	fmt.Println("\nInterrupt (Ctrl-C) ends the demo; its data stays in", dir)
	<-ctx.Done()
	return nil
}

// show prints the runs with the addresses of their pages.
func show(runs []submitted) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	for _, r := range runs {
		fmt.Fprintf(w, "  %s\t%s\n", r.about, r.run.OutputURL)
	}
	_ = w.Flush()
}

// submitted is one of the demo's runs and how it should end.
type submitted struct {
	story
	run nes.Run
}

// story is a run of the demo.
type story struct {
	about      string
	notebook   string
	parameters map[string]any
	status     nes.Status
	reason     nes.Reason
	// outputs are texts that the executed notebook must contain.
	outputs []string
}
