package gcs

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	gcs "cloud.google.com/go/storage"
	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"
)

const serverRole = "NES_TEST_GCS_SERVER"

// endpoint of the store that all tests share: fake-gcs-server in a process of its own, so
// that what it holds does not count as memory of the tests.
var endpoint string

func TestMain(m *testing.M) {
	if os.Getenv(serverRole) != "" {
		serve()
		return
	}
	debug.SetGCPercent(10) // the suite measures memory, with what is not collected yet
	os.Exit(withServer(m.Run))
}

// serve is the store's process: it lives until its standard input closes.
func serve() {
	s, err := fakestorage.NewServerWithOptions(fakestorage.Options{Scheme: "http", Host: "127.0.0.1", PublicHost: "127.0.0.1"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.URL())
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.Stop()
}

func withServer(run func() int) int {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverRole+"=1")
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := cmd.Start(); err1 != nil || err2 != nil || err != nil {
		fmt.Fprintln(os.Stderr, err1, err2, err)
		return 1
	}
	defer func() {
		_ = in.Close()
		_ = cmd.Wait()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		fmt.Fprintln(os.Stderr, "the store did not start:", err)
		return 1
	}
	endpoint = strings.TrimSpace(line)
	return run()
}

// newBucket makes an empty bucket in the store.
func newBucket(t *testing.T) string {
	t.Helper()
	c, err := gcs.NewClient(t.Context(), option.WithEndpoint(endpoint+"/storage/v1/"), option.WithoutAuthentication())
	require.NoError(t, err)
	name := fmt.Sprintf("b-%d", time.Now().UnixNano())
	require.NoError(t, c.Bucket(name).Create(t.Context(), "project", nil))
	require.NoError(t, c.Close())
	return name
}

func open(t *testing.T, o Options) *Bucket {
	t.Helper()
	if o.Endpoint == "" {
		o.Endpoint = endpoint
	}
	if o.Bucket == "" {
		o.Bucket = newBucket(t)
	}
	b, err := Open(context.WithoutCancel(t.Context()), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}
