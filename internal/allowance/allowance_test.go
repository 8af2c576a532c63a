package allowance

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/nes-run/nes"
)

var gold = Profile{
	Name: "gold",
	Resources: Bounds{
		Default: Size{CPU: "1", Memory: "4Gi", Extended: map[string]string{"example.com/fpga": "1"}},
		Max:     Size{CPU: "8", Memory: "64Gi", Disk: "100Gi", GPU: 2},
	},
	Sizes: map[string]Size{"huge": {CPU: "32", Memory: "512Gi", GPU: 8}, "small": {CPU: "250m"}},
}

func TestGrant(t *testing.T) {
	t.Parallel()
	extended := map[string]string{"example.com/fpga": "1"}
	for name, c := range map[string]struct {
		profile Profile
		asked   nes.Resources
		want    Size
	}{
		"nothing under nothing":             {want: Size{CPU: "500m", Memory: "2Gi", Disk: "10Gi"}},
		"nothing under defaults":            {profile: gold, want: Size{CPU: "1", Memory: "4Gi", Disk: "10Gi", Extended: extended}},
		"a part":                            {profile: gold, asked: nes.Resources{Memory: "8Gi"}, want: Size{CPU: "1", Memory: "8Gi", Disk: "10Gi", Extended: extended}},
		"exactly the maximum":               {profile: gold, asked: nes.Resources{CPU: "8000m", Memory: "65536Mi", GPU: 2}, want: Size{CPU: "8000m", Memory: "65536Mi", Disk: "10Gi", GPU: 2, Extended: extended}},
		"a size may be beyond the maximum":  {profile: gold, asked: nes.Resources{Size: "huge"}, want: Size{CPU: "32", Memory: "512Gi", Disk: "10Gi", GPU: 8}},
		"what a size leaves out is usual":   {profile: gold, asked: nes.Resources{Size: "small"}, want: Size{CPU: "250m", Memory: "2Gi", Disk: "10Gi"}},
		"no maximum is no limit":            {asked: nes.Resources{CPU: "400", Memory: "9Ti"}, want: Size{CPU: "400", Memory: "9Ti", Disk: "10Gi"}},
		"a default may be over the maximum": {profile: Profile{Resources: Bounds{Default: Size{CPU: "4"}, Max: Size{CPU: "2"}}}, want: Size{CPU: "4", Memory: "2Gi", Disk: "10Gi"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, problems := c.profile.Grant(c.asked)
			require.Empty(t, problems)
			require.Equal(t, c.want, got)
		})
	}
}

func TestGrantRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		profile Profile
		asked   nes.Resources
		want    map[string]string
	}{
		"too much of everything, at once": {gold, nes.Resources{CPU: "8001m", Memory: "64.1Gi", Disk: "1Ti", GPU: 3}, map[string]string{
			"resources.cpu":    "8001m is more than the 8 that this profile allows",
			"resources.memory": "64.1Gi is more than the 64Gi that this profile allows",
			"resources.disk":   "1Ti is more than the 100Gi that this profile allows",
			"resources.gpu":    "3 is more than the 2 that this profile allows",
		}},
		"decimal and binary units differ":    {Profile{Resources: Bounds{Max: Size{Memory: "1G"}}}, nes.Resources{Memory: "1Gi"}, map[string]string{"resources.memory": "1Gi is more than the 1G that this profile allows"}},
		"GPUs are given where they are said": {Profile{}, nes.Resources{GPU: 1}, map[string]string{"resources.gpu": "this profile gives no GPU: leave it out, or name a profile that does"}},
		"nothing at all":                     {Profile{}, nes.Resources{CPU: "0"}, map[string]string{"resources.cpu": `"0" is nothing: leave it out`}},
		"no quantity":                        {Profile{}, nes.Resources{Memory: "lots"}, map[string]string{"resources.memory": `"lots" is no quantity: write 500m, 2 or 4Gi`}},
		"a size that is not there":           {gold, nes.Resources{Size: "hugge"}, map[string]string{"resources.size": `there is no size "hugge"; there is huge, small; did you mean "huge"?`}},
		"sizes where there are none":         {Profile{}, nes.Resources{Size: "huge"}, map[string]string{"resources.size": `there is no size "huge": this profile offers none by name, so ask for cpu and memory`}},
		"a profile that is wrong itself":     {Profile{Resources: Bounds{Max: Size{CPU: "some"}}}, nes.Resources{CPU: "1"}, map[string]string{"resources.cpu": `the profile's own limit is wrong: "some" is no quantity: write 500m, 2 or 4Gi`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problems := c.profile.Grant(c.asked)
			got := map[string]string{}
			for _, p := range problems {
				got[p.Field] = p.Message
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestBytes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"1": 1, "1500m": 2, "1k": 1000, "1Ki": 1024, "1.5Gi": 3 << 29, "10Gi": 10 << 30, "2P": 2e15, "": 0, "x": 0, "0": 0, "999999999999999999Pi": 1<<63 - 1,
	} {
		require.Equal(t, want, Bytes(text), text)
	}
}

func FuzzQuantity(f *testing.F) {
	for _, s := range []string{"1", "500m", "1.5Gi", "9e3", "-1", "0.000000001m"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := parse(s)
		if err != nil {
			require.Zero(t, Bytes(s))
			return
		}
		require.Positive(t, v.Sign())
		require.Positive(t, Bytes(s))
		require.NoError(t, fits(s, s))
	})
}

func TestProblems(t *testing.T) {
	t.Parallel()
	minus := int64(-1)
	require.Empty(t, Runtime{Name: "a", Image: "x"}.Problems())
	require.Empty(t, Runtime{Name: "a", Python: "/usr/bin/python3"}.Problems())
	require.Len(t, Runtime{ImagePullPolicy: "Sometimes", RunAsUser: &minus, Env: map[string]string{"NES_X": "1", "A=B": ""}}.Problems(), 5)
	require.Empty(t, gold.Problems())
	require.Equal(t, []string{
		`resources.default.cpu: "much" is no quantity: write 500m, 2 or 4Gi`,
		`resources.max.gpu: must not be negative`,
		`sizes.s.extended: "fpga": "1" is no extended resource: write example.com/name: 1`,
		`tolerations[0]: operator is Exists or Equal, effect is NoSchedule, PreferNoSchedule or NoExecute`,
	}, Profile{
		Resources:   Bounds{Default: Size{CPU: "much"}, Max: Size{GPU: -1}},
		Sizes:       map[string]Size{"s": {Extended: map[string]string{"fpga": "1"}}},
		Tolerations: []Toleration{{Operator: "Is"}},
	}.Problems())
}

func TestStartTimeoutIsReadFromYAML(t *testing.T) {
	t.Parallel()
	var p Profile
	require.NoError(t, yaml.Unmarshal([]byte("start_timeout: 90s"), &p))
	require.Equal(t, 90*time.Second, p.StartTimeout.Or(time.Minute))
	require.Equal(t, time.Minute, Duration(0).Or(time.Minute))
	require.ErrorContains(t, yaml.Unmarshal([]byte("start_timeout: soon"), &p), "is not a duration")
}
