package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/allowance"
	"github.com/nes-run/nes/internal/config"
	"github.com/nes-run/nes/internal/credential"
)

// offer is what this server can do for a run: the names that its administrator chose, and what its backend can and cannot do.
type offer struct {
	runtimes, profiles []string
	pods               bool
	credentials        bool                         // parameters that look like credentials are taken
	allowances         map[string]allowance.Profile // by name; "" is for runs that name none
}

func (a *App) offer() offer {
	o := offer{pods: a.o.Config.Backend == config.Kubernetes, allowances: map[string]allowance.Profile{"": {}}}
	o.credentials = a.o.Config.Site.CredentialParameters == config.AllowCredentials
	for _, r := range a.o.Config.Site.Runtimes {
		o.runtimes = append(o.runtimes, r.Name)
	}
	for _, p := range a.o.Config.Site.Profiles {
		o.profiles = append(o.profiles, p.Name)
		o.allowances[p.Name] = p
		if p.Name == defaultProfile {
			o.allowances[""] = p
		}
	}
	return o
}

// refusals collects what a submission would not get.
type refusals []nes.Problem

func (r *refusals) add(field string, asked bool, message string) {
	if asked {
		*r = append(*r, nes.Problem{Field: field, Message: message})
	}
}

// refuse lists what spec asks for and would not get. What is empty, zero or false asks for nothing.
func (o offer) refuse(spec *nes.Spec) []nes.Problem {
	var r refusals
	r.add("runtime", !known(spec.Runtime, o.runtimes), unknown("runtime", spec.Runtime, o.runtimes))
	r.add("profile", !known(spec.Profile, o.profiles), unknown("profile", spec.Profile, o.profiles))
	if o.pods {
		o.refusePod(&r, spec)
	} else {
		refuseProcess(&r, spec)
	}
	if !o.credentials {
		r = append(r, credential.Refuse(spec.Parameters)...)
	}
	if profile, ok := o.allowances[spec.Profile]; ok { // else it is said already
		r = append(r, profile.RefuseSecrets(spec.Secrets, o.pods)...)
	}
	r.add("callback_url", spec.CallbackURL != "",
		"is not offered here: wait for the end with GET /v1/runs/{id}?wait=25s, or follow GET /v1/runs/{id}/events")
	return r
}

// refusePod refuses what the profile does not allow a pod.
func (o offer) refusePod(r *refusals, spec *nes.Spec) {
	profile, ok := o.allowances[spec.Profile]
	if !ok {
		return // said already
	}
	r.add("host_network", spec.HostNetwork && !profile.HostNetwork, "is not allowed by this profile; leave it out, or name a profile that allows it")
	if spec.Resources != nil {
		_, problems := profile.Grant(*spec.Resources)
		*r = append(*r, problems...)
	}
}

// refuseProcess refuses what a process of this machine cannot be given.
func refuseProcess(r *refusals, spec *nes.Spec) {
	r.add("host_network", spec.HostNetwork,
		"is not offered here: notebooks are processes of the server's machine and use its network as it is; leave it out")
	if res := spec.Resources; res != nil {
		const cannot = "cannot be held here: notebooks are processes of the server's machine and share all of it; leave it out"
		r.add("resources.cpu", res.CPU != "", cannot)
		r.add("resources.memory", res.Memory != "", cannot)
		r.add("resources.disk", res.Disk != "", cannot)
		r.add("resources.gpu", res.GPU != 0, cannot)
		r.add("resources.size", res.Size != "", cannot)
	}
	if p := spec.Retry; p != nil {
		r.add("retry.memory_factor", p.MemoryFactor != 0 && p.MemoryFactor != 1,
			"is not offered here: notebooks share the memory of the server's machine, so there is none to multiply; leave it out")
	}
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
