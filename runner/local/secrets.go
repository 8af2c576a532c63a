package local

import (
	"os"
	"slices"
	"strings"

	"github.com/nes-run/nes/runner/agent"
)

// environment of the agent of the attempt at dir: this process's, without the variables that hold secrets of any profile, and with what the
// attempt's references stand for now. Values are in no file: an agent that is brought back is given them again.
func (b *Backend) environment(dir string) []string {
	env := slices.DeleteFunc(os.Environ(), b.withheld)
	order, err := agent.ReadOrder(dir)
	if err != nil || len(order.Secrets) == 0 {
		return env // the agent says what is wrong with its order
	}
	found, err := b.o.Profiles[order.Profile].Resolve(order.Secrets)
	if err != nil { // an agent that only has to watch needs none; one that has to start the notebook says that there is none
		b.o.Log.Warn("secrets of an attempt cannot be given to its agent", "attempt", order.Run, "error", err)
	}
	for name, value := range found.Values {
		env = append(env, agent.Given(name, value))
	}
	return env
}

// withheld reports whether a variable of this process is a secret, which only those get whose profile and request say so.
func (b *Backend) withheld(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	for _, p := range b.o.Profiles {
		for _, s := range p.Secrets {
			if s.Env == name {
				return true
			}
		}
	}
	return false
}
