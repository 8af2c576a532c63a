package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/e2e/scenario"
)

// TestCostOnKubernetes counts what a run costs the cluster, and compares how long it takes to the first cell with the same
// pod without NES. It is not parallel, and so runs before the scenarios, because only a machine that does nothing else can be measured.
func TestCostOnKubernetes(t *testing.T) {
	rig := newKubeRig(t)
	s := &kubeSite{rig.common, rig}
	sc := scenario.Scenario{Path: "notebook.ipynb", Cells: []scenario.Cell{{Code: "print(1)"}}}
	address := s.Publish(t, map[string]string{sc.Path: string(sc.Notebook())}) + "/blob/main/" + sc.Path
	kubectl(t, "delete", "configmap", "-n", kubeSpace, "notebook", "--ignore-not-found")
	file := filepath.Join(t.TempDir(), "n.ipynb")
	timed := scenario.Scenario{Cells: []scenario.Cell{{Code: "import time; print('first cell at', time.time())"}}}
	require.NoError(t, os.WriteFile(file, timed.Notebook(), 0o600))
	kubectl(t, "create", "configmap", "-n", kubeSpace, "notebook", "--from-file="+file)

	var withNES, alike, plain []time.Duration
	var last nes.Run
	for i := range 5 {
		last = s.submit(nes.Spec{InputURL: address})
		last = s.wait(last.ID)
		require.Equal(t, nes.StatusSucceeded, last.Status, last.Message)
		withNES = append(withNES, last.StartedAt.Sub(last.CreatedAt))
		alike = append(alike, bare(t, fmt.Sprintf("alike-%d", i), true))
		plain = append(plain, bare(t, fmt.Sprintf("plain-%d", i), false))
		t.Logf("to the first cell: %s through NES, %s in a pod of the same shape without NES, %s in a pod of one container", withNES[i], alike[i], plain[i])
	}
	t.Logf("medians: %s through NES, %s the same shape, %s one container; stages of the last run: %s", median(withNES), median(alike), median(plain), stages(t, s, last))
	require.NoError(t, s.scenarioLeft(t, last))
	writes := audited(t, last.ID)
	t.Logf("writes to the API for one run: %v", writes)
	require.NotEmpty(t, writes)
	require.LessOrEqual(t, len(writes), 4)
}

// scenarioLeft waits until nothing of the run is left.
func (s *kubeSite) scenarioLeft(t *testing.T, run nes.Run) error {
	return scenario.Disagreement(t, s, run.ID)
}

func median(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// stages says when a run came into each stage, after its submission.
func stages(t *testing.T, s *kubeSite, run nes.Run) string {
	t.Helper()
	var b strings.Builder
	for e, err := range s.client.Events(s.ctx(), run.ID, 0) {
		require.NoError(t, err)
		if e.Kind != "" {
			fmt.Fprintf(&b, "%s %.2fs, ", e.Kind, e.At.Sub(run.CreatedAt).Seconds())
		}
	}
	fmt.Fprintf(&b, "first cell %.2fs", run.StartedAt.Sub(run.CreatedAt).Seconds())
	return b.String()
}

// audited lists NES's writes that were about the run.
func audited(t *testing.T, id nes.RunID) []string {
	t.Helper()
	f, err := os.Open(filepath.Join(filepath.Dir(os.Getenv("KUBECONFIG")), "audit.log"))
	require.NoError(t, err)
	defer f.Close()
	var writes []string
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct {
			Verb, UserAgent string
			ObjectRef       struct{ Resource, Name string }
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &e))
		if e.UserAgent == "nes" && strings.Contains(e.ObjectRef.Name, string(id)) {
			writes = append(writes, e.Verb+" "+e.ObjectRef.Resource)
		}
	}
	require.NoError(t, lines.Err())
	return writes
}

// bare runs papermill in a pod without NES, as one container or in the shape of NES's pods, and returns how long it took from the
// request to the first cell.
func bare(t *testing.T, name string, shaped bool) time.Duration {
	t.Helper()
	began := time.Now()
	cmd := exec.Command("kubectl", "create", "-f", "-")
	cmd.Stdin = strings.NewReader(bareJob(name, shaped))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	defer kubectl(t, "delete", "job", "-n", kubeSpace, name, "--wait=false")
	kubectl(t, "wait", "-n", kubeSpace, "--for=condition=complete", "job/"+name, "--timeout=120s")
	said := kubectl(t, "logs", "-n", kubeSpace, "job/"+name, "-c", "notebook")
	_, at, ok := strings.Cut(said, "first cell at ")
	require.True(t, ok, said)
	seconds, err := strconv.ParseFloat(strings.Fields(at)[0], 64)
	require.NoError(t, err)
	return time.UnixMicro(int64(seconds * 1e6)).Sub(began)
}

func bareJob(name string, shaped bool) string {
	const secure = `{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}`
	beside := ""
	if shaped {
		beside = `
      initContainers:
      - {name: fetch, image: docker.io/nes/suite:dev, imagePullPolicy: Never, command: [/ends], securityContext: ` + secure + `}
      - {name: agent, image: docker.io/nes/suite:dev, imagePullPolicy: Never, command: [sh, -c, "trap 'exit 0' TERM; sleep 600 & wait"], restartPolicy: Always, securityContext: ` + secure + `}`
	}
	return `apiVersion: batch/v1
kind: Job
metadata: {name: ` + name + `, namespace: ` + kubeSpace + `}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      enableServiceLinks: false
      securityContext: {runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000, seccompProfile: {type: RuntimeDefault}}` + beside + `
      containers:
      - name: notebook
        image: docker.io/nes/notebook:dev
        imagePullPolicy: Never
        command: [papermill, --no-progress-bar, --log-output, /nb/n.ipynb, /tmp/out.ipynb]
        env: [{name: HOME, value: /tmp}, {name: USER, value: nes}]
        securityContext: ` + secure + `
        volumeMounts: [{name: nb, mountPath: /nb}, {name: tmp, mountPath: /tmp}]
      volumes:
      - {name: nb, configMap: {name: notebook}}
      - {name: tmp, emptyDir: {}}
`
}
