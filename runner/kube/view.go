package kube

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/nes-run/nes/runner"
)

// view is what the watches show: late at times, never asked for more than it knows. Of pods that are gone it remembers
// the last sight, because how they ended cannot be asked for any more.
type view struct {
	cluster  cluster
	selector string
	log      *slog.Logger
	stop     chan struct{}
	running  sync.WaitGroup

	mu     sync.Mutex
	tell   func(runner.Ref)
	seen   map[runner.Ref]*sight
	asked  map[types.UID]*inquiry // events by the object that they are of
	closed bool
}

// sight is what was last seen of an attempt.
type sight struct {
	job     *batchv1.Job
	pod     *corev1.Pod
	podGone bool
}

// inquiry keeps the events of an object for a moment.
type inquiry struct {
	at     time.Time
	events []corev1.Event
}

const (
	eventsFresh = 3 * time.Second
	maxSights   = 100_000
)

func newView(c cluster, selector string, log *slog.Logger) *view {
	return &view{
		cluster: c, selector: selector, log: log, stop: make(chan struct{}), tell: func(runner.Ref) {},
		seen: map[runner.Ref]*sight{}, asked: map[types.UID]*inquiry{},
	}
}

func (v *view) close() {
	v.mu.Lock()
	if !v.closed {
		v.closed = true
		close(v.stop)
	}
	v.mu.Unlock()
	v.running.Wait()
}

func (v *view) notify(f func(runner.Ref)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tell = f
}

// watch begins to follow the Jobs and pods of a namespace.
func (v *view) watch(namespace string) error {
	for _, w := range []struct {
		client   *rest.RESTClient
		resource string
		kind     k8sruntime.Object
	}{{v.cluster.batch, "jobs", &batchv1.Job{}}, {v.cluster.core, "pods", &corev1.Pod{}}} {
		source := cache.NewFilteredListWatchFromClient(w.client, w.resource, namespace, func(o *metav1.ListOptions) { o.LabelSelector = v.selector })
		informer := cache.NewSharedInformer(source, w.kind, 0)
		_ = informer.SetTransform(slim) // fails for one that was started alone
		_ = informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
			v.log.Debug("watching is interrupted", "resource", w.resource, "namespace", namespace, "error", err)
		})
		if _, err := informer.AddEventHandler(v); err != nil {
			return fmt.Errorf("watch %s of %s: %w", w.resource, namespace, err)
		}
		v.running.Go(func() { informer.Run(v.stop) })
	}
	return nil
}

// slim drops what is large and never read.
func slim(obj any) (any, error) {
	if o, ok := obj.(metav1.Object); ok {
		o.SetManagedFields(nil)
	}
	return obj, nil
}

// OnAdd implements cache.ResourceEventHandler.
func (v *view) OnAdd(obj any, _ bool) { v.saw(obj, false) }

// OnUpdate implements cache.ResourceEventHandler.
func (v *view) OnUpdate(_, obj any) { v.saw(obj, false) }

// OnDelete implements cache.ResourceEventHandler.
func (v *view) OnDelete(obj any) {
	if t, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = t.Obj
	}
	v.saw(obj, true)
}

func (v *view) saw(obj any, gone bool) {
	o, ok := obj.(metav1.Object)
	if !ok {
		return
	}
	ref, ok := refOf(o.GetLabels())
	if !ok {
		return
	}
	v.mu.Lock()
	v.record(ref, obj, gone)
	tell := v.tell
	v.mu.Unlock()
	tell(ref)
}

// record keeps the newest pod of an attempt, and drops an attempt of which nothing is left but memories.
func (v *view) record(ref runner.Ref, obj any, gone bool) {
	s, ok := v.seen[ref]
	if !ok {
		if len(v.seen) >= maxSights {
			return // asking does as well
		}
		s = &sight{}
		v.seen[ref] = s
	}
	switch o := obj.(type) {
	case *batchv1.Job:
		if s.job = o; gone {
			s.job = nil
		}
	case *corev1.Pod:
		if s.pod == nil || s.pod.UID == o.UID || s.pod.CreationTimestamp.Before(&o.CreationTimestamp) {
			s.pod, s.podGone = o, gone
		}
	}
	if s.job == nil && (s.pod == nil || s.podGone) {
		delete(v.seen, ref)
	}
}

// look returns what is known without asking.
func (v *view) look(ref runner.Ref) snapshot {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s, ok := v.seen[ref]; ok {
		return snapshot{job: s.job, pod: s.pod, podGone: s.podGone}
	}
	return snapshot{}
}

func (v *view) forget(ref runner.Ref) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s, ok := v.seen[ref]; ok {
		for _, o := range s.uids() {
			delete(v.asked, o)
		}
	}
}

func (s *sight) uids() []types.UID {
	var all []types.UID
	if s.job != nil {
		all = append(all, s.job.UID)
	}
	if s.pod != nil {
		all = append(all, s.pod.UID)
	}
	return all
}

// eventsOf asks for the events of what does not get on, at most every few seconds. They explain, and decide little: where
// they cannot be had, the rest is judged without them.
func (v *view) eventsOf(ctx context.Context, s *snapshot) []corev1.Event {
	var all []corev1.Event
	if s.job != nil {
		all = append(all, v.inquire(ctx, s.job.Namespace, s.job.UID)...)
	}
	if s.pod != nil {
		all = append(all, v.inquire(ctx, s.pod.Namespace, s.pod.UID)...)
	}
	return all
}

func (v *view) inquire(ctx context.Context, namespace string, uid types.UID) []corev1.Event {
	v.mu.Lock()
	q, ok := v.asked[uid]
	v.mu.Unlock()
	if ok && time.Since(q.at) < eventsFresh {
		return q.events
	}
	events, err := v.cluster.events(ctx, namespace, uid)
	if err != nil {
		v.log.Debug("events cannot be read", "error", err)
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked[uid] = &inquiry{at: time.Now(), events: events}
	return events
}
