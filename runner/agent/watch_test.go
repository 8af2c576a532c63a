package agent

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"

	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/agentapi"
	"github.com/nes-run/nes/runner/journal"
)

// office is the server's side, kept in memory, whose answers the test can bend.
type office struct {
	mu      sync.Mutex
	journal []byte
	files   map[string]string
	exits   []journal.Exit
	posts   int
	grew    chan struct{} // holds one when something came

	// answer changes what is said to a journal call; nil changes nothing.
	answer func(o *office, p *agentapi.Pace) error
	// putFile refuses files; nil takes all.
	putFile func(name string) error
}

func (o *office) Launch(context.Context, agentapi.Caller) (journal.Launch, error) {
	return journal.Launch{V: 1}, nil
}

func (o *office) Bundle(context.Context, agentapi.Caller) (io.ReadCloser, error) {
	return nil, nes.Errorf(nes.CodeInternal, "not asked for here")
}

func (o *office) Journal(_ context.Context, _ agentapi.Caller, offset int64, body io.Reader) (agentapi.Pace, error) {
	raw, err := io.ReadAll(body)
	if err != nil {
		return agentapi.Pace{}, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.tell()
	o.posts++
	if have := int64(len(o.journal)); offset <= have && offset+int64(len(raw)) > have {
		o.journal = append(o.journal, raw[have-offset:]...)
	}
	p := agentapi.Pace{Offset: int64(len(o.journal)), EveryMS: 10}
	if o.answer != nil {
		err = o.answer(o, &p)
	}
	return p, err
}

func (o *office) PutFile(_ context.Context, _ agentapi.Caller, name, _ string, body io.Reader) error {
	raw, err := io.ReadAll(body)
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.tell()
	if o.putFile != nil {
		err = o.putFile(name)
	}
	if err == nil {
		o.files[name] = string(raw)
	}
	return err
}

func (o *office) Exit(_ context.Context, _ agentapi.Caller, e journal.Exit) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.exits = append(o.exits, e)
	return nil
}

func (o *office) tell() {
	select {
	case o.grew <- struct{}{}:
	default:
	}
}

// until waits until ok holds of what came.
func (o *office) until(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		o.mu.Lock()
		is := ok()
		o.mu.Unlock()
		if is {
			return
		}
		select {
		case <-o.grew:
		case <-deadline:
			require.FailNow(t, "it does not come")
		}
	}
}

// watched is an attempt whose notebook the test is.
type watched struct {
	t      *testing.T
	dir    string
	office *office
	server *httptest.Server
	lock   *os.File // of exec
	ended  chan error
}

// watch begins to watch an attempt whose exec has begun.
func watch(t *testing.T, o *office) *watched {
	t.Helper()
	_, dir := volume(t)
	for _, sub := range []string{journal.BlobDir, journal.OutputDir} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, sub), 0o755))
	}
	lock, err := os.Create(filepath.Join(dir, journal.LockFile))
	require.NoError(t, err)
	require.NoError(t, flock(lock, syscall.LOCK_EX))
	t.Cleanup(func() { lock.Close() })
	o.files, o.grew = map[string]string{}, make(chan struct{}, 1)
	w := &watched{t: t, dir: dir, lock: lock, office: o, ended: make(chan error, 1)}
	w.server = httptest.NewServer(agentapi.NewHandler(o, slog.New(slog.DiscardHandler)))
	t.Cleanup(func() { w.server.Close() })
	w.start()
	return w
}

func (w *watched) start() {
	client := agentapi.NewClient(agentapi.Options{
		Server: func() (string, error) { return w.server.URL, nil }, Run: "r", Attempt: 1, Token: "t", Log: slog.New(slog.DiscardHandler),
		MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond,
	})
	w.t.Cleanup(client.Close)
	go func() {
		w.ended <- Watch(w.t.Context(), Config{Dir: w.dir, Client: client, Log: slog.New(slog.DiscardHandler)})
	}()
}

func (w *watched) write(name, body string) {
	w.t.Helper()
	f, err := os.OpenFile(filepath.Join(w.dir, name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	require.NoError(w.t, err)
	_, err = f.WriteString(body)
	require.NoError(w.t, err)
	require.NoError(w.t, f.Close())
}

// end lets exec die, after its marker, and returns what the watch came to.
func (w *watched) end(marker string) error {
	w.t.Helper()
	if marker != "" {
		require.NoError(w.t, os.RemoveAll(filepath.Join(w.dir, journal.ExitFile)))
		w.write(journal.ExitFile, marker)
	}
	require.NoError(w.t, w.lock.Close())
	select {
	case err := <-w.ended:
		return err
	case <-time.After(30 * time.Second):
		require.FailNow(w.t, "the watch does not end")
		return nil
	}
}

const marker = `{"v":1,"reason":"","code":0,"at":1}`

func TestWatchRelaysEverythingInOrder(t *testing.T) {
	t.Parallel()
	w := watch(t, &office{})
	w.write(journal.InputFile, "{}")
	w.write(journal.JournalFile, "one\n")
	w.office.until(t, func() bool { return string(w.office.journal) == "one\n" && w.office.files["input.ipynb"] == "{}" })
	w.write(journal.OutputDir+"/표 1.csv", "a,b")
	w.write(journal.JournalFile, strings.Repeat("x", 9<<20)+"\nlast")
	w.write(journal.LogFile, "the driver's words")
	require.NoError(t, w.end(marker))
	require.Equal(t, "one\n"+strings.Repeat("x", 9<<20)+"\nlast", string(w.office.journal), "more than one call holds")
	require.Equal(t, map[string]string{"input.ipynb": "{}", "outputs/표 1.csv": "a,b", "log.txt": "the driver's words"}, w.office.files)
	require.Len(t, w.office.exits, 1)
	require.False(t, w.office.exits[0].Inferred)
}

// TestWatchGoesOnWhereTheServerIs: what a server that came back has may be less or more than was acknowledged.
func TestWatchGoesOnWhereTheServerIs(t *testing.T) {
	t.Parallel()
	const all = "0123456789\nabcdefghij\nlast\n"
	for name, after := range map[string]string{"behind": all[:4], "at nothing": "", "beyond": all[:22], "where it was": all[:11]} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t, &office{})
			w.write(journal.JournalFile, all[:11])
			w.office.until(t, func() bool { return len(w.office.journal) == 11 })
			w.office.mu.Lock()
			w.office.journal = []byte(after)
			w.office.mu.Unlock()
			w.write(journal.JournalFile, all[11:])
			require.NoError(t, w.end(marker))
			require.Equal(t, all, string(w.office.journal), "nothing is lost or doubled")
		})
	}
}

func TestWatchOutlastsServersThatFail(t *testing.T) {
	t.Parallel()
	failures := 5
	w := watch(t, &office{answer: func(_ *office, _ *agentapi.Pace) error {
		if failures--; failures >= 0 {
			return nes.Errorf(nes.CodeUnavailable, "the bytes are stored, and the answer is not given")
		}
		return nil
	}})
	w.write(journal.JournalFile, "one\n")
	w.office.until(t, func() bool { return w.office.posts > 6 })
	w.server.CloseClientConnections()
	w.write(journal.JournalFile, "two\n")
	require.NoError(t, w.end(marker))
	require.Equal(t, "one\ntwo\n", string(w.office.journal))
}

// TestWatchIsNotHeldUpByWhatTheNotebookPlants puts pipes, links and directories where files are expected.
func TestWatchIsNotHeldUpByWhatTheNotebookPlants(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("a secret of the agent's machine"), 0o600))
	plants := map[string]func(path string) error{
		"pipe":      func(p string) error { return syscall.Mkfifo(p, 0o644) },
		"link":      func(p string) error { return os.Symlink(secret, p) },
		"directory": func(p string) error { return os.MkdirAll(filepath.Join(p, "sub"), 0o755) },
		"loop":      func(p string) error { return os.Symlink(filepath.Base(p), p) },
	}
	for name, plant := range plants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t, &office{})
			w.write(journal.InputFile, "{}")
			w.write(journal.JournalFile, "kept\n")
			w.office.until(t, func() bool { return len(w.office.journal) == 5 })
			for _, file := range []string{
				journal.JournalFile, journal.InputFile, journal.LogFile, journal.ExitFile, journal.ControlFile, journal.LaunchFile,
				journal.OutputDir + "/planted", journal.BlobDir + "/" + strings.Repeat("a", 64),
			} {
				require.NoError(t, os.RemoveAll(filepath.Join(w.dir, file)))
				require.NoError(t, plant(filepath.Join(w.dir, file)))
			}
			w.write(journal.OutputDir+"/good.txt", "good")
			require.NoError(t, w.end(""))
			require.Equal(t, "kept\n", string(w.office.journal))
			require.Equal(t, map[string]string{"input.ipynb": "{}", "outputs/good.txt": "good"}, w.office.files)
			require.True(t, w.office.exits[0].Inferred, "no marker is to be believed")
			require.False(t, w.office.exits[0].Unstarted)
		})
	}
}

// TestDirectoriesThatAreLinksAreNotFollowed: the whole of outputs leads elsewhere.
func TestDirectoriesThatAreLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(elsewhere, "secret"), []byte("x"), 0o600))
	w := watch(t, &office{})
	for _, dir := range []string{journal.OutputDir, journal.BlobDir} {
		require.NoError(t, os.RemoveAll(filepath.Join(w.dir, dir)))
		require.NoError(t, os.Symlink(elsewhere, filepath.Join(w.dir, dir)))
	}
	w.write(journal.JournalFile, "one\n")
	require.NoError(t, w.end(marker))
	require.Empty(t, w.office.files)
	require.Equal(t, "one\n", string(w.office.journal))
}

func TestFilesThatAreTooLargeCostOnlyThemselves(t *testing.T) {
	t.Parallel()
	w := watch(t, &office{putFile: func(name string) error {
		if name == "outputs/refused" {
			return nes.Errorf(nes.CodeTooLarge, "too large")
		}
		return nil
	}})
	sparse := func(name string) { // holds no byte on the disk
		require.NoError(t, os.WriteFile(filepath.Join(w.dir, name), nil, 0o644))
		require.NoError(t, os.Truncate(filepath.Join(w.dir, name), journal.MaxBlob+1))
	}
	sparse(journal.OutputDir + "/huge")
	sparse(journal.BlobDir + "/" + strings.Repeat("b", 64))
	w.write(journal.OutputDir+"/refused", "r")
	w.write(journal.OutputDir+"/small", "s")
	w.write(journal.BlobDir+"/"+strings.Repeat("c", 64), "not what its name says")
	w.write(journal.JournalFile, "one\n")
	require.NoError(t, w.end(marker))
	require.Equal(t, map[string]string{"outputs/small": "s"}, w.office.files)
	require.Equal(t, "one\n", string(w.office.journal))
}

func TestSideFilesStopAtTheirLimit(t *testing.T) {
	t.Parallel()
	w := watch(t, &office{})
	w.write(journal.LaunchFile, `{"v":1,"limits":{"files":10}}`)
	for _, name := range []string{"a", "b", "c"} {
		w.write(journal.OutputDir+"/"+name, "12345")
	}
	require.NoError(t, w.end(marker))
	require.Equal(t, map[string]string{"outputs/a": "12345", "outputs/b": "12345"}, w.office.files)
}

// TestOutputTooLarge: the server takes no more, exec is told to end, and the end is reported all the same.
func TestOutputTooLarge(t *testing.T) {
	t.Parallel()
	w := watch(t, &office{answer: func(o *office, _ *agentapi.Pace) error {
		if len(o.journal) > 4 {
			o.journal = o.journal[:4]
			return &nes.Error{Code: nes.CodeTooLarge, Reason: nes.ReasonOutputTooLarge, Message: "the journal is larger than may be stored"}
		}
		return nil
	}})
	w.write(journal.JournalFile, "one\n")
	w.office.until(t, func() bool { return len(w.office.journal) == 4 })
	w.write(journal.JournalFile, "two\n")
	posts := 0
	w.office.until(t, func() bool { posts = w.office.posts; return controlOf(w.dir).Cancel })
	require.Equal(t, string(nes.ReasonOutputTooLarge), controlOf(w.dir).Reason)
	w.office.until(t, func() bool { return w.office.posts > posts+3 }) // it goes on giving signs of life
	require.NoError(t, w.end(`{"v":1,"reason":"OutputTooLarge","code":0,"at":1}`))
	require.Equal(t, "one\n", string(w.office.journal))
	require.Equal(t, "OutputTooLarge", w.office.exits[0].Reason)
}

func controlOf(dir string) (c journal.Control) {
	raw, err := os.ReadFile(filepath.Join(dir, journal.ControlFile))
	if err == nil {
		_ = json.Unmarshal(raw, &c)
	}
	return c
}

// TestCancelIsPassedOnOnce: what exec was told first stands.
func TestCancelIsPassedOnOnce(t *testing.T) {
	t.Parallel()
	w := watch(t, &office{answer: func(o *office, p *agentapi.Pace) error {
		p.Cancel, p.Reason, p.Why = true, "Cancelled", "by kim"
		if o.posts > 1 {
			p.Reason = "DeadlineExceeded"
		}
		return nil
	}})
	w.office.until(t, func() bool { return w.office.posts > 3 })
	require.NoError(t, w.end(marker))
	require.Equal(t, journal.Control{V: 1, Cancel: true, Reason: "Cancelled", Why: "by kim"}, controlOf(w.dir))
}

func TestSupersededTellsExecAndWaits(t *testing.T) {
	t.Parallel()
	w := watch(t, &office{answer: func(*office, *agentapi.Pace) error { return nes.Errorf(nes.CodeConflict, "over") }})
	w.office.until(t, func() bool { return w.office.posts > 0 })
	for !controlOf(w.dir).Cancel {
		time.Sleep(time.Millisecond) // the file is the only sign
	}
	select {
	case err := <-w.ended:
		require.Fail(t, "it left before the notebook", "%v", err)
	default:
	}
	require.ErrorIs(t, w.end(""), agentapi.ErrSuperseded)
	require.Empty(t, w.office.exits)
}
