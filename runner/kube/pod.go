package kube

import (
	"maps"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nes-run/nes/internal/allowance"
	"github.com/nes-run/nes/runner"
)

// The containers of a pod.
const (
	fetchName    = "fetch"
	agentName    = "agent"
	notebookName = "notebook"
)

// Where things are in a pod.
const (
	workPath  = "/nes" // the work volume
	homePath  = workPath + "/home"
	agentPath = workPath + "/bin/nes-agent" // as the notebook's container finds it
	tokenPath = "/var/run/nes/token"
	tokenKey  = "token" // of the attempt's Secret

	workVolume  = "work"
	tmpVolume   = "tmp"
	tokenVolume = "token"
)

const (
	usualUser    = 1000
	terminating  = 120 * time.Second // for the notebook's last words and for everything to be sent
	usualStart   = 10 * time.Minute
	backstop     = 15 * time.Minute // that the pod's own clock comes after all others
	agentMemory  = "128Mi"
	leastRequest = "1Gi" // of disk: what a pod may use at most is rarely what it uses
)

// order is everything that a pod is built from: typed, allowed, complete.
type order struct {
	job     runner.Job
	secrets allowance.Resolved
	runtime allowance.Runtime
	profile allowance.Profile
	size    allowance.Size
	server  string // where the agent calls
	image   string // of the agent
}

func (o order) user() int64 {
	if o.runtime.RunAsUser != nil {
		return *o.runtime.RunAsUser
	}
	return usualUser
}

func (o order) podSpec() corev1.PodSpec {
	off, grace := false, int64(terminating.Seconds())
	return corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyNever,
		EnableServiceLinks:            &off,
		AutomountServiceAccountToken:  o.automount(),
		ServiceAccountName:            o.profile.ServiceAccount,
		TerminationGracePeriodSeconds: &grace,
		ActiveDeadlineSeconds:         o.deadline(),
		SecurityContext:               o.podSecurity(),
		InitContainers:                []corev1.Container{o.fetch(), o.agent()},
		Containers:                    []corev1.Container{o.notebook()},
		Volumes:                       o.volumes(),
		NodeSelector:                  o.profile.NodeSelector,
		Tolerations:                   o.tolerations(),
		PriorityClassName:             o.profile.PriorityClass,
		ImagePullSecrets:              o.pullSecrets(),
		HostNetwork:                   o.job.HostNetwork,
		DNSPolicy:                     o.dns(),
	}
}

// automount gives the notebook an identity in the cluster only where the profile names one.
func (o order) automount() *bool {
	named := o.profile.ServiceAccount != ""
	return &named
}

// deadline is a late backstop: should NES and the agent both be gone, the pod ends all the same.
func (o order) deadline() *int64 {
	if o.job.Launch.RunTimeout <= 0 {
		return nil
	}
	seconds := int64(o.job.Launch.RunTimeout + (o.profile.StartTimeout.Or(usualStart) + backstop).Seconds())
	return &seconds
}

// podSecurity lets all containers be one user, so that what the notebook writes can be sent whatever its umask is.
func (o order) podSecurity() *corev1.PodSecurityContext {
	user, nonRoot := o.user(), o.user() != 0
	return &corev1.PodSecurityContext{
		RunAsUser: &user, RunAsGroup: &user, FSGroup: &user, RunAsNonRoot: &nonRoot,
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

func security(readOnlyRoot bool) *corev1.SecurityContext {
	off := false
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: &off, ReadOnlyRootFilesystem: &readOnlyRoot,
		Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

// fetch puts the tree, the launch order and the agent's program into the work volume.
func (o order) fetch() corev1.Container {
	return o.own(fetchName, "fetch", "-install", agentPath, "-home", homePath)
}

// agent is a native sidecar: it starts before the notebook's image is there, comes back when it dies, and is told to end only after the notebook.
func (o order) agent() corev1.Container {
	always := corev1.ContainerRestartPolicyAlways
	c := o.own(agentName, "watch", "-disk", strconv.FormatInt(allowance.Bytes(o.size.Disk), 10), "-tmp", "/tmp")
	c.RestartPolicy = &always
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: tmpVolume, MountPath: "/tmp"})
	return c
}

// own is a container of NES's own image, which alone sees the attempt's token.
func (o order) own(name, command string, flags ...string) corev1.Container {
	args := []string{command, "-server", o.server, "-run", string(o.job.Run), "-attempt", strconv.Itoa(o.job.Attempt), "-token-file", tokenPath + "/" + tokenKey}
	return corev1.Container{
		Name: name, Image: o.image, Args: append(append(args, flags...), workPath),
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(agentMemory)},
		},
		SecurityContext: security(true),
		VolumeMounts:    []corev1.VolumeMount{{Name: workVolume, MountPath: workPath}, {Name: tokenVolume, MountPath: tokenPath, ReadOnly: true}},
	}
}

// notebook is the runtime's image, in which the agent's program starts the notebook.
func (o order) notebook() corev1.Container {
	command := []string{agentPath, "exec", "-notice", corev1.TerminationMessagePathDefault}
	if o.runtime.Python != "" {
		command = append(command, "-python", o.runtime.Python)
	}
	return corev1.Container{
		Name: notebookName, Image: o.runtime.Image, ImagePullPolicy: corev1.PullPolicy(o.runtime.ImagePullPolicy),
		Command: append(command, workPath), WorkingDir: workPath,
		Env: o.env(), EnvFrom: o.envFrom(), Resources: o.resources(), SecurityContext: security(!o.runtime.WritableRoot),
		VolumeMounts: []corev1.VolumeMount{{Name: workVolume, MountPath: workPath}, {Name: tmpVolume, MountPath: "/tmp"}},
	}
}

// env of the notebook: what every user id needs, the runtime's own, and secrets by reference, in a fixed order.
func (o order) env() []corev1.EnvVar {
	plain := map[string]string{"HOME": homePath, "USER": "nes", "LOGNAME": "nes"}
	maps.Copy(plain, o.runtime.Env)
	plain["NES_RUN_ID"], plain["NES_ATTEMPT"] = string(o.job.Run), strconv.Itoa(o.job.Attempt) // by which its processes can be found
	var env []corev1.EnvVar
	for _, name := range slices.Sorted(maps.Keys(plain)) {
		env = append(env, corev1.EnvVar{Name: name, Value: plain[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(o.job.Secrets)) {
		at := allowance.SecretKey{Secret: o.job.Name(), Key: secretKey(name)}
		if key, ok := o.secrets.Keys[name]; ok {
			at = key
		}
		env = append(env, corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: at.Secret}, Key: at.Key,
		}}})
	}
	return env
}

// secretKey is where the attempt's Secret holds a variable of the notebook.
func secretKey(name string) string { return "env." + name }

func (o order) envFrom() []corev1.EnvFromSource {
	var from []corev1.EnvFromSource
	for _, name := range o.runtime.EnvFrom {
		from = append(from, corev1.EnvFromSource{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}})
	}
	return from
}

// resources of the notebook: its memory and disk are limits, its CPU is a share.
func (o order) resources() corev1.ResourceRequirements {
	r := corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
	memory, disk := resource.MustParse(o.size.Memory), resource.MustParse(o.size.Disk)
	r.Requests[corev1.ResourceCPU] = resource.MustParse(o.size.CPU)
	r.Requests[corev1.ResourceMemory], r.Limits[corev1.ResourceMemory] = memory, memory
	r.Requests[corev1.ResourceEphemeralStorage], r.Limits[corev1.ResourceEphemeralStorage] = smaller(disk, resource.MustParse(leastRequest)), disk
	if o.size.GPU > 0 {
		name := corev1.ResourceName("nvidia.com/gpu")
		if o.profile.GPUResource != "" {
			name = corev1.ResourceName(o.profile.GPUResource)
		}
		r.Limits[name] = *resource.NewQuantity(int64(o.size.GPU), resource.DecimalSI)
	}
	for name, amount := range o.size.Extended {
		r.Limits[corev1.ResourceName(name)] = resource.MustParse(amount)
	}
	return r
}

func smaller(a, b resource.Quantity) resource.Quantity {
	if a.Cmp(b) < 0 {
		return a
	}
	return b
}

func (o order) volumes() []corev1.Volume {
	disk, mode := resource.MustParse(o.size.Disk), int32(0o440)
	scratch := func(name string) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &disk}}}
	}
	token := corev1.Volume{Name: tokenVolume, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName: o.job.Name(), DefaultMode: &mode, Items: []corev1.KeyToPath{{Key: tokenKey, Path: tokenKey}},
	}}}
	return []corev1.Volume{scratch(workVolume), scratch(tmpVolume), token}
}

func (o order) tolerations() []corev1.Toleration {
	var all []corev1.Toleration
	for _, t := range o.profile.Tolerations {
		all = append(all, corev1.Toleration{
			Key: t.Key, Operator: corev1.TolerationOperator(t.Operator), Value: t.Value, Effect: corev1.TaintEffect(t.Effect), TolerationSeconds: t.Seconds,
		})
	}
	return all
}

func (o order) pullSecrets() []corev1.LocalObjectReference {
	var all []corev1.LocalObjectReference
	for _, name := range o.runtime.ImagePullSecrets {
		all = append(all, corev1.LocalObjectReference{Name: name})
	}
	return all
}

func (o order) dns() corev1.DNSPolicy {
	if o.job.HostNetwork {
		return corev1.DNSClusterFirstWithHostNet
	}
	return ""
}

// secret holds the attempt's token and what the notebook's secret variables are. It belongs to the Job, and goes with it.
func (b *Backend) secret(o order, owner metav1.OwnerReference) *corev1.Secret {
	data := map[string][]byte{tokenKey: []byte(o.job.Token)}
	for name, value := range o.secrets.Values {
		data[secretKey(name)] = []byte(value)
	}
	immutable := true
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: o.job.Name(), Namespace: b.namespace(o.profile), Labels: b.labels(o.job.Ref), OwnerReferences: []metav1.OwnerReference{owner},
		},
		Immutable: &immutable, Data: data,
	}
}
