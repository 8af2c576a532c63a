package kube

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner"
)

// Labels and annotations of everything that NES makes.
const (
	managedLabel  = "app.kubernetes.io/managed-by"
	instanceLabel = "nes.run/instance" // which NES made it
	runLabel      = "nes.run/run-id"
	attemptLabel  = "nes.run/attempt"
	userLabel     = "labels.nes.run/" // before the names of the run's own labels
	queueLabel    = "kueue.x-k8s.io/queue-name"

	hashAnnotation    = "nes.run/order-hash"    // of what was to be launched, and for whom
	labelsAnnotation  = "nes.run/labels"        // the run's own labels, all of them, as JSON
	timeoutAnnotation = "nes.run/start-timeout" // how long the pod may take to start
	stoppedAnnotation = "nes.run/stopped"       // by NES
)

// refOf reads which attempt an object is of.
func refOf(labels map[string]string) (runner.Ref, bool) {
	n, err := strconv.Atoi(labels[attemptLabel])
	if err != nil || n < 1 || labels[runLabel] == "" {
		return runner.Ref{}, false
	}
	return runner.Ref{Run: nes.RunID(labels[runLabel]), Attempt: n}, true
}

// selector finds everything of one attempt.
func (b *Backend) selector(ref runner.Ref) string {
	return fmt.Sprintf("%s=%s,%s=%s,%s=%d", instanceLabel, b.o.Instance, runLabel, ref.Run, attemptLabel, ref.Attempt)
}

// labels of all objects of an attempt.
func (b *Backend) labels(ref runner.Ref) map[string]string {
	return map[string]string{
		managedLabel: "nes", instanceLabel: b.o.Instance, runLabel: string(ref.Run), attemptLabel: strconv.Itoa(ref.Attempt),
	}
}

var (
	labelName  = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$`)
	labelValue = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$`)
)

// addUserLabels adds those of the run's labels that Kubernetes can hold; a slash in a name becomes a dot.
func addUserLabels(into, labels map[string]string) {
	for name, value := range labels {
		if name = strings.ReplaceAll(name, "/", "."); labelName.MatchString(name) && labelValue.MatchString(value) {
			into[userLabel+name] = value
		}
	}
}

// grown is a factor that changes something, or 0.
func grown(factor float64) float64 {
	if factor <= 1 {
		return 0
	}
	return factor
}

// orderHash says what is launched and for whom, so that an attempt that is there already is known to be the same. What the
// administrator may have changed since is not in it.
func orderHash(j runner.Job) (string, error) {
	token := sha256.Sum256([]byte(j.Token))
	raw, err := json.Marshal(struct {
		Ref         runner.Ref
		Token       string
		Launch      any
		Runtime     string
		Profile     string
		Resources   nes.Resources
		HostNetwork bool
		// What has not always been here is left out where it says nothing: attempts of an older server stay the same.
		MemoryFactor float64 `json:",omitempty"`
	}{j.Ref, hex.EncodeToString(token[:]), j.Launch, j.Runtime, j.Profile, j.Resources, j.HostNetwork, grown(j.MemoryFactor)})
	if err != nil {
		return "", nes.Fail(nes.ReasonInternal, "write the launch order: %v", err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}
