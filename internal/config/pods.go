package config

import (
	"fmt"
	"regexp"

	"github.com/nes-run/nes"
)

// The backends.
const (
	Local      = "local"
	Kubernetes = "kubernetes"
)

// forPods fills in what has another default where notebooks are pods.
func (c Config) forPods() Config {
	c.MaxRunning = or(c.MaxRunning, 100)
	c.AgentAddr = or(c.AgentAddr, ":8081")
	return c
}

// dnsLabel is what a namespace is called.
var dnsLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// pods checks what pods need, and that what only pods have is not promised on one machine.
func (v *validator) pods(c Config) {
	v.addr("NES_AGENT_ADDR", c.AgentAddr)
	v.webURL("NES_AGENT_URL", c.AgentURL, "http", "https")
	v.check(c.KubeNamespace == "" || dnsLabel.MatchString(c.KubeNamespace), "NES_KUBE_NAMESPACE", "%q is no namespace", c.KubeNamespace)
	if c.Backend == Local {
		for i, r := range c.Site.Runtimes {
			v.site(r.Python != "", "runtimes[%d]: a python is needed, because NES_BACKEND is local and starts notebooks as processes of this machine", i)
		}
		return
	}
	if c.Backend != Kubernetes {
		return
	}
	v.check(c.AgentURL != "", "NES_AGENT_URL", "is needed: agents in pods call the server at this address, such as http://nes-agents.nes:8081")
	v.check(c.AgentImage != "", "NES_AGENT_IMAGE", "is needed: the image of nes-agent, which is built by deploy/docker/agent.Dockerfile")
	usual := 0
	for i, r := range c.Site.Runtimes {
		v.site(r.Image != "", "runtimes[%d]: an image is needed, because NES_BACKEND is kubernetes and starts notebooks in pods", i)
		usual += count(r.Default)
	}
	v.site(usual == 1, "runtimes: one with an image must be the default: true, for runs that name none")
}

// site reports what is wrong with the file for this backend.
func (v *validator) site(ok bool, format string, args ...any) {
	if !ok {
		v.problems = append(v.problems, nes.Problem{Field: "NES_CONFIG", Message: fmt.Sprintf(format, args...)})
	}
}
