package s3

import (
	"fmt"
	"os"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/storage/s3/s3test"
)

// Servers that all tests share; nil where they cannot be had, and why.
var (
	gateway, flat *s3test.Server
	absence       error
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(10) // the suite measures memory, with what is not collected yet
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": s3test.AccessKey, "AWS_SECRET_ACCESS_KEY": s3test.SecretKey, "AWS_REGION": "us-east-1",
		"AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "",
	} {
		_ = os.Setenv(name, value) // fails for names that are none
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if gateway, absence = s3test.Start(s3test.Gateway); absence == nil {
		defer gateway.Stop()
		flat, absence = s3test.Start(s3test.Flat)
	}
	if flat != nil {
		defer flat.Stop()
	}
	if absence != nil && os.Getenv("CI") != "" {
		fmt.Fprintln(os.Stderr, absence)
		return 1
	}
	return m.Run()
}

// needServers skips a test where the servers cannot be built, which takes the module proxy.
func needServers(t *testing.T) {
	t.Helper()
	if absence != nil {
		t.Skip("no S3 server to test against:", absence)
	}
}

func newBucket(t *testing.T, s *s3test.Server) string {
	t.Helper()
	name, err := s.NewBucket(t.Context())
	require.NoError(t, err)
	return name
}

// open opens a new bucket of the gateway, where o names no other.
func open(t *testing.T, o Options) *Bucket {
	t.Helper()
	if o.Bucket == "" {
		needServers(t)
		o.Bucket = newBucket(t, gateway)
	}
	if o.Endpoint == "" {
		needServers(t)
		o.Endpoint = gateway.URL
	}
	b, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}
