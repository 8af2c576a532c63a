package gitsource

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/gitsource/gitsourcetest"
)

// TestClassify: whatever goes wrong has a reason, words for people, and keeps its cause for the log.
func TestClassify(t *testing.T) {
	t.Parallel()
	const repository = "h.example/acme/reports"
	for name, c := range map[string]struct {
		err    error
		reason nes.Reason
		says   string
	}{
		"401":             {&statusError{401}, nes.ReasonSourceForbidden, "is private or does not exist (401): NES needs a credential"},
		"403":             {&statusError{403}, nes.ReasonSourceForbidden, "may not be read (403)"},
		"404":             {&statusError{404}, nes.ReasonSourceNotFound, "there is no repository " + repository},
		"410":             {&statusError{410}, nes.ReasonSourceNotFound, "(410)"},
		"429":             {&statusError{429}, nes.ReasonSourceUnavailable, "answered 429 Too Many Requests: try again later"},
		"503":             {&statusError{503}, nes.ReasonSourceUnavailable, "answered 503 Service Unavailable"},
		"address":         {&addressError{netip.MustParseAddr("10.0.0.1")}, nes.ReasonSourceForbidden, "h.example is at an address that is not public"},
		"redirect":        {&redirectError{"a redirect to file"}, nes.ReasonSourceForbidden, "a redirect to file"},
		"no host":         {&net.DNSError{IsNotFound: true, Name: "h.example"}, nes.ReasonSourceNotFound, "there is no host h.example"},
		"busy resolver":   {&net.DNSError{IsTemporary: true, Err: "server misbehaving"}, nes.ReasonSourceUnavailable, "server misbehaving"},
		"slow resolver":   {&net.DNSError{IsTimeout: true}, nes.ReasonSourceUnavailable, "did not answer in time"},
		"refusal":         {&pktline.ErrorLine{Text: "access denied"}, nes.ReasonSourceNotFound, "refused: access denied"},
		"long refusal":    {&pktline.ErrorLine{Text: strings.Repeat("x", 500)}, nes.ReasonSourceNotFound, strings.Repeat("x", 119) + "…"},
		"limit":           {errLimit, nes.ReasonSourceTooLarge, "larger than a fetch may be"},
		"no git":          {errNotGit, nes.ReasonSourceNotFound, "no Git repository at " + repository},
		"certificate":     {&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, nes.ReasonSourceUnavailable, "the certificate of h.example is not trusted"},
		"deadline":        {context.DeadlineExceeded, nes.ReasonSourceUnavailable, "did not answer in time"},
		"cancelled":       {context.Canceled, nes.ReasonSourceUnavailable, "was called off"},
		"cut":             {io.ErrUnexpectedEOF, nes.ReasonSourceUnavailable, "could not be fetched: unexpected EOF"},
		"something else":  {errors.New("odd"), nes.ReasonSourceUnavailable, "could not be fetched: odd"},
		"long words":      {errors.New(strings.Repeat("y", 500)), nes.ReasonSourceUnavailable, strings.Repeat("y", 119) + "…"},
		"limit in a read": {fmt.Errorf("read: %w", fmt.Errorf("pack: %w", errLimit)), nes.ReasonSourceTooLarge, "larger"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, err := range []error{c.err, fmt.Errorf("Get \"https://h.example/secret\": %w", c.err)} {
				got := classify(repository, err)
				require.Equal(t, c.reason, nes.ReasonOf(got))
				require.Equal(t, nes.CodeUnprocessable, nes.CodeOf(got))
				var e *nes.Error
				require.ErrorAs(t, got, &e)
				require.Contains(t, e.Message, c.says)
				require.NotContains(t, e.Message, "secret", "layers that repeat the address are dropped")
				require.ErrorIs(t, got, c.err, "the log needs the cause")
				require.Same(t, got, classify("other", got), "what has a reason passes through")
			}
		})
	}
	require.NoError(t, classify(repository, nil))
}

func TestErrorsNameWhatTheyMean(t *testing.T) {
	t.Parallel()
	require.EqualError(t, &statusError{502}, "the server answered 502 Bad Gateway")
	require.EqualError(t, &addressError{netip.MustParseAddr("::1")}, "::1 is not a public address")
	require.EqualError(t, &redirectError{"why"}, "why")
}

func TestSplitSSHAddresses(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string][3]string{
		"ssh://git@h/a/b.git#x.ipynb":       {"git", "h:22", "/a/b.git"},
		"ssh://h/a/b.git#x.ipynb":           {"git", "h:22", "/a/b.git"},
		"ssh://me@h:2222/a/b.git#x.ipynb":   {"me", "h:2222", "/a/b.git"},
		"ssh://me@[::1]:2222/a.git#x.ipynb": {"me", "[::1]:2222", "/a.git"},
		"git@h:a/b.git#x.ipynb":             {"git", "h:22", "a/b.git"},
		"git@[2001:db8::1]:a/b.git#x.ipynb": {"git", "[2001:db8::1]:22", "a/b.git"},
		"git@h:/srv/a.git#x.ipynb":          {"git", "h:22", "/srv/a.git"},
		"git@h:it's.git#x.ipynb":            {"git", "h:22", "it's.git"},
		"ssh://git@h/%ED%95%9C.git#x.ipynb": {"git", "h:22", "/한.git"},
	} {
		a, err := Parse(raw)
		require.NoError(t, err, raw)
		user, addr, path, err := splitSSH(a.CloneURL)
		require.NoError(t, err, raw)
		require.Equal(t, want, [3]string{user, addr, path}, raw)
	}
	for _, raw := range []string{"nothing", "git@h", "ssh://[::1", "ssh://h:port/a"} {
		_, _, _, err := splitSSH(raw)
		require.Error(t, err, raw)
		_, err = newSSHRemote(raw, SSH{}, Reach{}, Limits{})
		require.Error(t, err, raw)
	}
}

// TestSSHLoginsThatCannotWork: each says which part of the server's configuration is to blame, before anything is dialled.
func TestSSHLoginsThatCannotWork(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	good := filepath.Join(dir, "good")
	signer := gitsourcetest.NewSSHKey(t, good)
	hosts := filepath.Join(dir, "hosts")
	gitsourcetest.WriteKnownHosts(t, hosts, "h.example:22", signer.PublicKey())
	for name, c := range map[string]struct {
		login SSH
		says  string
	}{
		"nothing":           {SSH{}, "use the https address"},
		"no known hosts":    {SSH{KeyFile: good}, "use the https address"},
		"no key":            {SSH{KnownHosts: hosts}, "use the https address"},
		"absent key":        {SSH{KeyFile: filepath.Join(dir, "none"), KnownHosts: hosts}, "cannot be read"},
		"no key in it":      {SSH{KeyFile: write("empty", ""), KnownHosts: hosts}, "must have no passphrase"},
		"public key":        {SSH{KeyFile: write("pub", string(ssh.MarshalAuthorizedKey(signer.PublicKey()))), KnownHosts: hosts}, "must have no passphrase"},
		"absent hosts":      {SSH{KeyFile: good, KnownHosts: filepath.Join(dir, "none")}, "known hosts of this server cannot be read"},
		"hosts are nothing": {SSH{KeyFile: good, KnownHosts: write("nonsense", "h.example nonsense\n")}, "known hosts of this server cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &sshRemote{addr: "h.example:22", login: c.login, limits: Limits{}.withDefaults()}
			err := s.connect(t.Context())
			require.ErrorContains(t, err, c.says)
			require.Equal(t, nes.ReasonSourceForbidden, nes.ReasonOf(err))
			require.NotContains(t, err.Error(), dir, "paths of the server are for the log")
		})
	}
	s := &sshRemote{addr: "h.example:22", login: SSH{KeyFile: good, KnownHosts: hosts}}
	config, err := s.config()
	require.NoError(t, err)
	require.Equal(t, []string{signer.PublicKey().Type()}, config.HostKeyAlgorithms, "the kind of key that is known is asked for")
	known, err := knownhosts.New(hosts)
	require.NoError(t, err)
	require.Empty(t, algorithmsOf(known, "other.example:22"), "of an unknown host any kind")
	require.Error(t, noKey{}.Verify(nil, nil))
}

func TestRefusedSSHHosts(t *testing.T) {
	t.Parallel()
	s := &sshRemote{addr: "h.example:22"}
	for _, c := range []struct {
		err  error
		says string
	}{
		{&knownhosts.KeyError{}, "is not among the known hosts"},
		{&knownhosts.KeyError{Want: []knownhosts.KnownKey{{}}}, "shows another key"},
		{errors.New("ssh: handshake failed: ssh: unable to authenticate"), "does not accept the key"},
	} {
		err := s.refused(t.Context(), c.err)
		require.ErrorContains(t, err, c.says)
		require.Equal(t, nes.ReasonSourceForbidden, nes.ReasonOf(err))
	}
	odd := errors.New("odd")
	require.Same(t, odd, s.refused(t.Context(), odd))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.refused(ended, odd), context.Canceled)
}

func TestLimitsHaveDefaults(t *testing.T) {
	t.Parallel()
	require.Equal(t, Limits{
		Advertisement: 32 << 20, Pack: 512 << 20, Objects: 1_000_000, Files: 100_000, FileSize: 256 << 20, TreeSize: 1 << 30, Depth: 64, History: 200,
		Memory: 1 << 30, ListTime: 30 * time.Second, FetchTime: 2 * time.Minute,
	}, Limits{Files: -1}.withDefaults())
	own := Limits{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	require.Equal(t, own, own.withDefaults())
	c, err := New(Options{})
	require.NoError(t, err)
	require.Equal(t, 4, cap(c.slots))
	require.Equal(t, "fetch-child", c.options.Command[1])
}

func TestTailKeepsTheBeginning(t *testing.T) {
	t.Parallel()
	var said tail
	for range 300 {
		n, err := said.Write([]byte("12345 \n"))
		require.NoError(t, err)
		require.Equal(t, 7, n, "the writer is never told to stop")
	}
	require.Len(t, said.buf, 1024)
	require.True(t, strings.HasPrefix(said.String(), "12345 12345"))
	odd := tail{buf: []byte("a\xff\r\nb")}
	require.Equal(t, "a? b", odd.String())
	b := &bounded{max: 4}
	n, err := b.Write([]byte("1234"))
	require.NoError(t, err)
	require.Equal(t, 4, n)
	_, err = b.Write([]byte("5"))
	require.ErrorIs(t, err, io.ErrShortWrite)
	require.Equal(t, "1234", b.buf.String())
}
