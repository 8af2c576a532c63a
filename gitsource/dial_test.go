package gitsource

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

func TestReach(t *testing.T) {
	t.Parallel()
	refused := strings.Fields(`
		127.0.0.1 127.1.2.3 127.255.255.255 ::1 ::ffff:127.0.0.1 0.0.0.0 0.1.2.3 :: ::ffff:0.0.0.0
		10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 ::ffff:10.0.0.1 ::ffff:192.168.1.1 fc00::1 fd12:3456::1
		169.254.169.254 ::ffff:169.254.169.254 169.254.0.1 fe80::1 fe80::1%eth0 fec0::1 100.64.0.1 100.127.255.254
		192.0.0.1 192.0.0.170 192.0.2.1 192.88.99.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1
		224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 ff02::1 ff0e::1
		64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 ::7f00:1 2002:7f00:1:: 2002:a9fe:a9fe:: 2001::1 2001:0:7f00:1:: 2001:db8::1 100::1 2606:4700::1%eth0`)
	for _, ip := range refused {
		_, is := errors.AsType[*addressError](Reach{}.Check(netip.MustParseAddr(ip)))
		require.True(t, is, ip)
	}
	for _, ip := range strings.Fields("140.82.121.3 8.8.8.8 172.32.0.1 100.128.0.1 198.20.0.1 ::ffff:8.8.8.8 2606:50c0:8000::154 2a04:4e42::81") {
		require.NoError(t, Reach{}.Check(netip.MustParseAddr(ip)), ip)
	}
	allow := Reach{AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")}}
	for _, ip := range []string{"10.1.2.3", "::ffff:10.1.2.3", "fd00::1"} {
		require.NoError(t, allow.Check(netip.MustParseAddr(ip)), ip)
	}
	for _, ip := range []string{"10.2.0.1", "127.0.0.1", "fc00::1"} {
		require.Error(t, allow.Check(netip.MustParseAddr(ip)), ip)
	}
	loopback := Reach{AllowLoopback: true}
	require.NoError(t, loopback.Check(netip.MustParseAddr("127.0.0.1")))
	require.NoError(t, loopback.Check(netip.MustParseAddr("::1")))
	require.Error(t, loopback.Check(netip.MustParseAddr("10.0.0.1")))
	require.Error(t, loopback.Check(netip.MustParseAddr("0.0.0.0")))
}

// TestNumbersAreNoAddresses: what other programs read as an address (decimal, octal, hexadecimal, with fewer
// parts, with a final dot) is a name here, and what a name resolves to is checked like everything that is dialled.
func TestNumbersAreNoAddresses(t *testing.T) {
	t.Parallel()
	d := Reach{}.dialer()
	d.Resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("nobody resolves names here")
	}}
	for host := range strings.FieldsSeq(`2130706433 0x7f000001 0x7f.0.0.1 0177.0.0.1 017700000001 127.1 127.0.1 00127.0.0.1 127.0.0.01
		2852039166 0xa9fea9fe 0251.0376.0251.0376 127.0.0.1. 169.254.169.254. 0`) {
		_, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort(host, "9"))
		_, isName := errors.AsType[*net.DNSError](err)
		require.True(t, isName, "%s: %v", host, err)
	}
	for _, address := range []string{"127.0.0.1:9", "[::ffff:127.0.0.1]:9", "[::1]:9", "169.254.169.254:9", "[fe80::1%lo]:9", "0.0.0.0:9"} {
		_, err := d.DialContext(t.Context(), "tcp", address)
		_, refused := errors.AsType[*addressError](err)
		require.True(t, refused, "%s: %v", address, err)
		require.ErrorContains(t, err, "is not a public address")
	}
}

func TestCheckRedirect(t *testing.T) {
	t.Parallel()
	request := func(method, url string) *http.Request {
		r, err := http.NewRequest(method, url, nil)
		require.NoError(t, err)
		return r
	}
	require.NoError(t, checkRedirect(request("GET", "https://b"), []*http.Request{request("GET", "https://a")}))
	require.NoError(t, checkRedirect(request("GET", "https://b"), []*http.Request{request("GET", "http://a")}))
	require.Error(t, checkRedirect(request("GET", "http://b"), []*http.Request{request("GET", "https://a")}))
	require.Error(t, checkRedirect(request("GET", "http://b"), []*http.Request{request("GET", "http://a"), request("GET", "https://a")}))
	require.Error(t, checkRedirect(request("POST", "https://b"), []*http.Request{request("POST", "https://a")}))
	require.Error(t, checkRedirect(request("GET", "gopher://b"), []*http.Request{request("GET", "https://a")}))
}

func TestSplitSSH(t *testing.T) {
	t.Parallel()
	for clone, want := range map[string][3]string{
		"ssh://git@h.example.com/a/b.git":      {"git", "h.example.com:22", "/a/b.git"},
		"ssh://h.example.com:2222/a/b%20c.git": {"git", "h.example.com:2222", "/a/b c.git"},
		"ssh://ada@[::1]:2222/a.git":           {"ada", "[::1]:2222", "/a.git"},
		"git@h.example.com:a/b.git":            {"git", "h.example.com:22", "a/b.git"},
		"git@[::1]:a/b.git":                    {"git", "[::1]:22", "a/b.git"},
	} {
		user, addr, path, err := splitSSH(clone)
		require.NoError(t, err)
		require.Equal(t, want, [3]string{user, addr, path})
	}
}

func TestCapped(t *testing.T) {
	t.Parallel()
	b, err := io.ReadAll(&capped{strings.NewReader("12345"), 6})
	require.NoError(t, err)
	require.Equal(t, "12345", string(b))
	b, err = io.ReadAll(&capped{strings.NewReader("12345"), 3})
	require.ErrorIs(t, err, errLimit)
	require.Equal(t, "123", string(b))
}

func TestResolve(t *testing.T) {
	t.Parallel()
	adv := someRefs()
	adv.tags["v1.0"] = tip{hash: strings.Repeat("a", 40), commit: strings.Repeat("b", 40)}
	adv.other = tip{strings.Repeat("c", 40), strings.Repeat("c", 40)}
	at := func(ref string) (Resolved, error) {
		return resolve(Address{Repository: "h/a", Ref: ref, Path: "a.ipynb"}, adv, 50)
	}
	r, err := at("v1.0")
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("b", 40), r.Commit, "a tag means its commit")
	require.Equal(t, []try{{Wants: []string{strings.Repeat("a", 40)}, Depth: 1}}, r.tries, "and the server is asked for the tag")
	r, err = at(strings.Repeat("c", 40))
	require.NoError(t, err)
	require.Len(t, r.tries, 1, "the tip of any ref can be asked for")

	unknown := strings.Repeat("d", 40)
	r, err = at(unknown)
	require.NoError(t, err)
	require.Equal(t, 50, r.tries[0].Depth)
	require.Zero(t, r.tries[1].Depth)
	adv.caps["allow-reachable-sha1-in-want"] = ""
	r, err = at(unknown)
	require.NoError(t, err)
	require.Equal(t, try{Wants: []string{unknown}, Depth: 1}, r.tries[0], "the server says that it gives any commit")

	_, err = at("mian")
	require.Equal(t, nes.ReasonSourceNotFound, nes.ReasonOf(err))
	require.ErrorContains(t, err, "nearest: main")
	delete(adv.heads, "main")
	adv.head = tip{}
	_, err = at("")
	require.ErrorContains(t, err, "default branch")
}

func FuzzReadAdvertisement(f *testing.F) {
	f.Add([]byte("001e# service=git-upload-pack\n0000004895dcfa3633004da0049d3d0fa03f80589cbcaf31 HEAD\x00symref=HEAD:refs/heads/x\n0000"))
	f.Add([]byte("000eversion 1\n0000"))
	f.Add([]byte("0009ERR x0000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := readAdvertisement(&capped{strings.NewReader(string(b)), 1 << 16}, sha40)
		if err != nil {
			return
		}
		for name, tip := range a.heads {
			_, ok := a.find(name, SpaceBranch)
			require.True(t, ok)
			require.True(t, fullCommit.MatchString(tip.commit))
		}
		_, _ = resolve(Address{Repository: "h/a", RefPath: "x/y/a.ipynb"}, a, 10)
	})
}
