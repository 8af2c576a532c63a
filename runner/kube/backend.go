package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/allowance"
	"github.com/nes-run/nes/runner"
)

// Options of a [Backend]. Fields without a default in their comment are required.
type Options struct {
	// Kubeconfig is the file that says where the cluster is; empty is what kubectl would use, or the cluster around this process.
	Kubeconfig string
	// Namespace of runs whose profile names none; empty is the one that the kubeconfig or this process's pod is in.
	Namespace string
	// Instance tells the objects of this NES from those of another one in the same namespace.
	Instance string
	// Server is the address at which agents in pods reach this process.
	Server string
	// AgentImage is the image of nes-agent.
	AgentImage string
	// Runtimes and Profiles by name; "" is for runs that name none.
	Runtimes map[string]allowance.Runtime
	Profiles map[string]allowance.Profile
	Log      *slog.Logger
}

// Backend implements runner.Backend.
type Backend struct {
	o       Options
	cluster cluster
	view    *view
}

var (
	_ runner.Backend  = (*Backend)(nil)
	_ runner.Notifier = (*Backend)(nil)
)

// New makes a backend and begins to watch. It waits for nothing: the cluster may be away.
func New(o Options) (*Backend, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c, namespace, err := connect(o.Kubeconfig)
	if err != nil {
		return nil, nes.Errorf(nes.CodeInvalid, "%w: set KUBECONFIG, or run in the cluster", err)
	}
	if o.Namespace == "" {
		o.Namespace = namespace
	}
	b := &Backend{o: o, cluster: c}
	b.view = newView(c, instanceLabel+"="+o.Instance, o.Log)
	for _, ns := range b.namespaces() {
		if err := b.view.watch(ns); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// Close ends watching. What runs goes on.
func (b *Backend) Close() { b.view.close() }

// namespaces in which there may be something of this NES.
func (b *Backend) namespaces() []string {
	all := []string{b.o.Namespace}
	for _, p := range b.o.Profiles {
		all = append(all, b.namespace(p))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Notify implements runner.Notifier: f is called when something has become of a pod or a Job.
func (b *Backend) Notify(f func(runner.Ref)) { b.view.notify(f) }

// Launch implements runner.Backend: the Job first, then the Secret that it waits for, which belongs to the Job.
func (b *Backend) Launch(ctx context.Context, j runner.Job) error {
	o, err := b.order(j)
	if err != nil {
		return err
	}
	hash, err := orderHash(j)
	if err != nil {
		return err
	}
	made, err := b.create(ctx, b.manifest(o, hash))
	if err != nil {
		return err
	}
	owner := metav1.OwnerReference{APIVersion: "batch/v1", Kind: "Job", Name: made.Name, UID: made.UID}
	err = b.cluster.createSecret(ctx, b.secret(o, owner))
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return refusal("create the Secret of "+j.Name(), err)
	}
	return nil
}

// order says what the attempt gets, or why it can never start.
func (b *Backend) order(j runner.Job) (order, error) {
	o := order{job: j, server: b.o.Server, image: b.o.AgentImage}
	var ok bool
	if o.runtime, ok = b.o.Runtimes[j.Runtime]; !ok || o.runtime.Image == "" {
		return o, nes.Fail(nes.ReasonEngineMissing, "there is no runtime %q with an image here: name one that the administrator offers", j.Runtime)
	}
	if o.profile, ok = b.o.Profiles[j.Profile]; !ok && j.Profile != "" {
		return o, nes.Fail(nes.ReasonResourcesRefused, "there is no profile %q any more: name one that the administrator offers", j.Profile)
	}
	if j.HostNetwork && !o.profile.HostNetwork {
		return o, nes.Fail(nes.ReasonResourcesRefused, "the profile does not allow host_network")
	}
	size, problems := o.profile.Grant(j.Resources)
	if len(problems) > 0 {
		return o, nes.Fail(nes.ReasonResourcesRefused, "%s: %s", problems[0].Field, problems[0].Message)
	}
	o.size = size
	o.size.Memory = o.profile.Grow(size.Memory, j.MemoryFactor)
	var err error
	o.secrets, err = o.profile.Resolve(j.Secrets)
	return o, err
}

// create makes the Job, or finds that it is there.
func (b *Backend) create(ctx context.Context, want *batchv1.Job) (*batchv1.Job, error) {
	made, err := b.cluster.createJob(ctx, want)
	if err == nil {
		return made, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return nil, refusal("create the Job "+want.Name, err)
	}
	have, err := b.cluster.job(ctx, want.Namespace, want.Name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the Job %s: %w", want.Name, err)
	case have.Annotations[hashAnnotation] != want.Annotations[hashAnnotation] || have.Labels[instanceLabel] != want.Labels[instanceLabel]:
		return nil, nes.Errorf(nes.CodeConflict, "there is another Job with the name %s", want.Name)
	case have.DeletionTimestamp != nil:
		return nil, nes.Errorf(nes.CodeUnavailable, "the Job %s is being deleted", want.Name)
	}
	return have, nil
}

// refusal tells what can never succeed from what may when it is tried again.
func refusal(doing string, err error) error {
	quota := apierrors.IsForbidden(err) && overQuota(err.Error())
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsNotFound(err) || apierrors.IsForbidden(err) && !quota {
		return nes.Fail(nes.ReasonAdmissionRejected, "the cluster refused to %s: %s", doing, brief(err.Error()))
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// Observe implements runner.Backend.
func (b *Backend) Observe(ctx context.Context, ref runner.Ref) (runner.Observation, error) {
	s, err := b.see(ctx, ref)
	if err != nil {
		return runner.Observation{}, err
	}
	return status(s, time.Now()), nil
}

// see gathers what is known of an attempt: from the watch where that is enough, else by asking.
func (b *Backend) see(ctx context.Context, ref runner.Ref) (snapshot, error) {
	s := b.view.look(ref)
	if s.job == nil || s.pod == nil || s.podGone {
		if err := b.ask(ctx, ref, &s); err != nil {
			return s, err
		}
	}
	if s.stuck(time.Now()) {
		s.events = b.view.eventsOf(ctx, &s)
	}
	return s, nil
}

// ask reads the Job and its pod themselves: what the watch does not show may be because the watch is late.
func (b *Backend) ask(ctx context.Context, ref runner.Ref, s *snapshot) error {
	found := snapshot{}
	for _, ns := range b.namespaces() {
		job, err := b.cluster.job(ctx, ns, ref.Name())
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("read the Job %s: %w", ref.Name(), err)
		}
		if err == nil {
			found.job = job
		}
		pods, err := b.cluster.pods(ctx, ns, b.selector(ref))
		if err != nil {
			return fmt.Errorf("list the pods of %s: %w", ref.Name(), err)
		}
		for i := range pods {
			found.take(&pods[i])
		}
		if found.job != nil || found.pod != nil {
			break
		}
	}
	if found.pod == nil && s.pod != nil {
		found.pod, found.podGone = s.pod, true
	}
	*s = found
	return nil
}

// How long a hard end may take: for the notebook and its agent together, and for the cluster to say so.
const (
	stopGrace  = 10 * time.Second
	stopWithin = 25 * time.Second
	removeWait = 2 * time.Second
	look       = 50 * time.Millisecond
)

// Stop implements runner.Backend. The Job stays, so that what became of the attempt can still be seen, and makes no pod any more.
func (b *Backend) Stop(ctx context.Context, ref runner.Ref) error {
	s, err := b.see(ctx, ref)
	if err != nil {
		return err
	}
	if s.job != nil && !s.over() {
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:"true"}},"spec":{"parallelism":0}}`, stoppedAnnotation)
		if err := b.cluster.patchJob(ctx, s.job.Namespace, s.job.Name, []byte(patch)); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("stop the Job %s: %w", s.job.Name, err)
		}
	}
	if err := b.endPods(ctx, ref); err != nil {
		return err
	}
	end := time.Now().Add(stopWithin)
	for time.Now().Before(end) && ctx.Err() == nil {
		o, err := b.Observe(ctx, ref)
		if err != nil || o.Phase == runner.PhaseGone || o.Phase == runner.PhaseAbsent {
			return err
		}
		sleep(ctx, 4*look)
	}
	return ctx.Err() // a node that does not answer: status gives it up in time
}

// endPods tells what lives of an attempt to end.
func (b *Backend) endPods(ctx context.Context, ref runner.Ref) error {
	for _, ns := range b.namespaces() {
		pods, err := b.cluster.pods(ctx, ns, b.selector(ref))
		if err != nil {
			return fmt.Errorf("list the pods of %s: %w", ref.Name(), err)
		}
		for i := range pods {
			if terminal(&pods[i]) {
				continue
			}
			if err := b.cluster.deletePod(ctx, &pods[i], stopGrace); err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("end the pod %s: %w", pods[i].Name, err)
			}
		}
	}
	return nil
}

// Remove implements runner.Backend. Secret and pod belong to the Job; a pod that still lives is told to end soon.
func (b *Backend) Remove(ctx context.Context, ref runner.Ref) error {
	b.awaitEnd(ctx, ref)
	s := b.view.look(ref)
	if s.job == nil || s.pod == nil {
		if err := b.ask(ctx, ref, &s); err != nil {
			return err
		}
	}
	if s.job != nil && s.job.DeletionTimestamp == nil {
		err := b.cluster.deleteJob(ctx, s.job.Namespace, s.job.Name, s.job.UID)
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("delete the Job %s: %w", s.job.Name, err)
		}
	}
	b.view.forget(ref)
	if s.pod == nil || s.podGone || terminal(s.pod) || notebookEnded(s.pod) {
		return nil
	}
	return b.endPods(ctx, ref)
}

// awaitEnd gives a pod that is just about to end the time to do so: it needs not be told then.
func (b *Backend) awaitEnd(ctx context.Context, ref runner.Ref) {
	for end := time.Now().Add(removeWait); time.Now().Before(end) && ctx.Err() == nil; sleep(ctx, look) {
		s := b.view.look(ref)
		if s.pod == nil || s.podGone || terminal(s.pod) || notebookEnded(s.pod) {
			return
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// List implements runner.Backend. It asks, and does not trust the watch: what is missing is never found again.
func (b *Backend) List(ctx context.Context) ([]runner.Ref, error) {
	found := map[runner.Ref]bool{}
	var failed error
	for _, ns := range b.namespaces() {
		jobs, err := b.cluster.jobs(ctx, ns, instanceLabel+"="+b.o.Instance)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("list the Jobs of %s: %w", ns, err))
			continue
		}
		for i := range jobs {
			if ref, ok := refOf(jobs[i].Labels); ok && jobs[i].DeletionTimestamp == nil {
				found[ref] = true
			}
		}
	}
	refs := make([]runner.Ref, 0, len(found))
	for ref := range found {
		refs = append(refs, ref)
	}
	return refs, failed
}
