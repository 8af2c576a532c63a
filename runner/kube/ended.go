package kube

import (
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/nes-run/nes"
)

// ended says why a pod, or its notebook's container, is over, as far as the cluster knows. That is not the verdict: exec's marker is believed first.
func ended(s snapshot) (nes.Reason, string) {
	if r, m := kubelet(s.pod); r != "" {
		return r, m
	}
	if r, m := outOfMemory(s.pod); r != "" {
		return r, m
	}
	if c := container(s.pod, notebookName); c != nil && c.State.Terminated != nil && neverRan(c.State.Terminated) {
		return exited(s.pod)
	}
	if r, m := leaving(s); r != "" {
		return r, m
	}
	if s.podGone && !terminal(s.pod) {
		return nes.ReasonPodDeleted, "the pod was deleted"
	}
	return exited(s.pod)
}

// kubelet reads why the node itself ended or refused the pod.
func kubelet(p *corev1.Pod) (nes.Reason, string) {
	switch p.Status.Reason {
	case "":
		return "", ""
	case "Evicted":
		if overDisk(p.Status.Message) {
			return nes.ReasonDiskFull, "the run wrote more than its disk limit: " + brief(p.Status.Message)
		}
		return nes.ReasonEvicted, "the node needed the place: " + brief(p.Status.Message)
	case "DeadlineExceeded":
		return nes.ReasonRunTimeout, "the pod's own clock ran out"
	case "NodeLost":
		return nes.ReasonNodeLost, "the node is lost: " + brief(p.Status.Message)
	case "Terminated", "Shutdown", "NodeShutdown", "Preempting":
		return nes.ReasonEvicted, "the node shut down or gave the place away: " + brief(p.Status.Message)
	}
	if notebookStarted(p) {
		return nes.ReasonEvicted, fmt.Sprintf("the node ended the pod (%s): %s", p.Status.Reason, brief(p.Status.Message))
	}
	return nes.ReasonUnschedulable, fmt.Sprintf("the node refused the pod (%s): %s", p.Status.Reason, brief(p.Status.Message))
}

func outOfMemory(p *corev1.Pod) (nes.Reason, string) {
	c := container(p, notebookName)
	if c == nil || c.State.Terminated == nil || c.State.Terminated.Reason != "OOMKilled" {
		return "", ""
	}
	limit := "its memory limit"
	for i := range p.Spec.Containers {
		if q, ok := p.Spec.Containers[i].Resources.Limits[corev1.ResourceMemory]; ok && p.Spec.Containers[i].Name == notebookName {
			limit += " of " + q.String()
		}
	}
	return nes.ReasonOutOfMemory, "the notebook's container was killed because it reached " + limit
}

// leaving says why a pod is on its way out, or will be: nothing where it is not.
func leaving(s snapshot) (nes.Reason, string) {
	if c := condition(s.pod, corev1.DisruptionTarget); c != nil && c.Status == corev1.ConditionTrue {
		return disrupted(c)
	}
	switch {
	case s.pod.DeletionTimestamp == nil && !unreachable(s.pod):
		return "", ""
	case s.pod.DeletionTimestamp == nil:
		return nes.ReasonNodeLost, fmt.Sprintf("the node %s does not answer any more", s.pod.Spec.NodeName)
	case s.job == nil:
		return nes.ReasonPodDeleted, "the Job was deleted while its pod ran"
	case s.job.Spec.Suspend != nil && *s.job.Spec.Suspend:
		return nes.ReasonEvicted, "the Job was suspended while its pod ran"
	}
	return nes.ReasonPodDeleted, "the pod was deleted while it ran"
}

func disrupted(c *corev1.PodCondition) (nes.Reason, string) {
	said := brief(c.Message)
	switch c.Reason {
	case "EvictionByEvictionAPI":
		return nes.ReasonEvicted, "the pod was evicted, as a drain of its node does: " + said
	case "PreemptionByScheduler", "PreemptionByKubeScheduler":
		return nes.ReasonEvicted, "a pod of higher priority took the place: " + said
	case "DeletionByTaintManager":
		return nes.ReasonNodeLost, "the node is not to be used any more: " + said
	case "DeletionByPodGC":
		return nes.ReasonNodeLost, "the node is gone: " + said
	}
	return nes.ReasonEvicted, fmt.Sprintf("the cluster took the pod away (%s): %s", c.Reason, said)
}

// unreachable reports whether the cluster has lost sight of a pod whose containers all ran and were ready: then its node does not answer.
func unreachable(p *corev1.Pod) bool {
	c := condition(p, corev1.PodReady)
	if c == nil || c.Status != corev1.ConditionFalse || p.Status.Phase != corev1.PodRunning || len(p.Status.ContainerStatuses) == 0 {
		return false
	}
	for _, cs := range append(p.Status.ContainerStatuses[:len(p.Status.ContainerStatuses):len(p.Status.ContainerStatuses)], p.Status.InitContainerStatuses...) {
		if cs.Name != fetchName && (cs.State.Running == nil || !cs.Ready) {
			return false
		}
	}
	return true
}

// exited speaks of containers that ended by themselves.
func exited(p *corev1.Pod) (nes.Reason, string) {
	for _, name := range []string{fetchName, notebookName} {
		c := container(p, name)
		if c == nil || c.State.Terminated == nil {
			continue
		}
		t := c.State.Terminated
		switch {
		case neverRan(t):
			return nes.ReasonInternal, fmt.Sprintf("the container %s cannot be started: %s", name, brief(t.Message))
		case name == fetchName && t.ExitCode != 0:
			return nes.ReasonAgentLost, fmt.Sprintf("the container %s ended with exit code %d%s", name, t.ExitCode, because(t))
		case name == notebookName && t.ExitCode != 0:
			return nes.ReasonInternal, fmt.Sprintf("the notebook's container ended with exit code %d and left no word%s", t.ExitCode, because(t))
		}
	}
	return "", ""
}

func because(t *corev1.ContainerStateTerminated) string {
	switch {
	case t.Message != "":
		return ": " + brief(t.Message)
	case t.Reason != "" && t.Reason != "Error":
		return ": " + t.Reason
	}
	return ""
}

func jobCondition(j *batchv1.Job, kind batchv1.JobConditionType) *batchv1.JobCondition {
	for i := range j.Status.Conditions {
		if j.Status.Conditions[i].Type == kind && j.Status.Conditions[i].Status == corev1.ConditionTrue {
			return &j.Status.Conditions[i]
		}
	}
	return nil
}

// newest finds the newest event of one of the kinds.
func newest(events []corev1.Event, kinds ...string) *corev1.Event {
	var found *corev1.Event
	for i := range events {
		e := &events[i]
		for _, k := range kinds {
			if e.Reason == k && (found == nil || !eventTime(e).Before(eventTime(found))) {
				found = e
			}
		}
	}
	return found
}

// What the cluster's components say is only said in words.

func overQuota(message string) bool {
	return mentions(message, "exceeded quota", "quota evaluation timed out", "insufficient quota")
}

func overDisk(message string) bool {
	return mentions(message, "usage of emptydir", "ephemeral local storage usage exceeds", "exceeded its local ephemeral storage limit")
}

func unauthorized(message string) bool {
	return mentions(message, "401", "403 forbidden", "unauthorized", "authentication required", "authorization failed", "no basic auth", "access denied", "denied:")
}

func notFound(message string) bool {
	return mentions(message, "not found", "notfound", "manifest unknown", "name unknown", "404", "does not exist")
}

func mentions(message string, any ...string) bool {
	message = strings.ToLower(message)
	for _, text := range any {
		if strings.Contains(message, strings.ToLower(text)) {
			return true
		}
	}
	return false
}

// brief keeps a component's words to what a person reads.
func brief(message string) string {
	const limit = 400
	message = strings.Join(strings.Fields(message), " ")
	if len(message) > limit {
		message = strings.ToValidUTF8(message[:limit], "") + "..."
	}
	return message
}
