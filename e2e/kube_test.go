package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/client"
	"github.com/nes-run/nes/e2e/scenario"
	"github.com/nes-run/nes/storage"
	"github.com/nes-run/nes/storage/gcs"
)

// TestOnKubernetes plays everything on the cluster of e2e/cluster. What troubles the whole cluster comes last, alone.
func TestOnKubernetes(t *testing.T) {
	t.Parallel()
	rig := newKubeRig(t)
	for _, dir := range []string{"testdata/scenarios", "testdata/kubernetes"} {
		all, err := scenario.Load(dir)
		require.NoError(t, err)
		require.NotEmpty(t, all)
		t.Run(filepath.Base(dir), func(t *testing.T) { scenario.Run(t, rig, all) })
	}
	t.Run("throttled", func(t *testing.T) { playThrottled(t, rig) })
	t.Run("alone", func(t *testing.T) {
		all, err := scenario.Load("testdata/kubernetes/alone")
		require.NoError(t, err)
		for _, sc := range all {
			t.Run(sc.Name, func(t *testing.T) {
				t.Log(sc.About)
				defer rig.mend(t)
				scenario.Play(t, rig.Host(t, &sc), sc)
			})
		}
	})
}

const (
	kubeSpace = "nes-e2e"       // restricted
	kubeQuota = "nes-e2e-quota" // with room for nothing
)

// kubeRig plays scenarios in pods of a real cluster, with a bucket of Google Cloud Storage, emulated.
type kubeRig struct {
	node     string // address of this machine as pods reach it
	registry string
	emulator string
	common   *server
	fresh    int
}

func newKubeRig(t *testing.T) *kubeRig {
	t.Helper()
	r := &kubeRig{node: os.Getenv("NES_E2E_NODE_IP")}
	if r.node == "" {
		t.Skip("no cluster: make e2e brings one up and runs this test on it")
	}
	kubectl(t, "apply", "-f", "testdata/kubernetes/namespaces.yml")
	registry := httptest.NewServer(http.HandlerFunc(refuseImages))
	t.Cleanup(registry.Close)
	r.registry = strings.TrimPrefix(registry.URL, "http://")
	store, err := fakestorage.NewServerWithOptions(fakestorage.Options{Scheme: "http", Host: "127.0.0.1", PublicHost: "127.0.0.1"})
	require.NoError(t, err)
	t.Cleanup(store.Stop)
	store.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "team"})
	r.emulator = store.URL()
	r.common = r.serve(t)
	return r
}

// refuseImages is a registry that has no image, and lets nobody see those below /locked.
func refuseImages(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Path == "/v2/":
		fmt.Fprint(w, "{}")
	case strings.Contains(r.URL.Path, "/locked/"):
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`)
	}
}

// serve starts a server whose notebooks run in pods.
func (r *kubeRig) serve(t *testing.T, env ...string) *server {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(r.node, "0"))
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	raw, err := os.ReadFile("testdata/kubernetes/nes.yml")
	require.NoError(t, err)
	config := filepath.Join(t.TempDir(), "nes.yaml")
	require.NoError(t, os.WriteFile(config, bytes.ReplaceAll(raw, []byte("REGISTRY"), []byte(r.registry)), 0o600))
	r.fresh++
	return serve(t, append([]string{
		"NES_BACKEND=kubernetes", "NES_AGENT_ADDR=" + addr, "NES_AGENT_URL=http://" + addr, "NES_AGENT_IMAGE=docker.io/nes/agent:dev",
		"NES_KUBE_NAMESPACE=" + kubeSpace, "NES_CONFIG=" + config, "NES_MAX_RUNNING=4",
		fmt.Sprintf("NES_BUCKET=gs://team/%d", r.fresh), "STORAGE_EMULATOR_HOST=" + r.emulator,
	}, env...)...)
}

// Host implements scenario.Rig.
func (r *kubeRig) Host(t *testing.T, sc *scenario.Scenario) scenario.Site {
	t.Helper()
	if sc.Server.Hold != "" || sc.Server.Disk != "" || sc.Server.Kernel != "" {
		t.Skip("needs a server or a runtime that is made for it; the local rigs play it")
	}
	if env := need(t, sc); env != nil || alone(sc) {
		return &kubeSite{r.serve(t, env...), r}
	}
	s := *r.common
	s.t = t
	return &kubeSite{&s, r}
}

// alone reports whether a step troubles the server itself.
func alone(sc *scenario.Scenario) bool {
	for _, step := range sc.Steps {
		if strings.Contains(step.Do, "server") {
			return true
		}
	}
	return false
}

// mend puts the cluster right after a scenario that broke it and failed.
func (r *kubeRig) mend(t *testing.T) {
	cluster(t, "start-api")
	cluster(t, "find-node")
	kubectl(t, "uncordon", "node1")
	kubectl(t, "wait", "--for=condition=Ready", "node/node1", "--timeout=120s")
}

// kubeSite is a server whose notebooks run in pods.
type kubeSite struct {
	*server
	rig *kubeRig
}

// Publish implements scenario.Site.
func (s *kubeSite) Publish(t *testing.T, files map[string]string) string {
	return (&site{server: s.server}).Publish(t, files)
}

// Bucket implements scenario.Site.
func (s *kubeSite) Bucket(t *testing.T) storage.Bucket {
	t.Helper()
	for i := len(s.env) - 1; i >= 0; i-- {
		if prefix, ok := strings.CutPrefix(s.env[i], "NES_BUCKET=gs://team/"); ok {
			b, err := gcs.Open(t.Context(), gcs.Options{Bucket: "team", Prefix: prefix, Endpoint: s.rig.emulator})
			require.NoError(t, err)
			t.Cleanup(func() { _ = b.Close() })
			return b
		}
	}
	require.Fail(t, "the server has no bucket")
	return nil
}

// Client implements scenario.Site.
func (s *kubeSite) Client() *client.Client { return s.client }

// Strike implements scenario.Site.
func (s *kubeSite) Strike(t *testing.T, what string, run nes.Run) {
	t.Helper()
	labels := "nes.run/run-id=" + string(run.ID)
	switch what {
	case "kill agent":
		killAgent(t, run)
	case "delete pod":
		kubectl(t, "delete", "pod", "-n", kubeSpace, "-l", labels, "--wait=false")
	case "delete pod now":
		kubectl(t, "delete", "pod", "-n", kubeSpace, "-l", labels, "--wait=false", "--grace-period=0", "--force")
	case "delete job":
		kubectl(t, "delete", "job", "-n", kubeSpace, "-l", labels, "--wait=false")
	case "evict pod":
		evict(t, labels)
	case "drain node":
		kubectl(t, "drain", "node1", "--ignore-daemonsets", "--force", "--delete-emptydir-data", "--pod-selector=nes.run/run-id", "--timeout=120s")
	case "uncordon node":
		kubectl(t, "uncordon", "node1")
	case "lose node":
		cluster(t, "lose-node")
	case "find node":
		cluster(t, "find-node")
	case "kill pod":
		killPod(t, run)
	case "restart api":
		cluster(t, "stop-api")
		time.Sleep(5 * time.Second) // of an API server that is away
		cluster(t, "start-api")
	case "free quota":
		kubectl(t, "delete", "resourcequota", "-n", kubeQuota, "nothing")
	case "server away":
		s.kill()
		time.Sleep(90 * time.Second) // longer than the notebook
		s.start()
	default:
		(&site{server: s.server}).Strike(t, what, run)
	}
}

// Left implements scenario.Site.
func (s *kubeSite) Left(t *testing.T, run nes.Run) []string {
	t.Helper()
	out := kubectl(t, "get", "jobs,pods,secrets", "-A", "-l", "nes.run/run-id="+string(run.ID), "-o", "name")
	left := strings.Fields(out)
	for _, pid := range processes(run.ID) {
		left = append(left, fmt.Sprintf("process %d", pid))
	}
	return left
}

func evict(t *testing.T, labels string) {
	t.Helper()
	pod := strings.TrimSpace(kubectl(t, "get", "pods", "-n", kubeSpace, "-l", labels, "-o", "jsonpath={.items[0].metadata.name}"))
	body := fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":%q}}`, pod, kubeSpace)
	cmd := exec.Command("kubectl", "create", "--raw", "/api/v1/namespaces/"+kubeSpace+"/pods/"+pod+"/eviction", "-f", "-")
	cmd.Stdin = strings.NewReader(body)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// killAgent kills the run's agent: pods of the node are processes of this machine.
func killAgent(t *testing.T, run nes.Run) {
	t.Helper()
	require.Equal(t, 1, killWith(t, "watch", string(run.ID)))
}

// killPod ends every process of the run's pod, as a machine that loses power does.
func killPod(t *testing.T, run nes.Run) {
	t.Helper()
	require.Positive(t, killWith(t, "watch", string(run.ID)))
	for _, pid := range processes(run.ID) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// killWith kills the processes that have all the arguments, and counts them.
func killWith(t *testing.T, arguments ...string) int {
	t.Helper()
	killed := 0
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range files {
		args, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		all := true
		for _, a := range arguments {
			all = all && bytes.Contains(append([]byte{0}, args...), []byte("\x00"+a+"\x00"))
		}
		var pid int
		if _, err := fmt.Sscanf(file, "/proc/%d/", &pid); all && err == nil && syscall.Kill(pid, syscall.SIGKILL) == nil {
			killed++
		}
	}
	return killed
}

func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoError(t, cmd.Run(), "kubectl %s: %s", strings.Join(args, " "), errs.String())
	return out.String()
}

// cluster does something to the cluster as a whole.
func cluster(t *testing.T, what string) {
	t.Helper()
	cmd := exec.Command("cluster/cluster.sh", what)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s: %s", what, out)
}
