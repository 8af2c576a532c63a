package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"path/filepath"
	"time"

	"github.com/nes-run/nes/internal/allowance"
	"github.com/nes-run/nes/internal/config"
	"github.com/nes-run/nes/runner"
	"github.com/nes-run/nes/runner/kube"
	"github.com/nes-run/nes/runner/local"
)

// backend is what executes attempts. addr is where this server listens for their agents.
func (a *App) backend(addr string, key runner.Key) (runner.Backend, error) {
	if a.o.Config.Backend == config.Kubernetes {
		return a.cluster(key)
	}
	return a.processes(addr)
}

// processes runs attempts on this machine. It tells agents that an earlier server left behind where this one is.
func (a *App) processes(addr string) (runner.Backend, error) {
	c := a.o.Config
	o := local.Options{Dir: filepath.Join(c.DataDir, "attempts"), Server: "http://" + onThisMachine(addr), Python: c.Python, Runtimes: map[string]string{}, Profiles: a.profiles(), Log: a.log}
	for _, r := range c.Site.Runtimes {
		o.Runtimes[r.Name] = r.Python
		if r.Default {
			o.Python = r.Python
		}
	}
	return local.New(o)
}

// onThisMachine is how this machine reaches a listener.
func onThisMachine(addr string) string {
	host, port, _ := net.SplitHostPort(addr) // the system's own form
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// cluster runs attempts in a cluster. Its objects are told from those of another NES by the key that makes agents' tokens: who does not
// have it could not answer the agents.
func (a *App) cluster(key runner.Key) (runner.Backend, error) {
	c := a.o.Config
	instance := sha256.Sum256(append([]byte("nes instance "), key...))
	o := kube.Options{
		Namespace: c.KubeNamespace, Instance: hex.EncodeToString(instance[:6]), Server: c.AgentURL, AgentImage: c.AgentImage,
		Runtimes: map[string]allowance.Runtime{}, Profiles: a.profiles(), Log: a.log,
	}
	for _, r := range c.Site.Runtimes {
		o.Runtimes[r.Name] = r
		if r.Default {
			o.Runtimes[""] = r
		}
	}
	b, err := kube.New(o)
	if err != nil {
		return nil, err
	}
	a.later("cluster", func(context.Context) error { b.Close(); return nil })
	return b, nil
}

// profiles by name; "" is for runs that name none.
func (a *App) profiles() map[string]allowance.Profile {
	all := map[string]allowance.Profile{}
	for _, p := range a.o.Config.Site.Profiles {
		all[p.Name] = p
		if p.Name == defaultProfile {
			all[""] = p
		}
	}
	return all
}

// defaultProfile is for runs that name none.
const defaultProfile = "default"

// policy of all runs. A pod that waits for its place is given up by its profile's time, so the general one comes after it.
func (a *App) policy() runner.Policy {
	p := runner.Policy{Timeout: time.Duration(a.o.Config.Site.Timeout)}.WithDefaults()
	for _, profile := range a.o.Config.Site.Profiles {
		p.Placing = max(p.Placing, profile.StartTimeout.Or(0)+time.Minute)
	}
	if a.o.Config.Backend == config.Kubernetes {
		p.Placing += time.Minute
	}
	return p
}
