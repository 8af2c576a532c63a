package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/allowance"
	"github.com/nes-run/nes/runner"
	"github.com/nes-run/nes/runner/agent"
)

const canary = "canary-of-the-local-backend"

// keeping is a backend whose default profile has one secret in a file, and another profile one in a variable.
func keeping(t *testing.T, file string) *Backend {
	return backend(t, Options{Agent: []string{"/bin/true"}, Profiles: map[string]allowance.Profile{
		"":      {Secrets: map[string]allowance.Secret{"db": {File: file}}},
		"other": {Secrets: map[string]allowance.Secret{"mail": {Env: "TEST_MAIL_PASSWORD"}}},
	}})
}

func asking(j *runner.Job) { j.Secrets = map[string]nes.Secret{"DB": {Ref: "db"}} }

// TestSecretsAreInNoFile: the attempt's directory says which, and the agent gets them in its environment, those of the moment.
func TestSecretsAreInNoFile(t *testing.T) {
	t.Setenv("TEST_MAIL_PASSWORD", canary)
	t.Setenv("TEST_OTHER", "kept")
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte(canary+"\n"), 0o600))
	b := keeping(t, file)
	require.NoError(t, b.Launch(t.Context(), job(asking)))
	dir := b.dir(ref)
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		require.NoError(t, err)
		if d.Type().IsRegular() {
			raw, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NotContains(t, string(raw), canary, path)
		}
		return nil
	}))
	env := b.environment(dir)
	require.Contains(t, env, agent.Given("DB", canary))
	require.Contains(t, env, "TEST_OTHER=kept")
	require.NotContains(t, strings.Join(env, "\n"), "TEST_MAIL_PASSWORD", "it is of another profile")
	require.NoError(t, os.WriteFile(file, []byte("changed meanwhile"), 0o600))
	require.Contains(t, b.environment(dir), agent.Given("DB", "changed meanwhile"), "an agent that is brought back")
	require.NoError(t, os.Remove(file))
	require.NotContains(t, strings.Join(b.environment(dir), "\n"), "NES_SECRET_", "it can still watch")
}

// TestSecretsThatCannotBeReadStartNothing, and leave nothing behind.
func TestSecretsThatCannotBeReadStartNothing(t *testing.T) {
	t.Parallel()
	b := keeping(t, filepath.Join(t.TempDir(), "none"))
	err := b.Launch(t.Context(), job(asking))
	require.Equal(t, nes.ReasonAdmissionRejected, nes.ReasonOf(err))
	require.ErrorContains(t, err, `the secret "db" cannot be given`)
	refs, err := b.List(t.Context())
	require.NoError(t, err)
	require.Empty(t, refs)
}
