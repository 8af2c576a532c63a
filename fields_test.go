package nes_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

// TestWhatEachFieldTakes gives each field what it must take and what it must refuse, one value at a time.
func TestWhatEachFieldTakes(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("x", n) }
	hours := func(n int) nes.Duration { return nes.Duration(n) * nes.Duration(time.Hour) }
	names := [2][]string{{"", "a", "A1", "python-3.12", "team_a", "c++", "0", long(128)}, {" ", "-a", ".a", "_a", "a b", "a/b", "한글", "a\n", "a:b", long(129), "\xff"}}
	texts := func(limit int) [2][]string {
		return [2][]string{{"", "a b", "한글", "😀", `"';--`, "../..", long(limit), strings.Repeat("한", limit/3)}, {"\x00", "a\nb", "a\tb", "\x7f", "\u0085", "\xff", "a\xc3", long(limit + 1), strings.Repeat("한", limit/3+1)}}
	}
	for field, c := range map[string]struct {
		set    func(*nes.Spec, string)
		values [2][]string // to take, to refuse
	}{
		"runtime":         {func(s *nes.Spec, v string) { s.Runtime = v }, names},
		"profile":         {func(s *nes.Spec, v string) { s.Profile = v }, names},
		"kernel_name":     {func(s *nes.Spec, v string) { s.KernelName = v }, names},
		"resources.size":  {func(s *nes.Spec, v string) { s.Resources = &nes.Resources{Size: v} }, names},
		"group":           {func(s *nes.Spec, v string) { s.Group = v }, texts(128)},
		"idempotency_key": {func(s *nes.Spec, v string) { s.IdempotencyKey = v }, texts(255)},
		"task_key":        {func(s *nes.Spec, v string) { s.TaskKey, s.Reattach = v, "" }, texts(512)},
		"labels.l":        {func(s *nes.Spec, v string) { s.Labels = map[string]string{"l": v} }, texts(256)},
		"resources.cpu": {func(s *nes.Spec, v string) { s.Resources = &nes.Resources{CPU: v} }, [2][]string{
			{"", "1", "0", "500m", "2.5", ".5", "100", "1k"}, {"-1", "+1", "1.", ".", "1 ", "1e3", "0x1", "1M i", "1mi", "m", "half", "1,5", "१"},
		}},
		"resources.memory": {func(s *nes.Spec, v string) { s.Resources = &nes.Resources{Memory: v} }, [2][]string{
			{"", "1Gi", "1.5G", "512Mi", "100", "1Ki", "1k", "2Ti", "1P", "1E"}, {"1GB", "1gb", "1g", "Gi", "-1Gi", "1 Gi", "1Gi\n", "1ki", "1GiB"},
		}},
		"resources.disk": {func(s *nes.Spec, v string) { s.Resources = &nes.Resources{Disk: v} }, [2][]string{{"", "10Gi"}, {"10 GB"}}},
		"output_path": {func(s *nes.Spec, v string) { s.OutputPath = v }, [2][]string{
			{"", "a.ipynb", "team a/매일.ipynb", "a/b/c", "...", "..a/b", "a..b", ".hidden/x", long(512)},
			{"/a", "a/", "a//b", "./a", "a/./b", "../a", "a/../b", "..", ".", "a/..", `a\b`, "a\nb", "\xff", long(513)},
		}},
		"callback_url": {func(s *nes.Spec, v string) { s.CallbackURL = v }, [2][]string{
			{"", "https://h/x?y=1#z", "http://h:8080", "HTTP://h/", "https://[::1]/x", "https://한글.example/"},
			{"h/x", "/x", "//h/x", "ftp://h/", "https:h", "https://", "https:///x", "javascript:alert(1)", "https://u@h/", "https://u:p@h/", "https://h:port/", "https://h/" + long(2048), "data:,x"},
		}},
		"input_url": {func(s *nes.Spec, v string) { s.InputURL = v }, [2][]string{
			{"https://h/x", "git@h:a/b.git#c", "ssh://git@h/a.git#x.ipynb", "./a.ipynb", "한글", "https://h/" + long(4086)},
			{"", " ", "\n", "https://u:p@h/x", "https://token@h/x", "ssh://u:p@h/x", "https://h/\x01", "https://h/" + long(4087)},
		}},
		"reattach": {func(s *nes.Spec, v string) { s.TaskKey, s.Reattach = "t", nes.Reattach(v) }, [2][]string{{"", "never", "active", "active_or_succeeded"}, {"Active", "always", "active ", "activ"}}},
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			for i, values := range c.values {
				for _, value := range values {
					s := nes.Spec{InputURL: "https://h/a/b/blob/main/x.ipynb"}
					c.set(&s, value)
					problems := s.Validate()
					if i == 0 {
						require.Empty(t, problems, "%q", value)
						continue
					}
					require.NotEmpty(t, problems, "%q", value)
					for _, p := range problems {
						require.Equal(t, field, p.Field, "%q", value)
						require.NotEmpty(t, p.Message)
						require.Less(t, len(p.Message), 300, "%q", value)
						require.NotContains(t, p.Message, "\x00")
					}
				}
			}
		})
	}
	for _, d := range []nes.Duration{0, 1, hours(24), hours(10 * 365 * 24)} {
		s := nes.Spec{InputURL: "u", Timeout: d, CellTimeout: d, SilenceTimeout: d, StartTimeout: d, Deadline: d}
		require.Empty(t, s.Validate(), d)
	}
	s := nes.Spec{InputURL: "u", Timeout: -1, CellTimeout: -1, SilenceTimeout: -1, StartTimeout: -1, Deadline: -1, Lease: -1}
	require.Len(t, s.Validate(), 7, "each by itself, and the lease's own bound")
}

// TestNamesInMaps: the names of labels, secrets and parameters are checked as their values are.
func TestNamesInMaps(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 128)
	for name, ok := range map[string]bool{"a": true, "a/b": true, "a.b-c_d": true, "0": true, long: true, "": false, "/a": false, "a/": false, "-a": false, "a b": false, "한글": false, long + "x": false, "a=b": false} {
		s := nes.Spec{InputURL: "u", Labels: map[string]string{name: "v"}}
		require.Equal(t, ok, len(s.Validate()) == 0, "label %q", name)
	}
	for name, ok := range map[string]bool{
		"A": true, "_a1": true, "DB_PASSWORD": true, long: true, "PATHS": true, "NES": true, "": false, "1A": false, "A-B": false, "A B": false, "한글": false, long + "x": false,
		"NES_TOKEN": false, "NES_": false, "PATH": false, "PYTHONPATH": false, "A=B": false,
	} {
		s := nes.Spec{InputURL: "u", Secrets: map[string]nes.Secret{name: {Ref: "r"}}}
		require.Equal(t, ok, len(s.Validate()) == 0, "secret %q", name)
	}
	for ref, ok := range map[string]bool{"r": true, "team/db#password": true, "": false, "a\nb": false, strings.Repeat("r", 257): false} {
		s := nes.Spec{InputURL: "u", Secrets: map[string]nes.Secret{"A": {Ref: ref}}}
		require.Equal(t, ok, len(s.Validate()) == 0, "reference %q", ref)
	}
	many := func(n int) (labels map[string]string, secrets map[string]nes.Secret, parameters map[string]json.RawMessage) {
		labels, secrets, parameters = map[string]string{}, map[string]nes.Secret{}, map[string]json.RawMessage{}
		for i := range n {
			name := fmt.Sprintf("n%d", i)
			labels[name], secrets[name], parameters[name] = "v", nes.Secret{Ref: "r"}, json.RawMessage("1")
		}
		return labels, secrets, parameters
	}
	labels, secrets, _ := many(64)
	_, _, parameters := many(1000)
	s := nes.Spec{InputURL: "u", Labels: labels, Secrets: secrets, Parameters: parameters}
	require.Empty(t, s.Validate())
	labels, secrets, _ = many(65)
	_, _, parameters = many(1001)
	s = nes.Spec{InputURL: "u", Labels: labels, Secrets: secrets, Parameters: parameters}
	require.Equal(t, []string{"parameters", "secrets", "labels"}, fieldsOf(s.Validate()), "in the order of the fields")
}

func fieldsOf(problems []nes.Problem) (fields []string) {
	for _, p := range problems {
		fields = append(fields, p.Field)
	}
	return fields
}

// TestPoliciesAreChecked: which reasons may be retried, and how often what is not ready may be asked.
func TestPoliciesAreChecked(t *testing.T) {
	t.Parallel()
	for _, row := range nes.Reasons() {
		s := nes.Spec{InputURL: "u", Retry: &nes.Retry{Limit: 1, On: []nes.Reason{row.Reason}}}
		problems := s.Validate()
		require.Equal(t, row.Retryable, len(problems) == 0, row.Reason)
		if !row.Retryable {
			require.Equal(t, []string{"retry.on[0]"}, fieldsOf(problems))
		}
	}
	s := nes.Spec{InputURL: "u", Retry: &nes.Retry{On: []nes.Reason{"NodeLost", "NodLost", "", "Cancelled"}}}
	problems := s.Validate()
	require.Equal(t, []string{"retry.on[1]", "retry.on[2]", "retry.on[3]"}, fieldsOf(problems))
	require.Contains(t, problems[0].Message, `did you mean "NodeLost"?`)
	require.Contains(t, problems[2].Message, "cannot be retried")
	for factor, ok := range map[float64]bool{0: true, 1: true, 1.5: true, 8: true, 0.99: false, 8.01: false, -1: false} {
		s := nes.Spec{InputURL: "u", Retry: &nes.Retry{MemoryFactor: factor}}
		require.Equal(t, ok, len(s.Validate()) == 0, factor)
	}
	second := nes.Duration(time.Second)
	for _, c := range []struct {
		every, until nes.Duration
		wrong        int
	}{{second, second, 0}, {second, 2 * second, 0}, {second - 1, second, 1}, {2 * second, second, 1}, {0, 0, 2}, {-second, -second, 2}, {second, 0, 1}} {
		s := nes.Spec{InputURL: "u", NotReady: &nes.NotReady{Every: c.every, Until: c.until}}
		require.Len(t, s.Validate(), c.wrong, "%s until %s", c.every, c.until)
	}
	for _, r := range []nes.Resources{{Size: "large", CPU: "1"}, {Size: "large", Memory: "1Gi"}, {Size: "large", Disk: "1"}, {Size: "large", GPU: 1}} {
		s := nes.Spec{InputURL: "u", Resources: &r}
		require.Equal(t, []string{"resources.size"}, fieldsOf(s.Validate()))
	}
	s = nes.Spec{InputURL: "u", Reattach: nes.ReattachActive}
	require.Equal(t, []string{"task_key"}, fieldsOf(s.Validate()))
}

// depthOf is how deep a JSON value is nested, by encoding/json.
func depthOf(v any) int {
	deepest := 0
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			deepest = max(deepest, depthOf(item))
		}
	case map[string]any:
		for _, item := range v {
			deepest = max(deepest, depthOf(item))
		}
	default:
		return 0
	}
	return deepest + 1
}

// FuzzParametersDepth holds the count of brackets to what encoding/json finds: text that looks like brackets is none.
func FuzzParametersDepth(f *testing.F) {
	for _, seed := range []string{`1`, `"[[["`, `[{"a\"[":"\\"},[]]`, `{"[":{"]":[]}}`, `"\\\\"`, strings.Repeat("[", 64) + strings.Repeat("]", 64), strings.Repeat("[", 65) + strings.Repeat("]", 65), `["` + strings.Repeat("[", 99) + `"]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := nes.Spec{InputURL: "u", Parameters: map[string]json.RawMessage{"p": json.RawMessage(text)}}
		problems := s.Validate()
		var v any
		if json.Unmarshal([]byte(text), &v) != nil {
			require.Equal(t, []nes.Problem{{Field: "parameters.p", Message: "is not JSON"}}, problems)
			return
		}
		require.Equal(t, depthOf(v) > nes.MaxParameterDepth, len(problems) > 0, "%s", text)
	})
}

// slow is the distance of two words by its definition, without any table.
func slow(a, b []rune) int {
	if len(a) == 0 || len(b) == 0 {
		return len(a) + len(b)
	}
	differ := 1
	if a[0] == b[0] {
		differ = 0
	}
	least := min(slow(a[1:], b)+1, slow(a, b[1:])+1, slow(a[1:], b[1:])+differ)
	if len(a) > 1 && len(b) > 1 && a[0] == b[1] && a[1] == b[0] {
		least = min(least, slow(a[2:], b[2:])+1)
	}
	return least
}

// TestNearestIsTheNearest holds it to the definition of distance, on all pairs of many short words.
func TestNearestIsTheNearest(t *testing.T) {
	t.Parallel()
	g := rand.New(rand.NewPCG(5, 6))
	for range 3000 {
		word := func() string {
			b := make([]rune, g.IntN(7))
			for i := range b {
				b[i] = []rune("abc한")[g.IntN(4)]
			}
			return string(b)
		}
		name, known := word(), []string{word(), word(), word(), word()}
		want, least := "", 99
		for _, k := range known {
			n := max(len([]rune(name)), len([]rune(k)))
			most := max(1, n/3)
			if n < 2 {
				most = 0
			}
			if d := slow([]rune(name), []rune(k)); d <= most && d < least {
				want, least = k, d
			}
		}
		require.Equal(t, want, nes.Nearest(name, known), "%q among %q", name, known)
		require.Equal(t, want, nes.Nearest(strings.ToUpper(name), known), "case does not count")
	}
}

// fill sets every field of a value to something that is not its zero value.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Interface().(type) {
	case json.RawMessage:
		v.SetBytes([]byte(fmt.Sprint(*n)))
		return
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(int64(1e9+*n), 0).UTC()))
		return
	case nes.Duration:
		v.SetInt(int64(*n) * int64(time.Second))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") != "-" {
				fill(v.Field(i), n)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		item := reflect.New(v.Type().Elem()).Elem()
		fill(item, n)
		v.SetMapIndex(reflect.ValueOf(fmt.Sprint("k", *n)).Convert(v.Type().Key()), item)
	case reflect.String:
		v.SetString(fmt.Sprint("text ", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	default:
		v.SetInt(int64(*n))
	}
}

// TestRecordsSurviveTheWire: no field of what is kept and sent is lost, renamed twice or mixed up.
func TestRecordsSurviveTheWire(t *testing.T) {
	t.Parallel()
	for _, record := range []any{&nes.Run{}, &nes.Spec{}, &nes.Attempt{}, &nes.Outcome{}, &nes.Event{}, &nes.Source{}, &nes.Problem{}, &nes.File{}, &nes.LogPage{}, &nes.Progress{}, &nes.Conversion{}} {
		n := 0
		fill(reflect.ValueOf(record).Elem(), &n)
		text, err := json.Marshal(record)
		require.NoError(t, err)
		back := reflect.New(reflect.TypeOf(record).Elem()).Interface()
		require.NoError(t, json.Unmarshal(text, back))
		require.Equal(t, record, back, "%s", text)
		again, err := json.Marshal(back)
		require.NoError(t, err)
		require.Equal(t, string(text), string(again))
	}
	for _, empty := range []any{nes.Spec{}, nes.Outcome{}} {
		text, err := json.Marshal(empty)
		require.NoError(t, err)
		require.NotContains(t, string(text), "null", "what is not there is left out")
	}
}

// FuzzValidate: whatever is asked for, each problem names a field of the request and is short enough to be shown.
func FuzzValidate(f *testing.F) {
	f.Add(`{"input_url":"https://h/x","parameters":{"a":1},"resources":{"cpu":"1"},"retry":{"on":["NodeLost"]}}`)
	f.Add(`{"labels":{"a b":"c"},"secrets":{"PATH":{"ref":""}},"not_ready":{"every":1},"reattach":"x","callback_url":"x"}`)
	f.Add(`{"output_path":"../x","priority":101,"lease":1,"group":"\u0000"}`)
	f.Fuzz(func(t *testing.T, text string) {
		var s nes.Spec
		if json.Unmarshal([]byte(text), &s) != nil {
			return
		}
		before, err := json.Marshal(s)
		require.NoError(t, err)
		for _, p := range s.Validate() {
			require.NotEmpty(t, p.Field)
			require.NotEmpty(t, p.Message)
			require.Less(t, len(p.Field), 120)
			require.Less(t, len(p.Message), 500)
		}
		after, err := json.Marshal(s)
		require.NoError(t, err)
		require.Equal(t, string(before), string(after), "to check is not to change")
	})
}
