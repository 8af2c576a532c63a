package gitsource

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// try is one request for objects: what to ask for, and how many commits deep. Depth 0 is all history.
type try struct {
	Wants []string `json:"wants"`
	Depth int      `json:"depth"`
}

// encodeRequest writes the request of version 0 of Git's protocol, with what of caps is of use.
func encodeRequest(t try, caps map[string]string) ([]byte, error) {
	use := []string{"agent=" + userAgent}
	for _, c := range []string{"side-band-64k", "ofs-delta", "no-progress", "shallow"} {
		if _, ok := caps[c]; ok {
			use = append(use, c)
		}
	}
	var b bytes.Buffer
	e := pktline.NewEncoder(&b)
	for i, want := range t.Wants {
		line := "want " + want
		if i == 0 {
			line += " " + strings.Join(use, " ")
		}
		if err := e.EncodeString(line + "\n"); err != nil {
			return nil, err
		}
	}
	if _, ok := caps["shallow"]; ok && t.Depth > 0 {
		if err := e.Encodef("deepen %d\n", t.Depth); err != nil {
			return nil, err
		}
	}
	err := errors.Join(e.Flush(), e.EncodeString("done\n"))
	return b.Bytes(), err
}

// receive asks r for objects and keeps what comes in store.
func receive(ctx context.Context, r remote, t try, caps map[string]string, store *filesystem.Storage, l Limits) error {
	request, err := encodeRequest(t, caps)
	if err != nil {
		return err
	}
	body, err := r.uploadPack(ctx, request)
	if err != nil {
		return err
	}
	defer body.Close()
	in := &capped{body, l.Pack}
	if err := skipToPack(in); err != nil {
		return err
	}
	var pack io.Reader = in
	if _, ok := caps["side-band-64k"]; ok {
		pack = sideband.NewDemuxer(sideband.Sideband64k, in)
	}
	pack, err = checkPackHeader(pack, l.Objects)
	if err != nil {
		return err
	}
	return packfile.UpdateObjectStorage(store, pack)
}

// skipToPack reads the answer up to the word that stands before the pack.
func skipToPack(r io.Reader) error {
	lines := pktline.NewScanner(r)
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		switch {
		case len(line) == 0, bytes.HasPrefix(line, []byte("shallow ")), bytes.HasPrefix(line, []byte("unshallow ")):
		case bytes.Equal(line, []byte("NAK")):
			return nil
		default:
			return fmt.Errorf("unexpected answer %q to a request for objects", shorten(string(line)))
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}

// checkPackHeader looks at how many objects a pack says to hold before anything is made of it.
func checkPackHeader(r io.Reader, most int64) (io.Reader, error) {
	header := make([]byte, 12)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, err
	}
	if string(header[:4]) != "PACK" {
		return nil, fmt.Errorf("%w: no pack", errNotGit)
	}
	if n := int64(binary.BigEndian.Uint32(header[8:])); n > most {
		return nil, fmt.Errorf("%d objects: %w", n, errLimit)
	}
	return io.MultiReader(bytes.NewReader(header), r), nil
}

// newStore makes an empty object store in dir. Large objects are streamed, not held.
func newStore(dir string) (*filesystem.Storage, error) {
	store := filesystem.NewStorageWithOptions(osfs.New(dir, osfs.WithBoundOS()), cache.NewObjectLRU(32*cache.MiByte), filesystem.Options{
		ExclusiveAccess: true, KeepDescriptors: true, MaxOpenDescriptors: 64, LargeObjectThreshold: 4 << 20,
	})
	return store, store.Init()
}
