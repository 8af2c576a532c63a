package allowance

import (
	"fmt"
	"time"

	"github.com/nes-run/nes"
)

// Runtime is a named environment that notebooks run in.
type Runtime struct {
	Name    string `yaml:"name"`
	Python  string `yaml:"python"`  // interpreter that has papermill and the kernels; in an image, empty is python3
	Default bool   `yaml:"default"` // for runs that name no runtime

	// What follows is of runtimes in pods.

	Image            string            `yaml:"image"`
	ImagePullPolicy  string            `yaml:"image_pull_policy"` // Always, IfNotPresent or Never; empty is the cluster's choice
	ImagePullSecrets []string          `yaml:"image_pull_secrets"`
	RunAsUser        *int64            `yaml:"run_as_user"`   // nil is 1000; 0 is root
	WritableRoot     bool              `yaml:"writable_root"` // the image's own files may be changed while the notebook runs
	Env              map[string]string `yaml:"env"`           // plain variables of the notebook
	EnvFrom          []string          `yaml:"env_from"`      // ConfigMaps of the profile's namespace that become variables
}

// Profile is a named allowance.
type Profile struct {
	Name       string `yaml:"name"`
	MaxRunning int    `yaml:"max_running"` // of its runs at once; 0 is no limit of its own
	// Secrets that its runs may refer to, by the name of the reference.
	Secrets map[string]Secret `yaml:"secrets"`

	// What follows is of profiles for pods.

	Namespace      string            `yaml:"namespace"`       // empty is the server's
	ServiceAccount string            `yaml:"service_account"` // whose identity the notebook has; empty is none
	NodeSelector   map[string]string `yaml:"node_selector"`
	Tolerations    []Toleration      `yaml:"tolerations"`
	PriorityClass  string            `yaml:"priority_class"`
	Queue          string            `yaml:"queue"` // of Kueue
	HostNetwork    bool              `yaml:"host_network"`
	Labels         map[string]string `yaml:"labels"`
	Annotations    map[string]string `yaml:"annotations"`
	// StartTimeout is how long a pod may take until its notebook's container starts; 0 is 10 minutes.
	StartTimeout Duration `yaml:"start_timeout"`

	Resources   Bounds          `yaml:"resources"`
	Sizes       map[string]Size `yaml:"sizes"`        // that a run may name instead of quantities
	GPUResource string          `yaml:"gpu_resource"` // empty is nvidia.com/gpu
}

// Bounds of the resources of a profile's runs.
type Bounds struct {
	Default Size `yaml:"default"` // of a run that names none; what it leaves out is 500m, 2Gi and 10Gi
	Max     Size `yaml:"max"`     // what it leaves out has no limit, but for GPUs: none are given without one
}

// Size is an amount of each resource. Quantities are written as Kubernetes writes them.
type Size struct {
	CPU    string `yaml:"cpu"`
	Memory string `yaml:"memory"`
	Disk   string `yaml:"disk"`
	GPU    int    `yaml:"gpu"`
	// Extended resources by name, such as "example.com/fpga": only a named size or the default can give them.
	Extended map[string]string `yaml:"extended"`
}

// Toleration of a taint.
type Toleration struct {
	Key      string `yaml:"key"`
	Operator string `yaml:"operator"` // Exists or Equal; empty is Equal
	Value    string `yaml:"value"`
	Effect   string `yaml:"effect"`
	Seconds  *int64 `yaml:"toleration_seconds"`
}

// Duration is a nes.Duration in YAML: 90s, 15m or a number of seconds.
type Duration nes.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := nes.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%w", err)
	}
	*d = Duration(v)
	return nil
}

// Or returns the duration, or what stands for zero.
func (d Duration) Or(otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return time.Duration(d)
}

// What a run gets that asks for nothing under a profile that says nothing.
const (
	usualCPU    = "500m"
	usualMemory = "2Gi"
	usualDisk   = "10Gi"
)

// Grant is what a run gets of what it asks for, complete, or everything that is wrong with what it asks for.
func (p Profile) Grant(asked nes.Resources) (Size, []nes.Problem) {
	size, problem := p.base(asked)
	if problem != nil {
		return Size{}, []nes.Problem{*problem}
	}
	size.CPU = first(asked.CPU, size.CPU, usualCPU)
	size.Memory = first(asked.Memory, size.Memory, usualMemory)
	size.Disk = first(asked.Disk, size.Disk, usualDisk)
	if asked.GPU > 0 {
		size.GPU = asked.GPU
	}
	if asked.Size != "" {
		return size, nil // the administrator's own words
	}
	return size, p.overMax(asked)
}

// base is what the request's own quantities are laid over.
func (p Profile) base(asked nes.Resources) (Size, *nes.Problem) {
	if asked.Size == "" {
		return p.Resources.Default, nil
	}
	size, ok := p.Sizes[asked.Size]
	if !ok {
		return Size{}, &nes.Problem{Field: "resources.size", Message: unknownSize(asked.Size, p)}
	}
	return size, nil
}

// overMax compares what was asked for itself: an administrator's default may be larger than the maximum.
func (p Profile) overMax(asked nes.Resources) []nes.Problem {
	var problems []nes.Problem
	limit := p.Resources.Max
	for _, q := range []struct{ field, asked, limit string }{
		{"resources.cpu", asked.CPU, limit.CPU}, {"resources.memory", asked.Memory, limit.Memory}, {"resources.disk", asked.Disk, limit.Disk},
	} {
		if q.asked == "" {
			continue
		}
		if err := fits(q.asked, q.limit); err != nil {
			problems = append(problems, nes.Problem{Field: q.field, Message: err.Error()})
		}
	}
	switch {
	case asked.GPU > 0 && limit.GPU == 0:
		problems = append(problems, nes.Problem{Field: "resources.gpu", Message: "this profile gives no GPU: leave it out, or name a profile that does"})
	case asked.GPU > limit.GPU:
		problems = append(problems, nes.Problem{Field: "resources.gpu", Message: fmt.Sprintf("%d is more than the %d that this profile allows", asked.GPU, limit.GPU)})
	}
	return problems
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
