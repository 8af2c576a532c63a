package helm_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/nes-run/nes/internal/config"
)

var update = flag.Bool("update", false, "write what helm renders as the golden files")

// render runs the real helm over the chart.
func render(t *testing.T, values string, more ...string) (string, error) {
	t.Helper()
	program := os.Getenv("NES_HELM")
	if program == "" {
		var err error
		if program, err = exec.LookPath("helm"); err != nil {
			t.Skip("there is no helm on PATH: make chart builds one")
		}
	}
	file := filepath.Join(t.TempDir(), "values.yaml")
	require.NoError(t, os.WriteFile(file, []byte(values), 0o600))
	args := append([]string{"template", "nes", "nes", "--namespace", "jobs", "--kube-version", "1.34.0", "--values", file}, more...)
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return errs.String(), err
	}
	return out.String(), nil
}

const (
	single  = "insecure: true\npersistence: {storageClass: fast}\n"
	several = `
replicas: 3
ledger: {secretName: database}
bucket: gs://reports/nes
config:
  runtimes: [{name: python, image: "nes/notebook:1", default: true}]
  profiles: [{name: gpu, namespace: notebooks, node_selector: {pool: gpu}, resources: {max: {memory: 64Gi, gpu: 2}}}]
  tokens: [{name: ana, team: risk, token: "sha256:5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5", roles: [submit]}]
notebooks: {namespaces: [notebooks], networkPolicy: {podCidrs: [10.1.0.0/16]}}
publicUrl: https://nes.example.com
ingress: {enabled: true, host: nes.example.com, tlsSecret: tls}
monitoring: {serviceMonitor: true, rules: true, dashboard: true, tokenSecret: {name: prometheus}}
`
)

// The golden files are the plain manifests, which can be applied without helm. The key of the agents is made anew each time.
func TestManifests(t *testing.T) {
	t.Parallel()
	key := regexp.MustCompile(`(?m)^  key: \S+$`)
	for name, values := range map[string]string{"single": single, "several": several} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := render(t, values)
			require.NoError(t, err, out)
			require.Regexp(t, key, out)
			out = key.ReplaceAllString(out, "  key: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
			golden := filepath.Join("testdata", name+".yaml")
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(out), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), out, "make chart UPDATE=1 writes it anew")
		})
	}
}

// The file that servers read is one that they accept.
func TestTheConfigIsOneThatServersTake(t *testing.T) {
	t.Parallel()
	for _, values := range []string{single, several} {
		out, err := render(t, values)
		require.NoError(t, err, out)
		d := yaml.NewDecoder(strings.NewReader(out))
		read := false
		for {
			var object struct {
				Kind       string            `yaml:"kind"`
				StringData map[string]string `yaml:"stringData"`
			}
			if d.Decode(&object) != nil {
				break
			}
			if file := object.StringData["nes.yaml"]; file != "" {
				path := filepath.Join(t.TempDir(), "nes.yaml")
				require.NoError(t, os.WriteFile(path, []byte(file), 0o600))
				site, err := config.ReadSite(path)
				require.NoError(t, err)
				require.NotEmpty(t, site.Runtimes)
				read = true
			}
		}
		require.True(t, read)
	}
}

func TestWrongValuesAreNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, values, want string }{
		{"nobody signs in", "replicas: 1\n", "config.tokens: NES would let everybody in"},
		{"several without a database", "insecure: true\nreplicas: 2\nbucket: gs://b\n", "set ledger.secretName and bucket, or replicas to 1"},
		{"several without a bucket", "insecure: true\nreplicas: 2\nledger: {secretName: db}\n", "set ledger.secretName and bucket, or replicas to 1"},
		{"a value misspelt", "insecure: true\nreplica: 1\n", "additional properties 'replica' not allowed"},
		{"a bucket of no known kind", "insecure: true\nbucket: ftp://b\n", "bucket"},
		{"a runtime misspelt", "insecure: true\nconfig: {runtimes: [{name: a, img: b}]}\n", "img"},
		{"an address with a slash at its end", "insecure: true\npublicUrl: https://nes.example.com/\n", "publicUrl"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, err := render(t, c.values)
			require.Error(t, err)
			require.Contains(t, out, c.want)
		})
	}
}

// What alerts and the dashboard ask for is there, and each alert is explained.
func TestMonitoringSpeaksOfFiguresThatExist(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile("nes/files/rules.yaml")
	require.NoError(t, err)
	dashboard, err := os.ReadFile("nes/files/dashboard.json")
	require.NoError(t, err)
	require.True(t, json.Valid(dashboard))
	figures := declared(t, "../..")
	names := regexp.MustCompile(`\bnes_[a-z_]+`)
	for _, name := range append(names.FindAllString(string(rules), -1), names.FindAllString(string(dashboard), -1)...) {
		name = strings.TrimSuffix(name, "_bucket")
		require.Contains(t, figures, name, "no package declares it")
	}
	operations, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	alerts := regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(string(rules), -1)
	require.NotEmpty(t, alerts)
	for _, alert := range alerts {
		require.Contains(t, string(operations), "### "+alert[1]+"\n")
	}
}

// declared are the names of figures in the source code.
func declared(t *testing.T, root string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	name := regexp.MustCompile(`"(nes_[a-z_]+)"`)
	for _, pattern := range []string{"api/*.go", "runner/*.go", "runner/*/*.go", "internal/*/*.go", "storage/*/*.go"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		for _, file := range files {
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, m := range name.FindAllStringSubmatch(string(b), -1) {
				found[m[1]] = true
			}
		}
	}
	return found
}
