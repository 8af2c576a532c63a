package gitsource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// remote is a repository that is reached over a network.
type remote interface {
	// advertise asks for the list of refs; commit is the one whose ref is wanted, or empty.
	advertise(ctx context.Context, commit string) (*advertisement, error)
	// uploadPack sends a request for objects and returns the answer.
	uploadPack(ctx context.Context, request []byte) (io.ReadCloser, error)
	close()
}

const userAgent = "git/nes" // some hosts answer programs whose name does not begin with git/ by a page

// httpRemote speaks Git's smart HTTP protocol.
type httpRemote struct {
	client *http.Client
	url    string
	limits Limits
}

func newHTTPRemote(url string, login *httpLogin, reach Reach, limits Limits) *httpRemote {
	dialer := reach.dialer()
	return &httpRemote{url: strings.TrimSuffix(url, "/"), limits: limits, client: &http.Client{
		CheckRedirect: checkRedirect,
		// No proxy: behind one, the check of addresses would see the proxy's alone.
		Transport: login.transport(&http.Transport{
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    10 * time.Second,
			ResponseHeaderTimeout:  limits.ListTime,
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConnsPerHost:    1,
			IdleConnTimeout:        30 * time.Second,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
		}),
	}}
}

// checkRedirect follows the first request alone, as Git does, never from https to http, and at most 10 times.
func checkRedirect(next *http.Request, via []*http.Request) error {
	switch {
	case via[0].Method != http.MethodGet:
		return &redirectError{"a request for objects was redirected"}
	case len(via) >= 10:
		return &redirectError{"more than 10 redirects"}
	case next.URL.Scheme != "https" && next.URL.Scheme != "http":
		return &redirectError{"a redirect to " + next.URL.Scheme}
	case via[len(via)-1].URL.Scheme == "https" && next.URL.Scheme == "http":
		return &redirectError{"a redirect from https to http"}
	case next.URL.User != nil:
		return &redirectError{"a redirect to an address with a credential"}
	default:
		return nil
	}
}

const (
	listPath = "/info/refs?service=git-upload-pack"
	listType = "application/x-git-upload-pack-advertisement"
	packType = "application/x-git-upload-pack-result"
)

func (h *httpRemote) advertise(ctx context.Context, commit string) (*advertisement, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url+listPath, nil)
	if err != nil {
		return nil, err
	}
	res, err := h.do(req, listType)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	final, ok := strings.CutSuffix(res.Request.URL.String(), listPath)
	if !ok {
		return nil, fmt.Errorf("%w: redirected to another page", errNotGit)
	}
	a, err := readAdvertisement(&capped{res.Body, h.limits.Advertisement}, commit)
	if err != nil {
		return nil, err
	}
	a.url, h.url = final, final
	return a, nil
}

func (h *httpRemote) uploadPack(ctx context.Context, request []byte) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url+"/git-upload-pack", bytes.NewReader(request))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
	res, err := h.do(req, packType)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

func (h *httpRemote) close() { h.client.CloseIdleConnections() }

func (h *httpRemote) do(req *http.Request, want string) (*http.Response, error) {
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Accept", want)
	res, err := h.client.Do(req)
	if err != nil {
		// The redirect's own error says more than the one that http wraps around it.
		if refused, ok := errors.AsType[*redirectError](err); ok {
			return nil, refused
		}
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		_ = res.Body.Close()
		return nil, &statusError{res.StatusCode}
	}
	if got := res.Header.Get("Content-Type"); !strings.HasPrefix(got, want) {
		_ = res.Body.Close()
		return nil, fmt.Errorf("%w: content type %q", errNotGit, shorten(got))
	}
	return res, nil
}
