package kube

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner"
	"github.com/nes-run/nes/runner/journal"
)

// How long what may pass is waited for, before the attempt is given up.
const (
	refusedFor = 15 * time.Second // the cluster makes no pod, or the registry knows no such image: one more try
	brokenFor  = 30 * time.Second // a container cannot be made as it is asked for
	pullFor    = 90 * time.Second // the registry does not answer as it should
	lostAfter  = 30 * time.Second // that a pod is still there when its time to end is over
)

// status says what has become of an attempt, and why, in words for people. It is a pure function. A reason of an attempt that is
// pending gives it up; one of an attempt that runs says why its end is near.
func status(s snapshot, now time.Time) runner.Observation {
	if s.pod == nil && s.job == nil {
		return runner.Observation{Phase: runner.PhaseAbsent}
	}
	if s.pod == nil {
		return withoutPod(s, now)
	}
	o := runner.Observation{Started: notebookStarted(s.pod), Since: s.since(), Exit: notice(s.pod)}
	switch {
	case s.podGone || terminal(s.pod):
		o.Phase = runner.PhaseGone
		o.Reason, o.Message = ended(s)
	case abandoned(s.pod, now):
		o.Phase, o.Reason = runner.PhaseGone, nes.ReasonNodeLost
		o.Message = fmt.Sprintf("the node %s does not answer: the pod was told to end and is still there", s.pod.Spec.NodeName)
	case notebookEnded(s.pod):
		o.Phase = runner.PhaseExited
		o.Reason, o.Message = ended(s)
	case o.Started:
		o.Phase = runner.PhaseRunning
		o.Reason, o.Message = leaving(s)
	default:
		o.Phase = runner.PhasePending
		o.Reason, o.Message, o.Held = pending(s, now)
	}
	return o
}

// notice reads the marker that exec left as its container's last message.
func notice(p *corev1.Pod) *journal.Exit {
	c := container(p, notebookName)
	if c == nil || c.State.Terminated == nil {
		return nil
	}
	var e journal.Exit
	if json.Unmarshal([]byte(c.State.Terminated.Message), &e) != nil || e.V != journal.Version {
		return nil
	}
	e.Inferred, e.Unstarted = false, false // the notebook may have written it, and cannot claim what only others conclude
	return &e
}

// withoutPod judges a Job that has no pod: not yet, not any more, or never.
func withoutPod(s snapshot, now time.Time) runner.Observation {
	o := runner.Observation{Phase: runner.PhasePending, Since: s.since()}
	if s.over() {
		// Nothing says whether the notebook had been started, so it is taken to have been.
		o.Phase, o.Started, o.Reason, o.Message = runner.PhaseGone, true, nes.ReasonPodDeleted, "the pod was deleted"
		if c := jobCondition(s.job, batchv1.JobFailed); c != nil && c.Reason == batchv1.JobReasonDeadlineExceeded {
			o.Reason, o.Message = nes.ReasonRunTimeout, "the Job's own clock ran out: "+brief(c.Message)
		}
		return o
	}
	if s.job.Spec.Suspend != nil && *s.job.Spec.Suspend {
		o.Held, o.Message = true, "the Job is suspended until the cluster admits it"
		if q := s.job.Labels[queueLabel]; q != "" {
			o.Message = fmt.Sprintf("waits in the queue %s of the cluster", q)
		}
		return o
	}
	if e := newest(s.events, "FailedCreate"); e != nil {
		if overQuota(e.Message) {
			o.Held, o.Message = true, "the namespace's quota is used up: "+brief(unnamed(e.Message))
			return o
		}
		o.Message = "the cluster makes no pod: " + brief(unnamed(e.Message))
		if now.Sub(s.since()) > refusedFor {
			o.Reason = nes.ReasonAdmissionRejected
		}
	}
	return o
}

// unnamed takes the name of a pod that never came to be, which is another one each time, out of a refusal.
func unnamed(message string) string {
	if _, why, ok := strings.Cut(message, "is forbidden: "); ok {
		return why
	}
	return message
}

// pending says why a pod's notebook has not started, and whether it is given up or only held back.
func pending(s snapshot, now time.Time) (reason nes.Reason, message string, held bool) {
	if r, m := leaving(s); r != "" {
		return r, m, false
	}
	if c := condition(s.pod, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionFalse {
		if c.Reason == corev1.PodReasonSchedulingGated {
			return "", "the cluster has not admitted the pod yet", true
		}
		reason, message = late(s, now, nes.ReasonUnschedulable, "no node has a place for the pod: "+brief(c.Message))
		return reason, message, false
	}
	for _, name := range []string{fetchName, agentName, notebookName} {
		if c := container(s.pod, name); c != nil {
			if r, m := stuckContainer(s, c, now); m != "" {
				return r, m, false
			}
		}
	}
	if e := newest(s.events, "FailedMount", "FailedAttachVolume"); e != nil {
		reason, message = late(s, now, nes.ReasonAdmissionRejected, "a volume of the pod is not there: "+brief(e.Message))
		return reason, message, false
	}
	if e := newest(s.events, "FailedCreatePodSandBox"); e != nil {
		reason, message = late(s, now, nes.ReasonUnschedulable, "the node cannot make the pod: "+brief(e.Message))
		return reason, message, false
	}
	if e := newest(s.events, "Pulling", "Pulled"); e != nil && e.Reason == "Pulling" {
		reason, message = late(s, now, nes.ReasonImagePullFailed, "the image is being pulled: "+brief(e.Message))
		return reason, message, false
	}
	reason, message = late(s, now, nes.ReasonUnschedulable, "")
	return reason, message, false
}

// late gives a reason once the pod has had its time to start.
func late(s snapshot, now time.Time, reason nes.Reason, message string) (nes.Reason, string) {
	limit := s.startTimeout()
	if now.Sub(s.since()) < limit {
		return "", message
	}
	if message == "" {
		return reason, fmt.Sprintf("the pod did not start within %s", limit)
	}
	return reason, fmt.Sprintf("%s (given up after %s)", message, limit)
}

// stuckContainer judges one that waits, or that failed before the notebook's turn came.
func stuckContainer(s snapshot, c *corev1.ContainerStatus, now time.Time) (nes.Reason, string) {
	if t := c.State.Terminated; t != nil && neverRan(t) {
		return nes.ReasonInternal, fmt.Sprintf("the container %s cannot be started: %s", c.Name, brief(t.Message))
	}
	w := c.State.Waiting
	if w == nil {
		return "", ""
	}
	waited := now.Sub(waitingSince(s))
	after := func(limit time.Duration, reason nes.Reason, message string) (nes.Reason, string) {
		if waited < limit {
			return "", message
		}
		return reason, message
	}
	image := fmt.Sprintf("the image %s", c.Image)
	switch w.Reason {
	case "ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "SignatureValidationFailed":
		return stuckPull(s, c, after)
	case "InvalidImageName":
		return nes.ReasonImageNotFound, image + " has a name that is none"
	case "ErrImageNeverPull":
		return nes.ReasonImageNotFound, image + " is not on the node, and must not be pulled"
	case "CreateContainerConfigError":
		return after(brokenFor, nes.ReasonAdmissionRejected, fmt.Sprintf("the container %s cannot be made: %s", c.Name, brief(w.Message)))
	case "CreateContainerError", "RunContainerError":
		return after(brokenFor, nes.ReasonInternal, fmt.Sprintf("the container %s cannot be made: %s", c.Name, brief(w.Message)))
	}
	return "", ""
}

// stuckPull tells an image that is not there from a registry that lets nobody in and from one that is away. Only the messages say so, and
// they are the kubelet's in turn with "Back-off", which says nothing: the events keep them.
func stuckPull(s snapshot, c *corev1.ContainerStatus, after func(time.Duration, nes.Reason, string) (nes.Reason, string)) (nes.Reason, string) {
	said := c.State.Waiting.Message
	if c.State.Waiting.Reason == "ImagePullBackOff" {
		for _, e := range s.events {
			if e.Reason == "Failed" && mentions(e.Message, c.Image) && mentions(e.Message, "failed to pull") {
				said = e.Message
			}
		}
	}
	switch {
	case unauthorized(said):
		return after(refusedFor, nes.ReasonImagePullFailed, fmt.Sprintf("the registry lets nobody pull the image %s: the runtime needs an image_pull_secrets that fits: %s", c.Image, brief(said)))
	case notFound(said):
		return after(refusedFor, nes.ReasonImageNotFound, fmt.Sprintf("the image %s does not exist: %s", c.Image, brief(said)))
	default:
		return after(pullFor, nes.ReasonImagePullFailed, fmt.Sprintf("the image %s cannot be pulled: %s", c.Image, brief(said)))
	}
}

// waitingSince is when the notebook's turn came, as far as known.
func waitingSince(s snapshot) time.Time {
	at := s.since()
	for _, kind := range []corev1.PodConditionType{corev1.PodScheduled, corev1.PodInitialized} {
		if c := condition(s.pod, kind); c != nil && c.Status == corev1.ConditionTrue && c.LastTransitionTime.After(at) {
			at = c.LastTransitionTime.Time
		}
	}
	return at
}

// abandoned reports whether a pod was told to end long ago and is still there: its node does not answer. What it does is
// fenced: its attempt is over.
func abandoned(p *corev1.Pod, now time.Time) bool {
	return p.DeletionTimestamp != nil && now.Sub(p.DeletionTimestamp.Time) > lostAfter
}
