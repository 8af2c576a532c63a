package kube

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// snapshot is what is known of an attempt at one moment.
type snapshot struct {
	job     *batchv1.Job
	pod     *corev1.Pod // the newest
	podGone bool        // pod is what was last seen of one that is not there any more
	events  []corev1.Event
}

// take adds a pod that was read: the newest counts.
func (s *snapshot) take(p *corev1.Pod) {
	if s.pod == nil || s.pod.UID == p.UID || s.pod.CreationTimestamp.Before(&p.CreationTimestamp) {
		s.pod, s.podGone = p, false
	}
}

// soon is how long a start may take that needs no explanation.
const soon = 3 * time.Second

// stuck reports whether events may tell more: the notebook does not start.
func (s *snapshot) stuck(now time.Time) bool {
	if s.job == nil || s.over() || now.Sub(s.since()) < soon {
		return false
	}
	return s.pod == nil || !terminal(s.pod) && !notebookStarted(s.pod)
}

// over reports whether the Job makes no pod any more, and has none.
func (s *snapshot) over() bool {
	if s.job.Annotations[stoppedAnnotation] != "" {
		return true
	}
	for _, c := range s.job.Status.Conditions {
		if (c.Type == batchv1.JobFailed || c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailureTarget) && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

// startTimeout is how long the pod may take to start.
func (s *snapshot) startTimeout() time.Duration {
	if s.job != nil {
		if d, err := time.ParseDuration(s.job.Annotations[timeoutAnnotation]); err == nil {
			return d
		}
	}
	return usualStart
}

// since is when the cluster began to work on the attempt: it does not while the Job is suspended.
func (s *snapshot) since() time.Time {
	switch {
	case s.pod != nil:
		return s.pod.CreationTimestamp.Time
	case s.job.Status.StartTime != nil:
		return s.job.Status.StartTime.Time
	}
	return s.job.CreationTimestamp.Time
}

func terminal(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// container finds the status of one of the pod's containers.
func container(p *corev1.Pod, name string) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{p.Status.ContainerStatuses, p.Status.InitContainerStatuses} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}

// notebookStarted reports whether exec was started, so that the notebook's code may have run.
func notebookStarted(p *corev1.Pod) bool {
	c := container(p, notebookName)
	if c == nil {
		return false
	}
	t := c.State.Terminated
	return c.State.Running != nil || t != nil && !neverRan(t)
}

func notebookEnded(p *corev1.Pod) bool {
	c := container(p, notebookName)
	return c != nil && c.State.Terminated != nil
}

// neverRan tells a container that could not be started from one that ended.
func neverRan(t *corev1.ContainerStateTerminated) bool {
	return t.Reason == "StartError" || t.Reason == "ContainerCannotRun"
}

func condition(p *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == kind {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

// eventTime is when an event happened last.
func eventTime(e *corev1.Event) time.Time {
	switch {
	case e.Series != nil:
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}
