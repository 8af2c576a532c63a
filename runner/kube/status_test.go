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
