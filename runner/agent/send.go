package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/sourcegraph/conc/pool"

	"github.com/nes-run/nes/runner/agentapi"
	"github.com/nes-run/nes/runner/journal"
)

const (
	parallel   = 4 // files that are sent at once
	maxOutputs = 10_000
	filesLimit = 1 << 30 // side files together, where the order names no limit
	logLimit   = 1 << 20
	digestHex  = 2 * sha256.Size
)

// sendInput sends the parameterised notebook, once. The driver has completed it before its first line.
func (w *watcher) sendInput(ctx context.Context) error {
	name := path.Base(journal.InputFile)
	if w.sent[name] || !w.v.exists(journal.InputFile) {
		return nil
	}
	w.sent[name] = true
	return w.sendFile(ctx, journal.InputFile, name, "", journal.MaxInput)
}

// sendBlobs sends the bodies that came since the last time. One that is not complete yet is not what
// its name says, and is left for the next time.
func (w *watcher) sendBlobs(ctx context.Context) error {
	return w.v.regular(journal.BlobDir, func(name string, info fs.FileInfo) error {
		if len(name) != digestHex || w.sent[name] || info.Size() > journal.MaxBlob {
			return nil
		}
		sum, err := w.v.digest(path.Join(journal.BlobDir, name))
		if err != nil || sum != name {
			return nil
		}
		w.sent[name] = true
		return w.sendFile(ctx, path.Join(journal.BlobDir, name), "blobs/"+name, sum, journal.MaxBlob)
	})
}

// sendOutputs sends the side files, as far as the limits go.
func (w *watcher) sendOutputs(ctx context.Context) error {
	limit := w.filesLimit()
	total, count := int64(0), 0
	p := pool.New().WithMaxGoroutines(parallel).WithContext(ctx).WithFirstError().WithCancelOnError()
	err := w.v.regular(journal.OutputDir, func(name string, info fs.FileInfo) error {
		total, count = total+info.Size(), count+1
		if total > limit || count > maxOutputs {
			w.c.Log.Warn("side files are more than may be stored: the rest is left out", "file", name)
			return fs.SkipAll
		}
		p.Go(func(ctx context.Context) error {
			return w.sendFile(ctx, path.Join(journal.OutputDir, name), "outputs/"+name, "", journal.MaxBlob)
		})
		return nil
	})
	return errors.Join(err, p.Wait())
}

func (w *watcher) filesLimit() int64 {
	if l, err := w.v.Launch(); err == nil && l.Limits.Files > 0 {
		return l.Limits.Files
	}
	return filesLimit
}

// sendLog sends the end of what driver and exec wrote, where they wrote anything.
func (w *watcher) sendLog(ctx context.Context) error {
	text := w.v.tail(journal.LogFile, logLimit)
	if len(text) == 0 {
		return nil
	}
	sum := sha256.Sum256(text)
	return w.tolerate(w.c.Client.PutFile(ctx, path.Base(journal.LogFile), hex.EncodeToString(sum[:]), int64(len(text)),
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }))
}

// sendFile sends a file of the volume under a name; sum is its digest where it is known.
func (w *watcher) sendFile(ctx context.Context, file, name, sum string, limit int64) error {
	size := w.v.size(file)
	if size > limit {
		w.c.Log.Warn("file is larger than may be stored", "file", name, "size", size)
		return nil
	}
	var err error
	if sum == "" {
		if sum, err = w.v.digest(file); err != nil {
			w.c.Log.Warn("file cannot be read", "file", name, "error", err)
			return nil
		}
	}
	return w.tolerate(w.c.Client.PutFile(ctx, name, sum, size, func() (io.ReadCloser, error) {
		f, left, err := w.v.open(file)
		if err != nil {
			return nil, err
		}
		if left < size { // sending it would never end well
			f.Close()
			return nil, fmt.Errorf("%s was cut off while it was sent", file)
		}
		return readCloser{io.LimitReader(f, size), f}, nil
	}))
}

// tolerate lets a file be missing from the record when the server refuses it for good: the rest goes on.
func (w *watcher) tolerate(err error) error {
	if err == nil || errors.Is(err, agentapi.ErrSuperseded) || errors.Is(err, context.Canceled) {
		return err
	}
	w.c.Log.Warn("the server refused a file", "error", err)
	return nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

func (v *Volume) digest(name string) (string, error) {
	f, _, err := v.open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
