package kube

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/nes-run/nes/runner"
)

// recorded is what a real cluster showed of an attempt at one moment: see TestRecord.
type recorded struct {
	Now     time.Time      `json:"now"`
	Job     *batchv1.Job   `json:"job,omitempty"`
	Pod     *corev1.Pod    `json:"pod,omitempty"`
	PodGone bool           `json:"pod_gone,omitempty"`
	Events  []corev1.Event `json:"events,omitempty"`
}

func (r recorded) snapshot() snapshot {
	return snapshot{job: r.Job, pod: r.Pod, podGone: r.PodGone, events: r.Events}
}

// TestStatus judges what was recorded on the real cluster, moment by moment.
func TestStatus(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/status/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			var r recorded
			require.NoError(t, json.Unmarshal(raw, &r))
			golden(t, strings.TrimSuffix(file, ".json")+".txt", []byte(shown(status(r.snapshot(), r.Now))))
		})
	}
}

// shown is an observation as people compare it.
func shown(o runner.Observation) string {
	var b strings.Builder
	fmt.Fprintf(&b, "phase: %s\nstarted: %t\n", o.Phase, o.Started)
	if o.Held {
		b.WriteString("held: true\n")
	}
	if o.Exit != nil {
		fmt.Fprintf(&b, "marker: %q code %d\n", o.Exit.Reason, o.Exit.Code)
	}
	if o.Reason != "" {
		fmt.Fprintf(&b, "reason: %s (%s)\n", o.Reason, o.Reason.Status())
	}
	if o.Message != "" {
		fmt.Fprintf(&b, "message: %s\n", o.Message)
	}
	return b.String()
}

// What registries, kubelets and quotas say is told apart by words alone.
func TestWordsOfComponents(t *testing.T) {
	t.Parallel()
	for message, want := range map[string][]string{
		`failed to resolve reference "docker.io/nes/x:1": docker.io/nes/x:1: not found`:                                                        {"absent"},
		`Error response from daemon: manifest for x:1 not found: manifest unknown: manifest unknown`:                                           {"absent"},
		`pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed`: {"absent", "locked"},
		`failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized`:                                                {"locked"},
		`dial tcp: lookup registry.example.com: i/o timeout`:                                                                                   {},
		`pods "x" is forbidden: exceeded quota: nothing, requested: pods=1, used: pods=0, limited: pods=0`:                                     {"quota"},
		`pods "x" is forbidden: violates PodSecurity "restricted:latest"`:                                                                      {},
		`Usage of EmptyDir volume "work" exceeds the limit "150Mi".`:                                                                           {"disk"},
		`Pod ephemeral local storage usage exceeds the total limit of containers 150Mi.`:                                                       {"disk"},
		`Container notebook exceeded its local ephemeral storage limit "150Mi".`:                                                               {"disk"},
		`The node was low on resource: memory.`:                                                                                                {},
	} {
		got := []string{}
		for name, says := range map[string]func(string) bool{"absent": notFound, "locked": unauthorized, "quota": overQuota, "disk": overDisk} {
			if says(message) {
				got = append(got, name)
			}
		}
		require.ElementsMatch(t, want, got, message)
	}
	require.Len(t, brief(strings.Repeat("long ", 200)), 403)
	require.Equal(t, "a b", brief(" a\n\t b "))
	require.Equal(t, "why", unnamed(`pods "x" is forbidden: why`))
	require.Equal(t, "why", unnamed("why"))
}

// What no trial showed: made of what was recorded.
func TestStatusOfRarerEnds(t *testing.T) {
	t.Parallel()
	read := func(name string) recorded {
		raw, err := os.ReadFile(filepath.Join("testdata", "status", name+".json"))
		require.NoError(t, err)
		var r recorded
		require.NoError(t, json.Unmarshal(raw, &r))
		return r
	}
	for name, c := range map[string]struct {
		of     string
		change func(r *recorded)
		want   string
	}{
		"nothing is there": {"running", func(r *recorded) { r.Job, r.Pod = nil, nil }, "phase: absent\nstarted: false\n"},
		"waits in a queue": {"quota", func(r *recorded) {
			on := true
			r.Job.Spec.Suspend, r.Job.Labels[queueLabel] = &on, "team-a"
		}, "phase: pending\nstarted: false\nheld: true\nmessage: waits in the queue team-a of the cluster\n"},
		"gated": {"unschedulable-selector", func(r *recorded) {
			condition(r.Pod, corev1.PodScheduled).Reason = corev1.PodReasonSchedulingGated
		}, "phase: pending\nstarted: false\nheld: true\nmessage: the cluster has not admitted the pod yet\n"},
		"over its disk": {"running", func(r *recorded) {
			r.Pod.Status.Phase, r.Pod.Status.Reason, r.Pod.Status.Message = corev1.PodFailed, "Evicted", `Usage of EmptyDir volume "work" exceeds the limit "1Mi".`
		}, "phase: gone\nstarted: true\nreason: DiskFull (Failed)\nmessage: the run wrote more than its disk limit: Usage of EmptyDir volume \"work\" exceeds the limit \"1Mi\".\n"},
		"the node needs the place": {"running", func(r *recorded) {
			r.Pod.Status.Phase, r.Pod.Status.Reason, r.Pod.Status.Message = corev1.PodFailed, "Evicted", "The node was low on resource: memory."
		}, "phase: gone\nstarted: true\nreason: Evicted (Error)\nmessage: the node needed the place: The node was low on resource: memory.\n"},
		"the pod's clock": {"running", func(r *recorded) { r.Pod.Status.Phase, r.Pod.Status.Reason = corev1.PodFailed, "DeadlineExceeded" },
			"phase: gone\nstarted: true\nreason: RunTimeout (Failed)\nmessage: the pod's own clock ran out\n"},
		"refused by the node": {"unschedulable-selector", func(r *recorded) {
			r.Pod.Status.Phase, r.Pod.Status.Reason, r.Pod.Status.Message = corev1.PodFailed, "OutOfcpu", "too much"
		}, "phase: gone\nstarted: false\nreason: Unschedulable (Error)\nmessage: the node refused the pod (OutOfcpu): too much\n"},
		"preempted": {"evicted-running", func(r *recorded) { condition(r.Pod, corev1.DisruptionTarget).Reason = "PreemptionByScheduler" },
			"phase: running\nstarted: true\nreason: Evicted (Error)\nmessage: a pod of higher priority took the place: Eviction API: evicting\n"},
		"told to end on a node that is gone": {"pod-deleted-running", func(r *recorded) { r.Now = r.Pod.DeletionTimestamp.Add(lostAfter + time.Second) },
			"phase: gone\nstarted: true\nreason: NodeLost (Error)\nmessage: the node node1 does not answer: the pod was told to end and is still there\n"},
		"no sight of the node": {"running", func(r *recorded) { condition(r.Pod, corev1.PodReady).Status = corev1.ConditionFalse },
			"phase: running\nstarted: true\nreason: NodeLost (Error)\nmessage: the node node1 does not answer any more\n"},
		"killed without a word": {"oom-of-the-kernel", func(r *recorded) {
			r.Pod.DeletionTimestamp = nil
			c := container(r.Pod, notebookName).State.Terminated
			c.Reason, c.ExitCode, c.Message = "Error", 137, ""
		}, "phase: gone\nstarted: true\nreason: Internal (Error)\nmessage: the notebook's container ended with exit code 137 and left no word\n"},
		"of another architecture": {"oom-of-the-kernel", func(r *recorded) {
			c := container(r.Pod, notebookName).State.Terminated
			c.Reason, c.ExitCode, c.Message = "StartError", 128, "exec format error"
		}, "phase: gone\nstarted: false\nreason: Internal (Error)\nmessage: the container notebook cannot be started: exec format error\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := read(c.of)
			c.change(&r)
			require.Equal(t, c.want, shown(status(r.snapshot(), r.Now)))
		})
	}
}
