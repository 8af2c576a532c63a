package kube

import (
	"crypto/rand"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/allowance"
	"github.com/nes-run/nes/runner"
	"github.com/nes-run/nes/runner/runnertest"
)

// TestBackend holds the backend to the conformance suite on the cluster of e2e/cluster.
func TestBackend(t *testing.T) {
	t.Parallel()
	node := os.Getenv("NES_E2E_NODE_IP")
	if node == "" {
		t.Skip("no cluster: make e2e brings one up and runs this test on it")
	}
	runnertest.Run(t, func(t *testing.T, p runnertest.Place) func() runner.Backend {
		instance := strings.ToLower(rand.Text())[:12]
		runtime := allowance.Runtime{Name: "suite", Image: "docker.io/nes/suite:dev", ImagePullPolicy: "Never", Python: stand(t, p.Python)}
		server := forward(t, node, p.Server)
		return func() runner.Backend {
			b, err := New(Options{
				Namespace: "nes-e2e", Instance: instance, Server: server, AgentImage: "docker.io/nes/agent:dev",
				Runtimes: map[string]allowance.Runtime{"": runtime},
				Profiles: map[string]allowance.Profile{"": {Resources: allowance.Bounds{Default: allowance.Size{CPU: "10m", Memory: "64Mi", Disk: "100Mi"}}}},
			})
			require.NoError(t, err)
			t.Cleanup(b.Close)
			return b
		}
	})
}

// stand finds the program of the suite's image that does what the suite's own does.
func stand(t *testing.T, program string) string {
	t.Helper()
	raw, err := os.ReadFile(program)
	require.NoError(t, err)
	if strings.Contains(string(raw), "sleep") {
		return "/sleeps"
	}
	return "/ends"
}

// forward makes a server on loopback reachable by pods.
func forward(t *testing.T, node, server string) string {
	t.Helper()
	to, err := url.Parse(server)
	require.NoError(t, err)
	l, err := net.Listen("tcp", net.JoinHostPort(node, "0"))
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go splice(in, to.Host)
		}
	}()
	return "http://" + l.Addr().String()
}

func splice(in net.Conn, to string) {
	defer in.Close()
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	go func() {
		_, _ = io.Copy(out, in)
		_ = out.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(in, out)
}
