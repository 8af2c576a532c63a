// Command nes-agent stands beside a notebook: see package agent.
package main

import (
	"os"

	"github.com/nes-run/nes/runner/agent"
)

func main() { os.Exit(agent.Main(os.Args[1:])) }
