package kube

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// callTimeout bounds one call: a slow answer is better than none, but must not hold a step for ever.
const callTimeout = 30 * time.Second

// Only two groups of the API are linked in: the whole clientset would cost every start of nes.
var (
	scheme     = runtime.NewScheme()
	codecs     = serializer.NewCodecFactory(scheme)
	parameters = runtime.NewParameterCodec(scheme)
)

func init() {
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, batchv1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err) // a fault of the library, at every start
		}
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
}

// cluster is the Kubernetes API, as far as it is used.
type cluster struct{ core, batch *rest.RESTClient }

// connect finds the cluster: by the file, else by the usual ones, else from inside. It makes no call. The
// namespace is the one that the file, or the pod that this process is in, stands for.
func connect(kubeconfig string) (c cluster, namespace string, err error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil)
	config, err := loader.ClientConfig()
	if err != nil {
		return cluster{}, "", fmt.Errorf("find the cluster: %w", err)
	}
	if namespace, _, err = loader.Namespace(); err != nil {
		return cluster{}, "", fmt.Errorf("find the cluster's namespace: %w", err)
	}
	// NES's own limits (MaxRunning) come first; the server's priority and fairness protect it from what is left.
	config.QPS, config.Burst = 500, 1000
	config.UserAgent = "nes"
	config.WarningHandler = rest.NoWarnings{} // what comes of a warning is seen in the run
	if c.core, err = group(config, "/api", corev1.SchemeGroupVersion); err == nil {
		c.batch, err = group(config, "/apis", batchv1.SchemeGroupVersion)
	}
	return c, namespace, err
}

func group(config *rest.Config, path string, version schema.GroupVersion) (*rest.RESTClient, error) {
	c := rest.CopyConfig(config)
	c.APIPath, c.GroupVersion, c.NegotiatedSerializer = path, &version, codecs.WithoutConversion()
	c.AcceptContentTypes, c.ContentType = "application/vnd.kubernetes.protobuf,application/json", runtime.ContentTypeJSON
	return rest.RESTClientFor(c)
}

func (c cluster) createJob(ctx context.Context, j *batchv1.Job) (*batchv1.Job, error) {
	var made batchv1.Job
	err := c.batch.Post().Namespace(j.Namespace).Resource("jobs").Timeout(callTimeout).Body(j).Do(ctx).Into(&made)
	return &made, err
}

func (c cluster) job(ctx context.Context, namespace, name string) (*batchv1.Job, error) {
	var j batchv1.Job
	err := c.batch.Get().Namespace(namespace).Resource("jobs").Name(name).Timeout(callTimeout).Do(ctx).Into(&j)
	return &j, err
}

func (c cluster) jobs(ctx context.Context, namespace, selector string) ([]batchv1.Job, error) {
	var l batchv1.JobList
	err := c.batch.Get().Namespace(namespace).Resource("jobs").Timeout(callTimeout).
		VersionedParams(&metav1.ListOptions{LabelSelector: selector}, parameters).Do(ctx).Into(&l)
	return l.Items, err
}

func (c cluster) patchJob(ctx context.Context, namespace, name string, patch []byte) error {
	return c.batch.Patch(types.MergePatchType).Namespace(namespace).Resource("jobs").Name(name).Timeout(callTimeout).Body(patch).Do(ctx).Error()
}

// deleteJob deletes the Job that has this uid, and lets the cluster delete what belongs to it.
func (c cluster) deleteJob(ctx context.Context, namespace, name string, uid types.UID) error {
	background := metav1.DeletePropagationBackground
	return c.batch.Delete().Namespace(namespace).Resource("jobs").Name(name).Timeout(callTimeout).
		Body(&metav1.DeleteOptions{PropagationPolicy: &background, Preconditions: &metav1.Preconditions{UID: &uid}}).Do(ctx).Error()
}

func (c cluster) createSecret(ctx context.Context, s *corev1.Secret) error {
	return c.core.Post().Namespace(s.Namespace).Resource("secrets").Timeout(callTimeout).Body(s).Do(ctx).Error()
}

func (c cluster) pods(ctx context.Context, namespace, selector string) ([]corev1.Pod, error) {
	var l corev1.PodList
	err := c.core.Get().Namespace(namespace).Resource("pods").Timeout(callTimeout).
		VersionedParams(&metav1.ListOptions{LabelSelector: selector}, parameters).Do(ctx).Into(&l)
	return l.Items, err
}

func (c cluster) deletePod(ctx context.Context, p *corev1.Pod, grace time.Duration) error {
	seconds := int64(grace.Seconds())
	return c.core.Delete().Namespace(p.Namespace).Resource("pods").Name(p.Name).Timeout(callTimeout).
		Body(&metav1.DeleteOptions{GracePeriodSeconds: &seconds, Preconditions: &metav1.Preconditions{UID: &p.UID}}).Do(ctx).Error()
}

// events of an object, in no order.
func (c cluster) events(ctx context.Context, namespace string, uid types.UID) ([]corev1.Event, error) {
	var l corev1.EventList
	err := c.core.Get().Namespace(namespace).Resource("events").Timeout(callTimeout).
		VersionedParams(&metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(uid)}, parameters).Do(ctx).Into(&l)
	return l.Items, err
}
