package agent

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/agentapi"
)

func clientOf(t *testing.T, s agentapi.Service) *agentapi.Client {
	t.Helper()
	server := httptest.NewServer(agentapi.NewHandler(s, slog.New(slog.DiscardHandler)))
	t.Cleanup(server.Close)
	c := agentapi.NewClient(agentapi.Options{
		Server: func() (string, error) { return server.URL, nil }, Run: "r", Attempt: 1, Token: "t", Log: slog.New(slog.DiscardHandler),
		MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond,
	})
	t.Cleanup(c.Close)
	return c
}

// place makes an attempt's directory on this machine, with an order that calls s.
func place(t *testing.T, s agentapi.Service, order Order) string {
	t.Helper()
	dir := t.TempDir()
	server := httptest.NewServer(agentapi.NewHandler(s, slog.New(slog.DiscardHandler)))
	t.Cleanup(server.Close)
	order.ServerFile = filepath.Join(dir, "server")
	require.NoError(t, os.WriteFile(order.ServerFile, []byte(server.URL+"\n"), 0o600))
	for _, sub := range []string{VolumeDir, "agent"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, sub), 0o700))
	}
	raw, err := json.Marshal(order)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, OrderFile), raw, 0o600))
	return dir
}

var quietly = slog.New(slog.DiscardHandler)

// TestWhatNeverStartsIsReportedSo: a tree that is refused, and an exec that is not there. The attempt is done with.
func TestWhatNeverStartsIsReportedSo(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		depot *depot
		order Order
		want  nes.Reason
	}{
		"a refused order": {&depot{launches: []error{&nes.Error{Code: nes.CodeUnprocessable, Reason: nes.ReasonSourceNotFound, Message: "gone"}}}, Order{}, nes.ReasonSourceNotFound},
		"no such program": {&depot{bundles: []func() (io.ReadCloser, error){whole(ordinary(t))}}, Order{Command: []string{"/no/such/program"}}, nes.ReasonInternal},
	} {
		d := tt.depot
		d.files, d.grew = map[string]string{}, make(chan struct{}, 1)
		tt.order.Run, tt.order.Attempt, tt.order.Token = "r", 1, "t"
		dir := place(t, d, tt.order)
		require.NoError(t, Attend(t.Context(), dir, nil, quietly), name)
		require.Len(t, d.exits, 1, name)
		e := d.exits[0]
		require.Equal(t, string(tt.want), e.Reason, name)
		require.True(t, e.Inferred && e.Unstarted, name)
		require.NotEmpty(t, e.Message)
		require.FileExists(t, filepath.Join(dir, DoneFile))
		require.Zero(t, Process(dir))
	}
}

// TestAnAttemptThatIsSupersededIsDoneWith, without a word to the server that does not want one.
func TestAnAttemptThatIsSupersededIsDoneWith(t *testing.T) {
	t.Parallel()
	d := &depot{launches: []error{nes.Errorf(nes.CodeConflict, "attempt 1 is over")}}
	dir := place(t, d, Order{Run: "r", Attempt: 1, Token: "t"})
	require.NoError(t, Attend(t.Context(), dir, nil, quietly))
	require.Empty(t, d.exits)
	require.FileExists(t, filepath.Join(dir, DoneFile))
}

// TestAnAttemptThatIsToEndBeforeItBegan reports that nothing was started, and starts nothing.
func TestAnAttemptThatIsToEndBeforeItBegan(t *testing.T) {
	t.Parallel()
	finish := make(chan struct{})
	close(finish)
	d := &depot{bundles: []func() (io.ReadCloser, error){whole(ordinary(t))}}
	d.files, d.grew = map[string]string{}, make(chan struct{}, 1)
	dir := place(t, d, Order{Run: "r", Attempt: 1, Token: "t", Command: []string{"/no/such/program"}})
	require.NoError(t, Attend(t.Context(), dir, finish, quietly))
	require.Len(t, d.exits, 1)
	require.True(t, d.exits[0].Unstarted)
	require.Empty(t, d.exits[0].Reason)
}

// TestOneAgentAttendsToAnAttempt: a second one returns at once and leaves no word that the attempt is done.
func TestOneAgentAttendsToAnAttempt(t *testing.T) {
	t.Parallel()
	d := &depot{}
	dir := place(t, d, Order{})
	require.Zero(t, Process(dir), "none lives yet")
	held, err := claim(filepath.Join(dir, AliveFile))
	require.NoError(t, err)
	require.Equal(t, os.Getpid(), Process(dir))
	require.NoError(t, Attend(t.Context(), dir, nil, quietly))
	require.Zero(t, d.told)
	require.NoFileExists(t, filepath.Join(dir, DoneFile))
	require.NoError(t, held.Truncate(0))
	require.Equal(t, -1, Process(dir), "it lives, and has not said its id")
	require.NoError(t, held.Close())
	require.Zero(t, Process(dir))
	_, err = claim(filepath.Join(dir, "none", AliveFile))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestWhoOnlyLooksDoesNotKeepAnAgentFromItsAttempt: a look takes the lock for a moment.
func TestWhoOnlyLooksDoesNotKeepAnAgentFromItsAttempt(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "lock")
	f, err := os.Create(name)
	require.NoError(t, err)
	require.NoError(t, flock(f, syscall.LOCK_SH))
	go func() {
		time.Sleep(20 * time.Millisecond)
		f.Close()
	}()
	held, err := claim(name)
	require.NoError(t, err)
	require.NotNil(t, held)
	require.NoError(t, held.Close())
}

// TestAnOrderThatCannotBeReadIsAnError that says which file, and the attempt is not done with.
func TestAnOrderThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", "[]", `{"attempt":"one"}`} {
		dir := place(t, &depot{}, Order{})
		require.NoError(t, os.WriteFile(filepath.Join(dir, OrderFile), []byte(text), 0o600))
		require.ErrorContains(t, Attend(t.Context(), dir, nil, quietly), "order", text)
		require.NoFileExists(t, filepath.Join(dir, DoneFile))
	}
	_, err := ReadOrder(t.TempDir())
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorIs(t, Attend(t.Context(), t.TempDir(), nil, quietly), os.ErrNotExist)
}

// TestTheNotebooksEnvironment has the run's secrets and marks, and nothing that NES was told for itself.
func TestTheNotebooksEnvironment(t *testing.T) {
	t.Setenv("NES_TOKEN", "of the server")
	t.Setenv("NES_LEDGER", "postgres://user:password@host/db")
	t.Setenv("OTHER", "kept")
	a := &attendant{order: Order{Run: "r", Attempt: 3, Secrets: map[string]nes.Secret{"DB": {Ref: "warehouse"}}}}
	_, err := a.environment()
	require.Equal(t, nes.ReasonAdmissionRejected, nes.ReasonOf(err), "nobody gave it")
	require.ErrorContains(t, err, `the secret "warehouse"`)
	name, value, _ := strings.Cut(Given("DB", "password of the run"), "=")
	t.Setenv(name, value)
	env, err := a.environment()
	require.NoError(t, err)
	require.Contains(t, env, "OTHER=kept")
	require.Contains(t, env, "DB=password of the run")
	var own []string
	for _, kv := range env {
		if strings.HasPrefix(kv, "NES_") {
			own = append(own, kv)
		}
	}
	require.Equal(t, []string{"NES_RUN_ID=r", "NES_ATTEMPT=3"}, own)
	require.Equal(t, own, Marks("r", 3))
}

// TestTheServersAddressIsReadAnew, because a server may come back elsewhere.
func TestTheServersAddressIsReadAnew(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "server")
	server := FromFile(name)
	_, err := server()
	require.ErrorIs(t, err, os.ErrNotExist)
	for _, at := range []string{"http://127.0.0.1:1", "http://127.0.0.1:2"} {
		require.NoError(t, os.WriteFile(name, []byte(" "+at+"\n"), 0o600))
		got, err := server()
		require.NoError(t, err)
		require.Equal(t, at, got)
	}
}

func TestTheCommandLine(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte("secret\n"), 0o600))
	f, dir, err := parse("watch", []string{"-server", "http://x", "-run", "r", "-attempt", "4", "-token-file", token, "DIR"})
	require.NoError(t, err)
	require.Equal(t, "DIR", dir)
	require.Equal(t, flags{server: "http://x", run: "r", attempt: 4, tokenFile: token}, f)
	c, err := f.config(dir, quietly)
	require.NoError(t, err)
	require.Equal(t, "DIR", c.Dir)
	require.NotNil(t, c.Finish)
	c.Client.Close()
	f.tokenFile = token + ".none"
	_, err = f.config(dir, quietly)
	require.ErrorIs(t, err, os.ErrNotExist)
	for _, args := range [][]string{{}, {"a", "b"}, {"-what", "DIR"}, {"-attempt", "x", "DIR"}, {"-run"}, {"-h"}} {
		_, _, err := parse("watch", args)
		require.ErrorIs(t, err, errUsage, args)
	}
	require.ErrorIs(t, dispatch("frobnicate", []string{"DIR"}, quietly), errUsage)
	require.ErrorIs(t, dispatch("fetch", []string{"-token-file", token + ".none", "DIR"}, quietly), os.ErrNotExist)
	err = dispatch("watch", []string{"-token-file", token, filepath.Join(t.TempDir(), "none")}, quietly)
	require.ErrorContains(t, err, "open the work volume")
}

// asAgent is the variable by which the test program is told to be the agent.
const asAgent = "AGENT_TEST_ARGS"

// TestMain is the agent itself, where it is told so.
func TestMain(m *testing.M) {
	if args, ok := os.LookupEnv(asAgent); ok {
		os.Exit(Main(strings.Fields(args)))
	}
	os.Exit(m.Run())
}

// TestExitCodesOfTheProgram: 2 for who calls it wrongly, 1 for what went wrong, and a sentence for both.
func TestExitCodesOfTheProgram(t *testing.T) {
	t.Parallel()
	for args, tt := range map[string]struct {
		code int
		says string
	}{
		"":                    {2, "usage:"},
		"frobnicate x":        {2, "usage:"},
		"watch":               {2, "usage:"},
		"fetch -h":            {2, "usage:"},
		"fetch -attempt no x": {2, "usage:"},
		"watch x":             {1, "read the token"},
		"attend /nowhere":     {1, "/nowhere/agent/alive.lock"},
		"exec /nowhere":       {1, "nowhere"},
	} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asAgent+"="+args)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		require.True(t, errors.As(err, &exit), "%q: %v", args, err)
		require.Equal(t, tt.code, exit.ExitCode(), "%q: %s", args, out)
		require.Contains(t, string(out), tt.says, args)
	}
}

// TestAnAgentKnowsItsOwnProcess by what it writes into its lock.
func TestAnAgentKnowsItsOwnProcess(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "lock")
	require.NoError(t, os.WriteFile(name, []byte("9999999999"), 0o600))
	f, err := claim(name)
	require.NoError(t, err)
	defer f.Close()
	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(os.Getpid()), string(raw), "not the end of what was there")
}
