package allowance

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Problems of a runtime, without its place in the file.
func (r Runtime) Problems() []string {
	var wrong []string
	if r.Python == "" && r.Image == "" {
		wrong = append(wrong, "an image (or, for notebooks as processes of this machine, a python) is needed")
	}
	if !slices.Contains([]string{"", "Always", "IfNotPresent", "Never"}, r.ImagePullPolicy) {
		wrong = append(wrong, fmt.Sprintf("image_pull_policy %q is not Always, IfNotPresent or Never", r.ImagePullPolicy))
	}
	if r.RunAsUser != nil && (*r.RunAsUser < 0 || *r.RunAsUser > 1<<31-1) {
		wrong = append(wrong, fmt.Sprintf("run_as_user %d is no user id", *r.RunAsUser))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Env)) {
		if strings.HasPrefix(name, "NES_") || name == "" || strings.Contains(name, "=") {
			wrong = append(wrong, fmt.Sprintf("env: %q cannot be set: names that begin with NES_ are NES's own", name))
		}
	}
	return wrong
}

// Problems of a profile, without its place in the file.
func (p Profile) Problems() []string {
	wrong := p.secretProblems()
	add := func(where string, s Size) {
		for _, q := range []struct{ name, value string }{{"cpu", s.CPU}, {"memory", s.Memory}, {"disk", s.Disk}} {
			if q.value == "" {
				continue
			}
			if _, err := parse(q.value); err != nil {
				wrong = append(wrong, fmt.Sprintf("%s.%s: %v", where, q.name, err))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(s.Extended)) {
			if _, err := parse(s.Extended[name]); err != nil || !strings.Contains(name, "/") {
				wrong = append(wrong, fmt.Sprintf("%s.extended: %q: %q is no extended resource: write example.com/name: 1", where, name, s.Extended[name]))
			}
		}
		if s.GPU < 0 {
			wrong = append(wrong, where+".gpu: must not be negative")
		}
	}
	add("resources.default", p.Resources.Default)
	add("resources.max", p.Resources.Max)
	for _, name := range slices.Sorted(maps.Keys(p.Sizes)) {
		add("sizes."+name, p.Sizes[name])
	}
	for i, t := range p.Tolerations {
		if !slices.Contains([]string{"", "Exists", "Equal"}, t.Operator) || !slices.Contains([]string{"", "NoSchedule", "PreferNoSchedule", "NoExecute"}, t.Effect) {
			wrong = append(wrong, fmt.Sprintf("tolerations[%d]: operator is Exists or Equal, effect is NoSchedule, PreferNoSchedule or NoExecute", i))
		}
	}
	return wrong
}
