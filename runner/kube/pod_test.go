package kube

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/allowance"
	"github.com/nes-run/nes/runner"
	"github.com/nes-run/nes/runner/journal"
)

var update = flag.Bool("update", false, "write the golden files")

// someone is a backend that is never connected.
func someone() *Backend {
	root := int64(0)
	minute := int64(60)
	return &Backend{o: Options{
		Namespace: "notebooks", Instance: "a1b2c3", Server: "http://nes-agents.nes:8081", AgentImage: "registry.example.com/nes/agent:1",
		Runtimes: map[string]allowance.Runtime{
			"":      {Name: "python-3.12", Image: "registry.example.com/python:3.12"},
			"local": {Name: "local", Python: "/usr/bin/python3"},
			"odd": {
				Name: "odd", Image: "registry.example.com/odd@sha256:0000000000000000000000000000000000000000000000000000000000000000", Python: "/opt/conda/bin/python",
				ImagePullPolicy: "Always", ImagePullSecrets: []string{"pull"}, RunAsUser: &root, WritableRoot: true,
				Env: map[string]string{"TZ": "Asia/Seoul", "HOME": "/root"}, EnvFrom: []string{"proxy"},
			},
		},
		Profiles: map[string]allowance.Profile{
			"gpu": {
				Name: "gpu", Namespace: "gpus", ServiceAccount: "trainer", NodeSelector: map[string]string{"pool": "gpu"}, PriorityClass: "high", Queue: "team-a",
				Tolerations: []allowance.Toleration{{Key: "gpu", Operator: "Exists", Effect: "NoSchedule"}, {Key: "spot", Value: "true", Effect: "NoExecute", Seconds: &minute}},
				HostNetwork: true, Labels: map[string]string{"cost-centre": "4711"}, Annotations: map[string]string{"example.com/note": "x"}, StartTimeout: 3600e9,
				Resources: allowance.Bounds{Max: allowance.Size{GPU: 4}},
				Secrets: map[string]allowance.Secret{
					"warehouse": {File: filepath.Join("testdata", "warehouse")},
					"licence":   {Kubernetes: &allowance.SecretKey{Secret: "licences", Key: "stata"}},
				},
				Sizes: map[string]allowance.Size{"large": {CPU: "8", Memory: "64Gi", Disk: "500Mi", GPU: 2, Extended: map[string]string{"example.com/fpga": "1"}}},
			},
			"strict": {Name: "strict", Resources: allowance.Bounds{Max: allowance.Size{Memory: "4Gi"}}},
		},
	}}
}

func someJob() runner.Job {
	const id = "01890a5d-ac96-774b-bcce-b302099a8057"
	return runner.Job{
		Ref: runner.Ref{Run: id, Attempt: 2}, Token: "secret-token",
		Launch: journal.Launch{V: 1, RunID: id, Attempt: 2, Notebook: "a.ipynb", RunTimeout: 3600},
	}
}

func TestManifests(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*runner.Job){
		"plain": func(*runner.Job) {},
		"everything": func(j *runner.Job) {
			j.Runtime, j.Profile, j.Resources, j.HostNetwork = "odd", "gpu", nes.Resources{Size: "large"}, true
			j.Labels = map[string]string{"dag_id": "daily", "team/cost-centre": "4711", "title": "no label: spaces and a colon"}
			j.Secrets = map[string]nes.Secret{"DB_PASSWORD": {Ref: "warehouse"}, "LICENCE": {Ref: "licence"}}
		},
		"quantities": func(j *runner.Job) {
			j.Launch.RunTimeout = 0
			j.Resources = nes.Resources{CPU: "2", Memory: "1.5Gi", Disk: "100Mi"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, j := someone(), someJob()
			change(&j)
			o, err := b.order(j)
			require.NoError(t, err)
			got, err := yaml.Marshal(b.manifest(o, "the-hash"))
			require.NoError(t, err)
			require.NotContains(t, string(got), "secret-token")
			require.NotContains(t, string(got), "hunter2")
			golden(t, filepath.Join("testdata", "job-"+name+".yaml"), got)
		})
	}
}

// TestWhatTheServerKeepsGoesIntoTheAttemptsSecret, and what the cluster keeps does not pass through NES.
func TestWhatTheServerKeepsGoesIntoTheAttemptsSecret(t *testing.T) {
	t.Parallel()
	b, j := someone(), someJob()
	j.Profile, j.Secrets = "gpu", map[string]nes.Secret{"DB_PASSWORD": {Ref: "warehouse"}, "LICENCE": {Ref: "licence"}}
	o, err := b.order(j)
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"token": []byte("secret-token"), "env.DB_PASSWORD": []byte("hunter2")}, b.secret(o, metav1.OwnerReference{}).Data)
	hash, err := orderHash(j)
	require.NoError(t, err)
	require.NotEmpty(t, hash)
	j.Secrets["X"] = nes.Secret{Ref: "gone"}
	_, err = b.order(j)
	require.Equal(t, nes.ReasonAdmissionRejected, nes.ReasonOf(err))
	require.ErrorContains(t, err, `no secret "gone" any more`)
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run go test ./runner/kube -update and look at the difference")
}

// The token must be out of reach of the notebook: only NES's own containers mount it.
func TestOnlyTheAgentHasTheToken(t *testing.T) {
	t.Parallel()
	b := someone()
	o, err := b.order(someJob())
	require.NoError(t, err)
	spec := o.podSpec()
	for _, c := range spec.Containers {
		for _, m := range c.VolumeMounts {
			require.NotEqual(t, tokenVolume, m.Name)
		}
	}
	require.False(t, *spec.AutomountServiceAccountToken)
	require.Nil(t, spec.ShareProcessNamespace)
}

func TestOrdersThatCanNeverStart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*runner.Job)
		reason nes.Reason
		says   string
	}{
		"unknown runtime":         {func(j *runner.Job) { j.Runtime = "none" }, nes.ReasonEngineMissing, `there is no runtime "none"`},
		"runtime without image":   {func(j *runner.Job) { j.Runtime = "local" }, nes.ReasonEngineMissing, `"local" with an image`},
		"unknown profile":         {func(j *runner.Job) { j.Profile = "gone" }, nes.ReasonResourcesRefused, `no profile "gone" any more`},
		"host network":            {func(j *runner.Job) { j.HostNetwork = true }, nes.ReasonResourcesRefused, "host_network"},
		"more than is allowed":    {func(j *runner.Job) { j.Profile, j.Resources = "strict", nes.Resources{Memory: "5Gi"} }, nes.ReasonResourcesRefused, "resources.memory: 5Gi is more than the 4Gi"},
		"GPUs that nobody offers": {func(j *runner.Job) { j.Resources = nes.Resources{GPU: 1} }, nes.ReasonResourcesRefused, "gives no GPU"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := someJob()
			c.change(&j)
			_, err := someone().order(j)
			require.Equal(t, c.reason, nes.ReasonOf(err))
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestOrderHash(t *testing.T) {
	t.Parallel()
	first, err := orderHash(someJob())
	require.NoError(t, err)
	again, err := orderHash(someJob())
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.NotContains(t, first, "secret")
	for name, change := range map[string]func(*runner.Job){
		"token":     func(j *runner.Job) { j.Token = "x" },
		"attempt":   func(j *runner.Job) { j.Attempt++ },
		"notebook":  func(j *runner.Job) { j.Launch.Notebook = "b.ipynb" },
		"runtime":   func(j *runner.Job) { j.Runtime = "odd" },
		"profile":   func(j *runner.Job) { j.Profile = "gpu" },
		"resources": func(j *runner.Job) { j.Resources.CPU = "1" },
		"network":   func(j *runner.Job) { j.HostNetwork = true },
	} {
		j := someJob()
		change(&j)
		other, err := orderHash(j)
		require.NoError(t, err)
		require.NotEqual(t, first, other, name)
	}
}

func TestUserLabels(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	addUserLabels(got, map[string]string{
		"dag_id": "daily", "team/cost-centre": "4711", "empty": "", "-x": "1", "x": "-1", "long": strings.Repeat("a", 64), strings.Repeat("n", 64): "1", "한국": "1",
	})
	require.Equal(t, map[string]string{"labels.nes.run/dag_id": "daily", "labels.nes.run/team.cost-centre": "4711", "labels.nes.run/empty": ""}, got)
}

func TestRefOf(t *testing.T) {
	t.Parallel()
	b, ref := someone(), someJob().Ref
	got, ok := refOf(b.labels(ref))
	require.True(t, ok)
	require.Equal(t, ref, got)
	for _, labels := range []map[string]string{nil, {runLabel: "x"}, {runLabel: "x", attemptLabel: "0"}, {attemptLabel: "1"}, {runLabel: "x", attemptLabel: "one"}} {
		_, ok := refOf(labels)
		require.False(t, ok, labels)
	}
}
