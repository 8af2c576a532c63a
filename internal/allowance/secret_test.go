package allowance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/nes-run/nes"
)

func TestSecretsAreReadFromYAML(t *testing.T) {
	t.Parallel()
	var p Profile
	require.NoError(t, yaml.Unmarshal([]byte(`
name: x
secrets:
  warehouse: {env: WAREHOUSE_PASSWORD}
  mail: {file: /run/secrets/mail}
  licence: {kubernetes: {secret: licences, key: stata.key}}
`), &p))
	require.Equal(t, map[string]Secret{
		"warehouse": {Env: "WAREHOUSE_PASSWORD"}, "mail": {File: "/run/secrets/mail"},
		"licence": {Kubernetes: &SecretKey{Secret: "licences", Key: "stata.key"}},
	}, p.Secrets)
	require.Empty(t, p.Problems())
}

func TestProblemsOfSecrets(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		secret Secret
		want   string
	}{
		"nothing":       {Secret{}, "exactly one of env, file and kubernetes"},
		"two":           {Secret{Env: "A", File: "/x"}, "exactly one of env, file and kubernetes"},
		"no variable":   {Secret{Env: "A-B"}, `env: "A-B" is no name`},
		"relative file": {Secret{File: "x/y"}, `file: "x/y" must be an absolute path`},
		"no Secret":     {Secret{Kubernetes: &SecretKey{Key: "k"}}, `kubernetes.secret: "" is no name`},
		"no key":        {Secret{Kubernetes: &SecretKey{Secret: "s", Key: "a/b"}}, `kubernetes.key: "a/b" is no key`},
	} {
		problems := Profile{Secrets: map[string]Secret{"db": c.secret}}.Problems()
		require.Len(t, problems, 1, name)
		require.Contains(t, problems[0], "secrets.db: ", name)
		require.Contains(t, problems[0], c.want, name)
	}
	require.Len(t, Profile{Secrets: map[string]Secret{"": {Env: "A"}}}.Problems(), 1)
}

// keep writes a secret's file.
func keep(t *testing.T, body string) Secret {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(name, []byte(body), 0o600))
	return Secret{File: name}
}

// refer asks for one secret, called x.
func refer(s Secret) (Resolved, error) {
	return Profile{Secrets: map[string]Secret{"x": s}}.Resolve(map[string]nes.Secret{"DB": {Ref: "x"}})
}

func TestValuesOfFiles(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"hunter2": "hunter2", "hunter2\n": "hunter2", "hunter2\r\n": "hunter2", "hunter2\n\n": "hunter2\n", " hunter 2 ": " hunter 2 ", "pässwört": "pässwört",
		strings.Repeat("x", MaxSecret) + "\r\n": strings.Repeat("x", MaxSecret),
	} {
		got, err := refer(keep(t, body))
		require.NoError(t, err)
		require.Equal(t, map[string]string{"DB": want}, got.Values)
		require.Empty(t, got.Keys)
	}
	s := keep(t, "first value")
	require.NoError(t, os.WriteFile(s.File, []byte("second value"), 0o600))
	got, err := refer(s)
	require.NoError(t, err)
	require.Equal(t, "second value", got.Values["DB"], "a file is read each time")
}

func TestValuesOfVariables(t *testing.T) {
	t.Setenv("NES_TEST_SECRET", "hunter2\n")
	got, err := refer(Secret{Env: "NES_TEST_SECRET"})
	require.NoError(t, err)
	require.Equal(t, "hunter2\n", got.Values["DB"], "a variable is taken as it is")
}

func TestKeysOfTheClusterAreNotRead(t *testing.T) {
	t.Parallel()
	key := SecretKey{Secret: "licences", Key: "stata"}
	got, err := refer(Secret{Kubernetes: &key})
	require.NoError(t, err)
	require.Empty(t, got.Values)
	require.Equal(t, map[string]SecretKey{"DB": key}, got.Keys)
}

// TestWhatCannotBeGiven ends the run with the name of the reference, and never with a part of the value.
func TestWhatCannotBeGiven(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		secret Secret
		want   string
	}{
		"no variable": {Secret{Env: "NES_TEST_NOT_THERE"}, "the server has no variable NES_TEST_NOT_THERE"},
		"no file":     {Secret{File: "/nonexistent/x"}, "/nonexistent/x cannot be read: no such file"},
		"a directory": {Secret{File: "/"}, "is no regular file"},
		"too short":   {keep(t, "qzj\n"), "has 3 bytes: one of less than 4 cannot be masked"},
		"too long":    {keep(t, strings.Repeat("qzj", MaxSecret)), "is longer than 16384 bytes"},
		"no text":     {keep(t, "qzj\xff\xfe"), "is no text"},
		"a zero byte": {keep(t, "qzj\x00qzj"), "is no text"},
	} {
		got, err := refer(c.secret)
		require.Equal(t, nes.ReasonAdmissionRejected, nes.ReasonOf(err), name)
		require.ErrorContains(t, err, c.want, name)
		require.ErrorContains(t, err, `the secret "x" cannot be given`, name)
		require.NotContains(t, err.Error(), "qzj", name)
		require.Empty(t, got, name)
	}
	_, err := Profile{}.Resolve(map[string]nes.Secret{"DB": {Ref: "x"}})
	require.ErrorContains(t, err, `the profile allows no secret "x" any more`)
	require.Equal(t, nes.ReasonAdmissionRejected, nes.ReasonOf(err))
}
