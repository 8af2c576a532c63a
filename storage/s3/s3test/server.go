// Package s3test runs servers that speak the protocol of Amazon S3, as processes of their own, for tests.
package s3test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Kind of server. Both keep preconditions, which the tests of storage/s3 prove first.
type Kind string

const (
	// Gateway is the Versity S3 Gateway over a directory: a server for production that checks signatures
	// and digests. Keys are paths there, so that "a" and "a/b" cannot both exist, unlike in S3.
	Gateway Kind = "github.com/versity/versitygw/cmd/versitygw"
	// Flat is gofakes3 in memory: its keys are independent of each other, and it checks no signatures.
	Flat Kind = "github.com/johannesboyne/gofakes3/cmd/gofakes3"
)

// Credentials that the servers know.
const (
	AccessKey = "nes-test-access"
	SecretKey = "nes-test-secret-key"
)

// Server is a running server.
type Server struct {
	URL    string
	dir    string
	cmd    *exec.Cmd
	client *minio.Client
	made   atomic.Int64
}

// Env are the variables by which a program finds the server.
func (s *Server) Env() []string {
	return []string{"AWS_ENDPOINT_URL_S3=" + s.URL, "AWS_ACCESS_KEY_ID=" + AccessKey, "AWS_SECRET_ACCESS_KEY=" + SecretKey, "AWS_REGION=us-east-1"}
}

// Start builds a server, which is quick where it was built before, and starts it.
func Start(kind Kind) (*Server, error) {
	dir, err := os.MkdirTemp("", "nes-s3-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	if err := s.start(kind); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// build returns the server's program, which Go keeps in its cache.
func build(kind Kind) (string, error) {
	cmd := exec.Command("go", "tool", "-n", string(kind))
	cmd.Dir = module()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", kind, err, complaint.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}

// module is the folder whose go.mod pins the servers, apart from what NES itself is built of.
func module() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "server")
}

func (s *Server) start(kind Kind) error {
	program, err := build(kind)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	args := []string{"-backend", "memory", "-host", address}
	if kind == Gateway {
		data := filepath.Join(s.dir, "data") // whose file system keeps extended attributes
		if err := os.Mkdir(data, 0o700); err != nil {
			return err
		}
		args = []string{"--access", AccessKey, "--secret", SecretKey, "--port", address, "--quiet", "--keep-alive", "posix", data}
	}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command(program, args...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.URL = "http://" + address
	return s.await(address)
}

// await returns when the server answers.
func (s *Server) await(address string) (err error) {
	s.client, err = minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(AccessKey, SecretKey, ""), Region: "us-east-1", BucketLookup: minio.BucketLookupPath})
	if err != nil {
		return err
	}
	for end := time.Now().Add(time.Minute); ; {
		if _, err = s.client.ListBuckets(context.Background()); err == nil {
			return nil
		}
		if time.Now().After(end) {
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("the server does not answer: %w\n%s", err, log)
		}
		time.Sleep(20 * time.Millisecond) // between two looks at another process
	}
}

// NewBucket makes an empty bucket.
func (s *Server) NewBucket(ctx context.Context) (string, error) {
	name := fmt.Sprintf("bucket-%d", s.made.Add(1))
	return name, s.client.MakeBucket(ctx, name, minio.MakeBucketOptions{Region: "us-east-1"})
}

// Left counts uploads in parts that were begun in a bucket and neither completed nor taken back.
func (s *Server) Left(ctx context.Context, bucket string) (int, error) {
	n := 0
	for left := range s.client.ListIncompleteUploads(ctx, bucket, "", true) {
		if left.Err != nil {
			return n, left.Err
		}
		n++
	}
	return n, nil
}

// Stop ends the server and removes all that it holds.
func (s *Server) Stop() error {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
	return os.RemoveAll(s.dir)
}
