package gitsource_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/gitsource"
)

// TestNoSpellingReachesAPrivateAddress dials what names this machine, its network or the cloud's metadata
// by every spelling of an address. Nothing but a refusal may come of it.
func TestNoSpellingReachesAPrivateAddress(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(server.URL, "http://"))
	require.NoError(t, err)
	c := newClient(t, gitsource.Options{})
	for name, hosts := range map[string]string{
		"loopback": "127.0.0.1 127.1.2.3 [::1] [0:0:0:0:0:0:0:1] localhost LOCALHOST 0.0.0.0 [::]",
		"mapped":   "[::ffff:127.0.0.1] [::ffff:7f00:1] [0:0:0:0:0:ffff:127.0.0.1] [::FFFF:a9fe:a9fe] [::127.0.0.1]",
		"metadata": "169.254.169.254 [fd00:ec2::254] 100.100.100.200 192.0.0.192",
		"private":  "10.0.0.1 172.16.0.1 172.31.255.254 192.168.0.1 100.64.0.1 [fc00::1] [fe80::1] [fe80::1%25lo] [fec0::1]",
		"embedded": "[64:ff9b::127.0.0.1] [64:ff9b::a9fe:a9fe] [64:ff9b:1::1] [2002:7f00:1::] [2001:0:7f00:1::] [2001:db8::1]",
		"to many":  "255.255.255.255 224.0.0.1 [ff02::1] 240.0.0.1",
	} {
		for _, host := range strings.Fields(hosts) {
			err := resolveURL(t, c, "http://"+host+":"+port+"/a/b/blob/main/a.ipynb")
			require.Error(t, err, "%s: %s", name, host)
		}
	}
	require.Zero(t, reached.Load())
}

// resolveURL asks for the refs of what an address names, where it is one.
func resolveURL(t *testing.T, c *gitsource.Client, url string) error {
	t.Helper()
	a, err := gitsource.Parse(url)
	if err != nil {
		return err
	}
	_, err = c.Resolve(t.Context(), a)
	return err
}

// TestRefusalsNameTheirCause: an address that is spelled as one is refused for where it leads, before any packet.
func TestRefusalsNameTheirCause(t *testing.T) {
	t.Parallel()
	c := newClient(t, gitsource.Options{})
	for _, host := range strings.Fields("127.0.0.1 [::1] [::ffff:127.0.0.1] 169.254.169.254 10.0.0.1 100.64.0.1 0.0.0.0 [64:ff9b::a9fe:a9fe] localhost") {
		err := resolveURL(t, c, "http://"+host+":9/a/b/blob/main/a.ipynb")
		require.Equal(t, nes.ReasonSourceForbidden, nes.ReasonOf(err), "%s: %v", host, err)
		require.ErrorContains(t, err, "not public", host)
	}
}

// TestRedirectsToPrivateAddresses: the first server is allowed, and what it points at is not.
func TestRedirectsToPrivateAddresses(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	var to atomic.Value
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, to.Load().(string)+"/a/b.git/info/refs?service=git-upload-pack", http.StatusTemporaryRedirect)
	}))
	t.Cleanup(door.Close)
	c := newClient(t, gitsource.Options{Reach: gitsource.Reach{AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}})
	for i, host := range strings.Fields("169.254.169.254 127.0.0.2 [::1] [::ffff:10.0.0.1] [::ffff:7f00:2] 0.0.0.0 100.64.0.1 [fe80::1] [fd00:ec2::254]") {
		to.Store("http://" + host + ":9")
		err := resolveURL(t, c, door.URL+"/a/b/blob/main/a.ipynb")
		require.Equal(t, nes.ReasonSourceForbidden, nes.ReasonOf(err), "%s: %v", host, err)
		require.EqualValues(t, i+1, asked.Load())
	}
}

func TestResolveEndsWithItsContext(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	a, err := gitsource.Parse(server.URL + "/a/b/blob/main/a.ipynb")
	require.NoError(t, err)
	_, err = newClient(t, gitsource.Options{Reach: gitsource.Reach{AllowLoopback: true}}).Resolve(ctx, a)
	require.Equal(t, nes.ReasonSourceUnavailable, nes.ReasonOf(err))
	require.ErrorContains(t, err, "called off")
}
