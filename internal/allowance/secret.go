package allowance

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/nes-run/nes"
)

// Lengths of a secret's value, in bytes. A shorter one could not be masked: it would be found everywhere.
const (
	MinSecret = 4
	MaxSecret = 16 << 10
)

// Secret says where the value of a reference is kept. Exactly one field is set.
type Secret struct {
	Env        string     `yaml:"env"`  // variable of the server
	File       string     `yaml:"file"` // read at each launch; one line end behind it is not part of the value
	Kubernetes *SecretKey `yaml:"kubernetes"`
}

// SecretKey is a key of a Secret in the namespace of the profile. NES never reads it: the cluster gives it to the pod.
type SecretKey struct {
	Secret string `yaml:"secret"`
	Key    string `yaml:"key"`
}

var (
	variable  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	objectKey = regexp.MustCompile(`^[A-Za-z0-9._-]{1,253}$`)
	objectRef = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
)

// problem says what is wrong with where a value is kept.
func (s Secret) problem() string {
	given := 0
	for _, set := range []bool{s.Env != "", s.File != "", s.Kubernetes != nil} {
		if set {
			given++
		}
	}
	switch {
	case given != 1:
		return "exactly one of env, file and kubernetes is needed"
	case s.Env != "" && !variable.MatchString(s.Env):
		return fmt.Sprintf("env: %q is no name of an environment variable", s.Env)
	case s.File != "" && !filepath.IsAbs(s.File):
		return fmt.Sprintf("file: %q must be an absolute path", s.File)
	case s.Kubernetes != nil && !objectRef.MatchString(s.Kubernetes.Secret):
		return fmt.Sprintf("kubernetes.secret: %q is no name of a Secret", s.Kubernetes.Secret)
	case s.Kubernetes != nil && !objectKey.MatchString(s.Kubernetes.Key):
		return fmt.Sprintf("kubernetes.key: %q is no key of a Secret", s.Kubernetes.Key)
	}
	return ""
}

// secretProblems lists what is wrong with the secrets of a profile.
func (p Profile) secretProblems() (wrong []string) {
	for _, ref := range slices.Sorted(maps.Keys(p.Secrets)) {
		if ref == "" || len(ref) > 256 {
			wrong = append(wrong, "secrets: a reference needs a name of at most 256 bytes")
		}
		if problem := p.Secrets[ref].problem(); problem != "" {
			wrong = append(wrong, fmt.Sprintf("secrets.%s: %s", ref, problem))
		}
	}
	return wrong
}

// value reads what the server itself keeps. No error holds any of it.
func (s Secret) value() (string, error) {
	var text string
	var err error
	if s.Env != "" {
		text, err = fromVariable(s.Env)
	} else {
		text, err = fromFile(s.File)
	}
	if err != nil {
		return "", err
	}
	switch {
	case len(text) < MinSecret:
		return "", fmt.Errorf("its value has %d bytes: one of less than %d cannot be masked in output", len(text), MinSecret)
	case len(text) > MaxSecret:
		return "", fmt.Errorf("its value is longer than %d bytes", MaxSecret)
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return "", errors.New("its value is no text, so it cannot be an environment variable: keep it as base64")
	}
	return text, nil
}

func fromVariable(name string) (string, error) {
	text, ok := os.LookupEnv(name)
	if !ok {
		return "", fmt.Errorf("the server has no variable %s", name)
	}
	return text, nil
}

// fromFile reads a little more than what is allowed, so that too much is seen.
func fromFile(name string) (string, error) {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is no regular file")
	}
	if err != nil {
		return "", fmt.Errorf("%s cannot be read: %w", name, plainly(err))
	}
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("%s cannot be read: %w", name, plainly(err))
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, MaxSecret+3))
	if err != nil {
		return "", fmt.Errorf("%s cannot be read: %w", name, plainly(err))
	}
	text, cut := strings.CutSuffix(string(raw), "\n")
	if cut {
		text = strings.TrimSuffix(text, "\r")
	}
	return text, nil
}

// plainly drops the path, which is said already.
func plainly(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err
	}
	return err
}

// Resolved is what a run's secrets are: values that the server keeps, and keys that the cluster reads, both by the notebook's variable.
type Resolved struct {
	Values map[string]string
	Keys   map[string]SecretKey
}

// Resolve finds what a run's references stand for. An error says that the run cannot start, and what the administrator has to mend.
func (p Profile) Resolve(asked map[string]nes.Secret) (Resolved, error) {
	r := Resolved{Values: map[string]string{}, Keys: map[string]SecretKey{}}
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		ref := asked[name].Ref
		s, ok := p.Secrets[ref]
		switch {
		case !ok:
			return Resolved{}, nes.Fail(nes.ReasonAdmissionRejected, "the profile allows no secret %q any more: ask the administrator for it", ref)
		case s.Kubernetes != nil:
			r.Keys[name] = *s.Kubernetes
			continue
		}
		value, err := s.value()
		if err != nil {
			return Resolved{}, nes.Fail(nes.ReasonAdmissionRejected, "the secret %q cannot be given to the notebook: %v; the administrator has to mend it, then run it again", ref, err)
		}
		r.Values[name] = value
	}
	return r, nil
}

// RefuseSecrets lists what is wrong with the references of a request. pods says that notebooks are given keys of Kubernetes.
func (p Profile) RefuseSecrets(asked map[string]nes.Secret, pods bool) (problems []nes.Problem) {
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		ref := asked[name].Ref
		s, ok := p.Secrets[ref]
		switch {
		case ref == "": // said already
		case !ok:
			problems = append(problems, nes.Problem{Field: "secrets." + name + ".ref", Message: unknownSecret(ref, p)})
		case s.Kubernetes != nil && !pods:
			problems = append(problems, nes.Problem{Field: "secrets." + name + ".ref",
				Message: fmt.Sprintf("%q is kept in a Secret of a cluster, and notebooks here are processes of the server's machine", ref)})
		}
	}
	return problems
}

func unknownSecret(ref string, p Profile) string {
	if len(p.Secrets) == 0 {
		return fmt.Sprintf("there is no secret %q: this profile allows none; name a profile that does, or ask the administrator for it", ref)
	}
	names := slices.Sorted(maps.Keys(p.Secrets))
	text := fmt.Sprintf("there is no secret %q; this profile allows %s", ref, strings.Join(names, ", "))
	if near := nes.Nearest(ref, names); near != "" {
		text += fmt.Sprintf("; did you mean %q?", near)
	}
	return text
}
