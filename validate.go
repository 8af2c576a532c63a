package nes

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of what a request may hold.
const (
	MaxParameters     = 1 << 20 // bytes of all parameters as JSON
	MaxParameterNames = 1000
	MaxParameterDepth = 64
	MaxLabels         = 64
	MaxSecrets        = 64
	MaxRetries        = 10
	MaxPriority       = 100
	MaxKey            = 255 // bytes of an idempotency key
)

// Validate lists everything that is wrong with s by itself, in the order of its
// fields. It does not know runtimes, profiles or the notebook: whether those fit
// is found out later. Names of parameters are checked by internal/parameters.
func (s *Spec) Validate() []Problem {
	c := &checker{}
	c.inputURL(s.InputURL)
	c.parameters(s.Parameters)
	c.name("runtime", s.Runtime)
	c.name("profile", s.Profile)
	c.name("kernel_name", s.KernelName)
	c.resources(s.Resources)
	c.secrets(s.Secrets)
	c.durations(s)
	c.retry(s.Retry)
	c.notReady(s.NotReady)
	c.check(s.Priority >= -MaxPriority && s.Priority <= MaxPriority, "priority", "must be between -%d and %d", MaxPriority, MaxPriority)
	c.labels(s.Labels)
	c.text("group", s.Group, 128)
	c.outputPath(s.OutputPath)
	c.text("idempotency_key", s.IdempotencyKey, MaxKey)
	c.text("task_key", s.TaskKey, 512)
	c.reattach(s)
	c.callback(s.CallbackURL)
	return c.problems
}

// checker collects problems.
type checker struct{ problems []Problem }

func (c *checker) add(field, format string, args ...any) {
	c.problems = append(c.problems, Problem{Field: field, Message: fmt.Sprintf(format, args...)})
}

func (c *checker) check(ok bool, field, format string, args ...any) {
	if !ok {
		c.add(field, format, args...)
	}
}

// text checks a free text: its length, that it is UTF-8, and that nothing in it is invisible.
func (c *checker) text(field, s string, limit int) {
	c.check(len(s) <= limit, field, "is longer than %d bytes", limit)
	c.check(utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0, field, "holds control characters")
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$`)

// name checks the name of something that an administrator or a kernel's author chose.
func (c *checker) name(field, s string) {
	c.check(s == "" || namePattern.MatchString(s), field, "%q is no name: letters, digits, dots, dashes and underscores, at most 128", clip(s))
}

func (c *checker) inputURL(s string) {
	const field = "input_url"
	if strings.TrimSpace(s) == "" {
		c.add(field, "is required: the address of a notebook, such as https://github.com/acme/reports/blob/main/daily.ipynb")
		return
	}
	c.text(field, s, 4096)
	u, err := url.Parse(s)
	if err != nil || u.User == nil {
		return // other forms, and what is wrong with them, are gitsource's business
	}
	_, password := u.User.Password()
	c.check(!password && u.Scheme != "https" && u.Scheme != "http", field, "holds a credential, and addresses are shown to everyone who sees the run: leave it out and have it configured")
}

func (c *checker) parameters(given map[string]json.RawMessage) {
	c.check(len(given) <= MaxParameterNames, "parameters", "are more than %d", MaxParameterNames)
	total := 0
	for _, name := range slices.Sorted(maps.Keys(given)) {
		value := given[name]
		total += len(name) + len(value)
		field := "parameters." + clip(name)
		if !json.Valid(value) {
			c.add(field, "is not JSON")
			continue
		}
		c.check(depth(value) <= MaxParameterDepth, field, "is nested deeper than %d", MaxParameterDepth)
	}
	c.check(total <= MaxParameters, "parameters", "are %d bytes together, more than %d: put large data beside the notebook or into storage", total, MaxParameters)
}

// depth is how deep lists and objects are nested in a JSON text.
func depth(b []byte) int {
	deepest, now, inText := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch {
		case inText && b[i] == '\\':
			i++
		case b[i] == '"':
			inText = !inText
		case inText:
		case b[i] == '[' || b[i] == '{':
			now++
			deepest = max(deepest, now)
		case b[i] == ']' || b[i] == '}':
			now--
		}
	}
	return deepest
}

var quantityPattern = regexp.MustCompile(`^([0-9]+|[0-9]*\.[0-9]+)(m|[kMGTPE]|[KMGTPE]i)?$`)

func (c *checker) resources(r *Resources) {
	if r == nil {
		return
	}
	for _, q := range []struct{ field, value string }{{"cpu", r.CPU}, {"memory", r.Memory}, {"disk", r.Disk}} {
		c.check(q.value == "" || quantityPattern.MatchString(q.value), "resources."+q.field, "%q is no quantity: write 500m, 2 or 4Gi", clip(q.value))
	}
	c.check(r.GPU >= 0 && r.GPU <= 64, "resources.gpu", "must be between 0 and 64")
	c.name("resources.size", r.Size)
	c.check(r.Size == "" || *r == Resources{Size: r.Size}, "resources.size", "stands instead of the other resources: give one or the others")
}

var envPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

func (c *checker) secrets(given map[string]Secret) {
	c.check(len(given) <= MaxSecrets, "secrets", "are more than %d", MaxSecrets)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		field := "secrets." + clip(name)
		c.check(envPattern.MatchString(name), field, "is no name of an environment variable")
		c.check(!ownVariable(name), field, "is a variable that programs start by, or that NES itself sets: give the secret another name")
		c.check(given[name].Ref != "", field+".ref", "is required: the name of a secret that the profile allows")
		c.text(field+".ref", given[name].Ref, 256)
	}
}

// ownVariable reports whether a variable changes how NES, Python or any program starts.
func ownVariable(name string) bool {
	for _, prefix := range []string{"NES_", "LD_", "DYLD_", "PYTHON", "JUPYTER_", "IPYTHON", "JPY_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains([]string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "ENV", "BASH_ENV", "IFS"}, name)
}

func (c *checker) durations(s *Spec) {
	for _, d := range []struct {
		field string
		value Duration
	}{
		{"timeout", s.Timeout}, {"cell_timeout", s.CellTimeout}, {"silence_timeout", s.SilenceTimeout},
		{"start_timeout", s.StartTimeout}, {"deadline", s.Deadline}, {"lease", s.Lease},
	} {
		c.check(d.value >= 0 && d.value <= Duration(maxDuration), d.field, "must be between 0 and ten years")
	}
	c.check(s.Lease == 0 || s.Lease.Std() >= 10*time.Second, "lease", "must be at least 10s")
}

func (c *checker) retry(r *Retry) {
	if r == nil {
		return
	}
	c.check(r.Limit >= 0 && r.Limit <= MaxRetries, "retry.limit", "must be between 0 and %d", MaxRetries)
	c.check(r.Backoff >= 0 && r.Backoff.Std() <= 24*time.Hour, "retry.backoff", "must be between 0 and 24h")
	c.check(r.MemoryFactor == 0 || r.MemoryFactor >= 1 && r.MemoryFactor <= 8, "retry.memory_factor", "must be between 1 and 8")
	for i, reason := range r.On {
		field := fmt.Sprintf("retry.on[%d]", i)
		switch {
		case reason == "" || !reason.Known():
			c.add(field, "there is no reason %q%s", clip(string(reason)), didYouMean(string(reason), retryableReasons()))
		case !reason.Info().Retryable:
			c.add(field, "a run that ended for %s cannot be retried", reason)
		}
	}
}

func retryableReasons() []string {
	var names []string
	for _, row := range reasons {
		if row.Retryable {
			names = append(names, string(row.Reason))
		}
	}
	return names
}

func (c *checker) notReady(n *NotReady) {
	if n == nil {
		return
	}
	c.check(n.Every.Std() >= time.Second, "not_ready.every", "is required, and must be at least 1s")
	c.check(n.Until > 0 && n.Until >= n.Every, "not_ready.until", "is required, and must not be shorter than every")
}

var labelPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?$`)

func (c *checker) labels(given map[string]string) {
	c.check(len(given) <= MaxLabels, "labels", "are more than %d", MaxLabels)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		field := "labels." + clip(name)
		c.check(labelPattern.MatchString(name), field, "is no name of a label: letters, digits, dots, dashes, underscores and slashes, at most 128")
		c.text(field, given[name], 256)
	}
}

func (c *checker) outputPath(p string) {
	const field = "output_path"
	if p == "" {
		return
	}
	c.text(field, p, 512)
	clean := !strings.Contains(p, `\`) && !strings.HasPrefix(p, "/") && path.Clean(p) == p && p != "." && p != ".." && !strings.HasPrefix(p, "../")
	c.check(clean, field, `must be a plain relative path such as "team/daily.ipynb", without empty, "." or ".." elements`)
}

func (c *checker) reattach(s *Spec) {
	words := []string{string(ReattachNever), string(ReattachActive), string(ReattachActiveOrSucceeded)}
	switch {
	case s.Reattach == "" || s.Reattach == ReattachNever:
	case !slices.Contains(words, string(s.Reattach)):
		c.add("reattach", "%q is none of %s%s", clip(string(s.Reattach)), strings.Join(words, ", "), didYouMean(string(s.Reattach), words))
	case s.TaskKey == "":
		c.add("task_key", "is required with reattach: it names the task whose run to attach to")
	}
}

func (c *checker) callback(s string) {
	const field = "callback_url"
	if s == "" {
		return
	}
	c.text(field, s, 2048)
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		c.add(field, "must be an absolute http or https address")
		return
	}
	c.check(u.User == nil, field, "holds a credential, and requests are shown to everyone who sees the run")
}

// didYouMean is the end of a message about a word that is not known.
func didYouMean(word string, known []string) string {
	if near := Nearest(word, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// clip shortens what a caller wrote for a message.
func clip(s string) string {
	const limit = 64
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}
