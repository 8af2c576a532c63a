// Command nes-agent stands beside a notebook: see package agent.
package main

import (
	"os"

	"github.com/nes-run/nes/internal/footprint"
	"github.com/nes-run/nes/runner/agent"
)

func main() {
	footprint.Shrink() // it waits for most of its life
	os.Exit(agent.Main(os.Args[1:]))
}
