package kube

import (
	"encoding/json"
	"maps"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nes-run/nes/internal/allowance"
)

// kept is how long a finished Job stays that nobody removed.
const kept = 24 * 60 * 60

// manifest is the Job of an order.
func (b *Backend) manifest(o order, hash string) *batchv1.Job {
	meta := b.meta(o, hash)
	none, keep, failed := int32(0), int32(kept), batchv1.Failed
	return &batchv1.Job{
		ObjectMeta: meta,
		Spec: batchv1.JobSpec{
			BackoffLimit:            &none,
			PodReplacementPolicy:    &failed,
			PodFailurePolicy:        onePod(),
			TTLSecondsAfterFinished: &keep,
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: podLabels(meta.Labels), Annotations: o.profile.Annotations},
				Spec:       o.podSpec(),
			},
		},
	}
}

// onePod makes the Job fail with its pod whatever took it away: only NES starts another attempt.
func onePod() *batchv1.PodFailurePolicy {
	return &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
		Action:          batchv1.PodFailurePolicyActionFailJob,
		OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
	}}}
}

func (b *Backend) meta(o order, hash string) metav1.ObjectMeta {
	labels := map[string]string{}
	maps.Copy(labels, o.profile.Labels)
	addUserLabels(labels, o.job.Labels)
	maps.Copy(labels, b.labels(o.job.Ref))
	if o.profile.Queue != "" {
		labels[queueLabel] = o.profile.Queue
	}
	annotations := map[string]string{}
	maps.Copy(annotations, o.profile.Annotations)
	annotations[hashAnnotation] = hash
	annotations[timeoutAnnotation] = o.profile.StartTimeout.Or(usualStart).String()
	if len(o.job.Labels) > 0 {
		raw, _ := json.Marshal(o.job.Labels) // text always can be
		annotations[labelsAnnotation] = string(raw)
	}
	return metav1.ObjectMeta{Name: o.job.Name(), Namespace: b.namespace(o.profile), Labels: labels, Annotations: annotations}
}

// podLabels are the Job's, without what only the Job's queue reads.
func podLabels(labels map[string]string) map[string]string {
	all := maps.Clone(labels)
	delete(all, queueLabel)
	return all
}

func (b *Backend) namespace(p allowance.Profile) string {
	if p.Namespace != "" {
		return p.Namespace
	}
	return b.o.Namespace
}
