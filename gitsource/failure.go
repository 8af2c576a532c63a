package gitsource

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/nes-run/nes"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
)

// fail makes an error that ends a run; cause is logged and never shown.
func fail(reason nes.Reason, cause error, format string, args ...any) error {
	return &nes.Error{Code: nes.CodeUnprocessable, Reason: reason, Message: fmt.Sprintf(format, args...), Err: cause}
}

// statusError is an HTTP answer that is not 200.
type statusError struct{ status int }

func (e *statusError) Error() string {
	return fmt.Sprintf("the server answered %d %s", e.status, http.StatusText(e.status))
}

// redirectError says why a redirect was not followed.
type redirectError struct{ why string }

func (e *redirectError) Error() string { return e.why }

// errNotGit says that the other side does not speak Git's protocol.
var errNotGit = errors.New("the answer is not that of a Git server")

// classify turns whatever went wrong between us and the server of a repository into
// an error with a reason. One that has a reason already passes through.
func classify(repository string, err error) error {
	if _, ok := errors.AsType[*nes.Error](err); ok || err == nil {
		return err
	}
	if e, ok := errors.AsType[*statusError](err); ok {
		return classifyStatus(repository, e)
	}
	if _, ok := errors.AsType[*addressError](err); ok {
		return fail(nes.ReasonSourceForbidden, err,
			"%s is at an address that is not public: have its network allowed in NES_FETCH_ALLOW_CIDRS", host(repository))
	}
	if e, ok := errors.AsType[*redirectError](err); ok {
		return fail(nes.ReasonSourceForbidden, err, "%s redirects to where NES does not follow: %s", repository, e.why)
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		return fail(nes.ReasonSourceNotFound, err, "there is no host %s: check the address", host(repository))
	}
	if e, ok := errors.AsType[*pktline.ErrorLine](err); ok {
		return fail(nes.ReasonSourceNotFound, err, "the server of %s refused: %s", repository, shorten(e.Text))
	}
	return classifyFault(repository, err)
}

// classifyFault looks at what the caller cannot mend.
func classifyFault(repository string, err error) error {
	_, badCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, errLimit):
		return fail(nes.ReasonSourceTooLarge, err, "%s is larger than a fetch may be: move large data out of it, or have the limit raised", repository)
	case errors.Is(err, errNotGit):
		return fail(nes.ReasonSourceNotFound, err, "there is no Git repository at %s: check the address; a private one needs a credential", repository)
	case badCertificate:
		return fail(nes.ReasonSourceUnavailable, err, "the certificate of %s is not trusted", host(repository))
	case errors.Is(err, context.DeadlineExceeded), isNet && timeout.Timeout():
		return fail(nes.ReasonSourceUnavailable, err, "%s did not answer in time: try again later", repository)
	case errors.Is(err, context.Canceled):
		return fail(nes.ReasonSourceUnavailable, err, "the fetch of %s was called off", repository)
	default:
		return fail(nes.ReasonSourceUnavailable, err, "%s could not be fetched: %s", repository, shorten(rootCause(err).Error()))
	}
}

func classifyStatus(repository string, e *statusError) error {
	switch e.status {
	case http.StatusUnauthorized:
		return fail(nes.ReasonSourceForbidden, e, "%s is private or does not exist (401): NES needs a credential for it", repository)
	case http.StatusForbidden:
		return fail(nes.ReasonSourceForbidden, e, "%s may not be read (403)", repository)
	case http.StatusNotFound, http.StatusGone:
		return fail(nes.ReasonSourceNotFound, e, "there is no repository %s, or NES may not see it (%d)", repository, e.status)
	default:
		return fail(nes.ReasonSourceUnavailable, e, "the server of %s answered %d %s: try again later", repository, e.status, http.StatusText(e.status))
	}
}

// host returns the first element of a repository's name.
func host(repository string) string {
	h, _, _ := strings.Cut(repository, "/")
	return h
}

// rootCause drops the layers that repeat the address.
func rootCause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
