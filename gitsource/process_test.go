package gitsource

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func shell(t *testing.T, script string) child {
	t.Helper()
	return child{command: []string{"/bin/sh", "-c", script}, dir: t.TempDir(), order: []byte("hello"), memory: 1 << 30, limit: time.Minute}
}

func TestChildGetsItsOrderAndNothingElse(t *testing.T) {
	t.Parallel()
	end := runChild(t.Context(), shell(t, `head -c 5; pwd; env; echo words >&2`))
	require.NoError(t, end.err)
	require.Equal(t, "words", end.stderr)
	out := string(end.stdout)
	require.True(t, strings.HasPrefix(out, "hello/"), out)
	for line := range strings.Lines(out[strings.Index(out, "\n")+1:]) {
		name, _, _ := strings.Cut(line, "=")
		require.Contains(t, []string{"GOMEMLIMIT", "GOMAXPROCS", "GOTRACEBACK", "TMPDIR", "HOME", "PATH", "PWD", "SSL_CERT_FILE", "SSL_CERT_DIR", "GODEBUG", "GOCOVERDIR", "_", "OLDPWD", "SHLVL"}, name)
	}
}

func TestChildIsKilledWithItsChildren(t *testing.T) {
	t.Parallel()
	c := shell(t, `sleep 1000 & echo $! > grandchild; wait`)
	c.limit = 300 * time.Millisecond
	end := runChild(t.Context(), c)
	require.True(t, end.tooLong)
	require.False(t, end.tooMuchMemory)
	text, err := os.ReadFile(filepath.Join(c.dir, "grandchild"))
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return !alive(pid) }, 10*time.Second, 5*time.Millisecond)
}

// alive reports whether a process runs; one that is dead and not yet collected does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestChildIsKilledForItsMemory(t *testing.T) {
	t.Parallel()
	c := shell(t, `mkfifo p; head -c 500000000 /dev/zero > p & exec tail -c 400000000 p`) // tail holds what it may have to print
	c.memory = 32 << 20
	end := runChild(t.Context(), c)
	require.True(t, end.tooMuchMemory)
	require.False(t, end.tooLong)
	require.Greater(t, end.peak, int64(32<<20))
	require.Less(t, end.peak, int64(400_000_000))
}

func TestChildThatSaysTooMuch(t *testing.T) {
	t.Parallel()
	end := runChild(t.Context(), shell(t, `yes | head -c 3000000; yes | head -c 100000 >&2`))
	require.Error(t, end.err)
	require.LessOrEqual(t, len(end.stdout), 1<<20)
	require.LessOrEqual(t, len(end.stderr), 1024)
}

func TestChildThatCannotStart(t *testing.T) {
	t.Parallel()
	end := runChild(t.Context(), child{command: []string{"/does/not/exist"}, dir: t.TempDir(), memory: 1 << 30, limit: time.Minute})
	require.Error(t, end.err)
	_, err := readReport(end, "", Resolved{Address: Address{Repository: "h/a"}})
	require.ErrorContains(t, err, "h/a")
}

func TestOnlyWholeCommitsAreBelieved(t *testing.T) {
	t.Parallel()
	for _, text := range []string{``, `{`, `{"commit":"abc"}`, `{"commit":"../../../etc/passwd"}`, `{}`} {
		_, err := readReport(ending{stdout: []byte(text)}, "", Resolved{Address: Address{Repository: "h/a"}})
		require.Error(t, err, text)
	}
	tree, err := readReport(ending{stdout: []byte(`{"commit":"` + sha40 + `","notes":["x"]}`)}, "/d", Resolved{})
	require.NoError(t, err)
	require.Equal(t, &Tree{Commit: sha40, Notes: []string{"x"}, dir: "/d"}, tree)
}
