//go:build nesfaults

package fault

import (
	"os"
	"strings"
	"syscall"
	"time"
)

// Built in says whether this program has faults.
const Built = true

// Variable asks for faults, separated by spaces:
//
//	kill=<point>=<file>  the process dies at the point; the file is made first, and where it is there, nothing happens
//	hold=<point>=<file>  the process waits at the point until the file is there
const Variable = "NESFAULTS"

type order struct{ do, file string }

var orders = read(os.Getenv(Variable))

func read(text string) map[string]order {
	all := map[string]order{}
	for _, field := range strings.Fields(text) {
		if part := strings.SplitN(field, "=", 3); len(part) == 3 {
			all[part[1]] = order{part[0], part[2]}
		}
	}
	return all
}

// At is a point.
func At(n Name) { Of(n, "") }

// Of is a point that is told apart by what it is about.
func Of(n Name, about string) {
	name := string(n)
	if about != "" {
		name += ":" + about
	}
	switch o := orders[name]; o.do {
	case "kill":
		die(o.file)
	case "hold":
		for !there(o.file) {
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// die ends this process as a crash does, if no other one has died for this order.
func die(file string) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	_ = f.Close()
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // until the signal is delivered
}

func there(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
