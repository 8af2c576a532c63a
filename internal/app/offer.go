package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nes-run/nes"
)

// offer is what this server can do for a run: the names that its administrator chose, and what
// its backend, the processes of this machine, cannot do.
type offer struct{ runtimes, profiles []string }

func (a *App) offer() offer {
	var o offer
	for _, r := range a.o.Config.Site.Runtimes {
		o.runtimes = append(o.runtimes, r.Name)
	}
	for _, p := range a.o.Config.Site.Profiles {
		o.profiles = append(o.profiles, p.Name)
	}
	return o
}

// refuse lists what spec asks for and would not get. What is empty, zero or false asks for nothing.
func (o offer) refuse(spec *nes.Spec) []nes.Problem {
	var problems []nes.Problem
	refuse := func(field string, asked bool, message string) {
		if asked {
			problems = append(problems, nes.Problem{Field: field, Message: message})
		}
	}
	refuse("runtime", !known(spec.Runtime, o.runtimes), unknown("runtime", spec.Runtime, o.runtimes))
	refuse("profile", !known(spec.Profile, o.profiles), unknown("profile", spec.Profile, o.profiles))
	refuse("host_network", spec.HostNetwork,
		"is not offered here: notebooks are processes of the server's machine and use its network as it is; leave it out")
	if r := spec.Resources; r != nil {
		const cannot = "cannot be held here: notebooks are processes of the server's machine and share all of it; leave it out"
		refuse("resources.cpu", r.CPU != "", cannot)
		refuse("resources.memory", r.Memory != "", cannot)
		refuse("resources.disk", r.Disk != "", cannot)
		refuse("resources.gpu", r.GPU != 0, cannot)
		refuse("resources.size", r.Size != "", cannot)
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Secrets)) {
		refuse("secrets."+name, true, "is not offered here: this server keeps no secrets; let the notebook read it from where the server's user may")
	}
	if r := spec.Retry; r != nil {
		refuse("retry.memory_factor", r.MemoryFactor != 0 && r.MemoryFactor != 1,
			"is not offered here: notebooks share the memory of the server's machine, so there is none to multiply; leave it out")
	}
	refuse("callback_url", spec.CallbackURL != "",
		"is not offered here: wait for the end with GET /v1/runs/{id}?wait=25s, or follow GET /v1/runs/{id}/events")
	return problems
}

func known(name string, offered []string) bool { return name == "" || slices.Contains(offered, name) }

// unknown says which names there are, and which one was probably meant.
func unknown(what, name string, offered []string) string {
	if len(offered) == 0 {
		return fmt.Sprintf("there is no %s %q: this server offers none by name, so leave it out", what, clip(name))
	}
	meant := ""
	if near := nes.Nearest(name, offered); near != "" {
		meant = fmt.Sprintf("; did you mean %q?", near)
	}
	return fmt.Sprintf("there is no %s %q; there is %s%s", what, clip(name), strings.Join(shown(offered), ", "), meant)
}

// maxShown bounds how many names a message lists.
const maxShown = 20

func shown(names []string) []string {
	if len(names) > maxShown {
		return append(slices.Clone(names[:maxShown]), fmt.Sprintf("and %d more", len(names)-maxShown))
	}
	return names
}

// clip shortens what a caller wrote for a message.
func clip(s string) string {
	const limit = 64
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}
