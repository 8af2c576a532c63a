package gitsourcetest

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// SSHServer serves the repositories below a directory over SSH by git-upload-pack.
// One key may log in, as user git.
type SSHServer struct {
	Addr       string // host:port
	Root       string // directory of the repositories
	KeyFile    string // private key that may log in
	KnownHosts string // file with the server's key

	config *ssh.ServerConfig
	wg     sync.WaitGroup
	mu     sync.Mutex
	conns  map[net.Conn]bool
}

// NewSSHServer starts a server on a free port of the loopback address. It ends with t.
func NewSSHServer(t T, root string) *SSHServer {
	t.Helper()
	dir := t.TempDir()
	s := &SSHServer{Root: root, KeyFile: filepath.Join(dir, "key"), KnownHosts: filepath.Join(dir, "known_hosts"), conns: map[net.Conn]bool{}}
	host, client := NewSSHKey(t, filepath.Join(dir, "host")), NewSSHKey(t, s.KeyFile)
	s.config = &ssh.ServerConfig{PublicKeyCallback: func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if meta.User() == "git" && string(key.Marshal()) == string(client.PublicKey().Marshal()) {
			return nil, nil
		}
		return nil, errors.New("not this key")
	}}
	s.config.AddHostKey(host)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	s.Addr = l.Addr().String()
	WriteKnownHosts(t, s.KnownHosts, s.Addr, host.PublicKey())
	s.wg.Go(func() { s.accept(l) })
	t.Cleanup(func() {
		_ = l.Close()
		s.mu.Lock()
		for c := range s.conns {
			_ = c.Close()
		}
		s.mu.Unlock()
		s.wg.Wait()
	})
	return s
}

// NewSSHKey makes a key and writes its private half to a file.
func NewSSHKey(t T, file string) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatalf("make a key: %v", err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatalf("write a key: %v", err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatalf("write a key: %v", err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatalf("use a key: %v", err)
	}
	return signer
}

// WriteKnownHosts writes a file that says that the host at addr has the key.
func WriteKnownHosts(t T, file, addr string, key ssh.PublicKey) {
	t.Helper()
	line := knownhosts.Line([]string{knownhosts.Normalize(addr)}, key)
	if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
		t.Fatalf("write known hosts: %v", err)
	}
}

func (s *SSHServer) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[c] = true
		s.mu.Unlock()
		s.wg.Go(func() {
			s.serve(c)
			_ = c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		})
	}
}

func (s *SSHServer) serve(c net.Conn) {
	_, channels, requests, err := ssh.NewServerConn(c, s.config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for n := range channels {
		if n.ChannelType() != "session" {
			_ = n.Reject(ssh.UnknownChannelType, "sessions alone")
			continue
		}
		channel, requests, err := n.Accept()
		if err != nil {
			return
		}
		s.wg.Go(func() { s.session(channel, requests) })
	}
}

func (s *SSHServer) session(channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	for r := range requests {
		if r.Type != "exec" {
			_ = r.Reply(false, nil)
			continue
		}
		var command struct{ Line string }
		ok := ssh.Unmarshal(r.Payload, &command) == nil
		_ = r.Reply(ok, nil)
		status := s.run(command.Line, channel)
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
		return
	}
}

// run runs "git-upload-pack '<path>'" for a path below the root.
func (s *SSHServer) run(line string, channel ssh.Channel) (status uint32) {
	program, arg, _ := strings.Cut(line, " ")
	arg = strings.ReplaceAll(strings.Trim(arg, "'"), `'\''`, "'")
	if program != "git-upload-pack" || !filepath.IsLocal(strings.TrimPrefix(arg, "/")) {
		_, _ = io.WriteString(channel.Stderr(), "only git-upload-pack of a repository\n")
		return 128
	}
	cmd := exec.Command("git", "-c", "safe.directory=*", "upload-pack", filepath.Join(s.Root, arg))
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	in, err := cmd.StdinPipe()
	if err != nil || cmd.Start() != nil {
		return 1
	}
	go func() {
		_, _ = io.Copy(in, channel)
		_ = in.Close()
	}()
	if err := cmd.Wait(); err != nil {
		return 128
	}
	return 0
}
