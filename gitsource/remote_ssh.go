package gitsource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/nes-run/nes"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// SSH says how to log in to Git servers by SSH.
type SSH struct {
	KeyFile    string `json:"key_file,omitempty"`    // private key in OpenSSH's format, without a passphrase
	KnownHosts string `json:"known_hosts,omitempty"` // file of host keys in OpenSSH's format; a host that is not in it is refused
}

// sshRemote runs git-upload-pack on the server.
type sshRemote struct {
	user, addr, path string
	login            SSH
	reach            Reach
	limits           Limits

	client  *ssh.Client
	session *ssh.Session
	in      io.WriteCloser
	out     io.Reader
	errs    *tail
}

func newSSHRemote(clone string, login SSH, reach Reach, limits Limits) (*sshRemote, error) {
	user, addr, path, err := splitSSH(clone)
	return &sshRemote{user: user, addr: addr, path: path, login: login, reach: reach, limits: limits}, err
}

// splitSSH reads ssh://user@host:port/path and user@host:path.
func splitSSH(clone string) (user, addr, path string, err error) {
	if !strings.HasPrefix(clone, "ssh://") {
		user, rest, _ := strings.Cut(clone, "@")
		host, path, ok := strings.Cut(rest, ":")
		if i := strings.Index(rest, "]:"); i > 0 {
			host, path = strings.Trim(rest[:i], "["), rest[i+2:]
		}
		if !ok {
			return "", "", "", fmt.Errorf("%q is no SSH address", clone)
		}
		return user, net.JoinHostPort(host, "22"), path, nil
	}
	u, err := url.Parse(clone)
	if err != nil {
		return "", "", "", fmt.Errorf("read the SSH address: %w", err)
	}
	user, port := u.User.Username(), u.Port()
	if user == "" {
		user = "git"
	}
	if port == "" {
		port = "22"
	}
	return user, net.JoinHostPort(u.Hostname(), port), u.Path, nil
}

func (s *sshRemote) advertise(ctx context.Context, commit string) (*advertisement, error) {
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	a, err := readAdvertisement(&capped{s.out, s.limits.Advertisement}, commit)
	if err != nil {
		return nil, s.explain(err)
	}
	return a, nil
}

func (s *sshRemote) uploadPack(_ context.Context, request []byte) (io.ReadCloser, error) {
	if _, err := io.Copy(s.in, bytes.NewReader(request)); err != nil {
		return nil, s.explain(err)
	}
	if err := s.in.Close(); err != nil && !errors.Is(err, io.EOF) {
		return nil, s.explain(err)
	}
	return io.NopCloser(s.out), nil
}

func (s *sshRemote) close() {
	if s.client != nil {
		_ = s.client.Close()
	}
}

func (s *sshRemote) connect(ctx context.Context) error {
	config, err := s.config()
	if err != nil {
		return err
	}
	conn, err := s.reach.dialer().DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return err
	}
	// The SSH library knows no context: closing the connection ends whatever it waits for.
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	c, channels, requests, err := ssh.NewClientConn(conn, s.addr, config)
	if err != nil {
		_ = conn.Close()
		return s.refused(ctx, err)
	}
	s.client = ssh.NewClient(c, channels, requests)
	return s.start()
}

func (s *sshRemote) start() error {
	session, err := s.client.NewSession()
	if err != nil {
		return err
	}
	s.session, s.errs = session, &tail{}
	session.Stderr = s.errs
	if s.in, err = session.StdinPipe(); err != nil {
		return err
	}
	if s.out, err = session.StdoutPipe(); err != nil {
		return err
	}
	return session.Start("git-upload-pack '" + strings.ReplaceAll(s.path, "'", `'\''`) + "'")
}

func (s *sshRemote) config() (*ssh.ClientConfig, error) {
	if s.login.KeyFile == "" || s.login.KnownHosts == "" {
		return nil, fail(nes.ReasonSourceForbidden, nil, "this server has no SSH key and known hosts to fetch with: use the https address")
	}
	pem, err := os.ReadFile(s.login.KeyFile)
	if err != nil {
		return nil, fail(nes.ReasonSourceForbidden, err, "the SSH key of this server cannot be read")
	}
	key, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		return nil, fail(nes.ReasonSourceForbidden, err, "the SSH key of this server cannot be used: it must have no passphrase")
	}
	known, err := knownhosts.New(s.login.KnownHosts)
	if err != nil {
		return nil, fail(nes.ReasonSourceForbidden, err, "the known hosts of this server cannot be read")
	}
	return &ssh.ClientConfig{
		User: s.user, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: known,
		HostKeyAlgorithms: algorithmsOf(known, s.addr), Timeout: s.limits.ListTime, ClientVersion: "SSH-2.0-nes",
	}, nil
}

// algorithmsOf asks the known hosts which kinds of key they have for a host, because
// the server would otherwise offer another kind, which looks like a forged one. Empty is any.
func algorithmsOf(known ssh.HostKeyCallback, addr string) []string {
	var algorithms []string
	mismatch, ok := errors.AsType[*knownhosts.KeyError](known(addr, &net.TCPAddr{}, noKey{}))
	if !ok {
		return nil
	}
	for _, k := range mismatch.Want {
		if k.Key.Type() == ssh.KeyAlgoRSA {
			algorithms = append(algorithms, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
			continue
		}
		algorithms = append(algorithms, k.Key.Type())
	}
	return algorithms
}

// noKey is a public key that no host has.
type noKey struct{}

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return []byte("none") }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.New("no key") }

func (s *sshRemote) refused(ctx context.Context, err error) error {
	host := s.addr
	if mismatch, ok := errors.AsType[*knownhosts.KeyError](err); ok {
		if len(mismatch.Want) == 0 {
			return fail(nes.ReasonSourceForbidden, err, "the SSH host %s is not among the known hosts: add its key there", host)
		}
		return fail(nes.ReasonSourceForbidden, err, "the SSH host %s shows another key than the known hosts have: it may not be who it says", host)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case strings.Contains(err.Error(), "unable to authenticate"):
		return fail(nes.ReasonSourceForbidden, err, "the SSH host %s does not accept the key of this server", host)
	default:
		return err
	}
}

// explain prefers what the server said in words.
func (s *sshRemote) explain(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		_ = s.session.Wait() // its words may come after the end of its output
	}
	said := s.errs.String()
	if said == "" || errors.Is(err, errLimit) {
		return err
	}
	return fail(nes.ReasonSourceNotFound, err, "the server said: %s", shorten(said))
}

// tail keeps the beginning of what a server writes to its error output.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if room := 1024 - len(t.buf); room > 0 {
		t.buf = append(t.buf, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(strings.Fields(strings.ToValidUTF8(string(t.buf), "?")), " ")
}
