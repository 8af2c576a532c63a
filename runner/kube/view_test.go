package kube

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner"
)

func podOf(ref runner.Ref, uid string, at time.Time) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: uid, UID: types.UID(uid), Labels: someone().labels(ref), CreationTimestamp: metav1.NewTime(at)}}
}

func jobOf(ref runner.Ref) *batchv1.Job {
	return &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: ref.Name(), UID: "job", Labels: someone().labels(ref)}}
}

func TestAViewRemembersHowAPodWasLastSeen(t *testing.T) {
	t.Parallel()
	v, ref := newView(cluster{}, "", slog.New(slog.DiscardHandler)), someJob().Ref
	var told []runner.Ref
	v.notify(func(r runner.Ref) { told = append(told, r) })
	old, young := podOf(ref, "old", time.Unix(100, 0)), podOf(ref, "young", time.Unix(200, 0))

	require.Equal(t, snapshot{}, v.look(ref))
	v.OnAdd(jobOf(ref), true)
	v.OnAdd(old, false)
	require.Equal(t, "old", v.look(ref).pod.Name)
	v.OnDelete(old)
	require.True(t, v.look(ref).podGone)
	require.Equal(t, "old", v.look(ref).pod.Name, "how it ended can be asked nobody any more")
	v.OnUpdate(nil, young)
	require.False(t, v.look(ref).podGone)
	v.OnDelete(cache.DeletedFinalStateUnknown{Obj: old})
	require.Equal(t, "young", v.look(ref).pod.Name)
	require.False(t, v.look(ref).podGone, "an older one says nothing of it")

	v.OnDelete(jobOf(ref))
	require.Nil(t, v.look(ref).job)
	require.NotNil(t, v.look(ref).pod)
	v.OnDelete(young)
	require.Equal(t, snapshot{}, v.look(ref), "nothing is left to remember")
	require.Len(t, told, 7)

	v.OnAdd(&corev1.Pod{}, false)
	v.OnAdd("no object", false)
	require.Len(t, told, 7, "what is not of an attempt is nobody's news")
}

func TestSlimDropsWhatIsNeverRead(t *testing.T) {
	t.Parallel()
	p := podOf(someJob().Ref, "p", time.Unix(1, 0))
	p.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubelet"}}
	got, err := slim(p)
	require.NoError(t, err)
	require.Empty(t, got.(*corev1.Pod).ManagedFields)
}

// What may succeed when it is tried again is no verdict.
func TestRefusals(t *testing.T) {
	t.Parallel()
	jobs := schema.GroupResource{Group: "batch", Resource: "jobs"}
	for name, c := range map[string]struct {
		err  error
		want nes.Reason
	}{
		"invalid":        {apierrors.NewInvalid(schema.GroupKind{Group: "batch", Kind: "Job"}, "x", nil), nes.ReasonAdmissionRejected},
		"no namespace":   {apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "x"), nes.ReasonAdmissionRejected},
		"not allowed":    {apierrors.NewForbidden(jobs, "x", fmt.Errorf("no rights")), nes.ReasonAdmissionRejected},
		"a quota":        {apierrors.NewForbidden(jobs, "x", fmt.Errorf("exceeded quota: jobs")), ""},
		"too many calls": {apierrors.NewTooManyRequests("slow down", 1), ""},
		"a timeout":      {apierrors.NewServerTimeout(jobs, "create", 1), ""},
		"the line":       {fmt.Errorf("connection refused"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := refusal("create the Job", c.err)
			require.ErrorContains(t, err, "create the Job")
			if e, ok := err.(*nes.Error); ok {
				require.Equal(t, c.want, e.Reason)
				return
			}
			require.Empty(t, c.want)
		})
	}
}

func TestTheNewestPodCounts(t *testing.T) {
	t.Parallel()
	ref := someJob().Ref
	var s snapshot
	s.take(podOf(ref, "old", time.Unix(100, 0)))
	s.take(podOf(ref, "young", time.Unix(200, 0)))
	s.take(podOf(ref, "middle", time.Unix(150, 0)))
	require.Equal(t, "young", s.pod.Name)
}

func TestNamespacesAreWatchedOnce(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"gpus", "notebooks"}, someone().namespaces())
}

func TestNoClusterIsSaid(t *testing.T) {
	t.Parallel()
	_, err := New(Options{Kubeconfig: "testdata/there-is-none"})
	require.Equal(t, nes.CodeInvalid, nes.CodeOf(err))
	require.ErrorContains(t, err, "set KUBECONFIG, or run in the cluster")
}
