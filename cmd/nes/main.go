// Command nes runs notebooks: it is the server, and the command line that talks to
// one or, where there is none, is one for as long as the notebook runs.
package main

import (
	"os"

	"github.com/nes-run/nes/gitsource"
	"github.com/nes-run/nes/runner/agent"
)

func main() {
	// The parts that run as processes of their own limit themselves and need nothing else to be set up.
	if len(os.Args) == 2 && os.Args[1] == "fetch-child" {
		os.Exit(gitsource.ChildMain(os.Stdin, os.Stdout))
	}
	if len(os.Args) >= 2 && os.Args[1] == "agent" {
		os.Exit(agent.Main(os.Args[2:]))
	}
	os.Exit(execute(os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}
