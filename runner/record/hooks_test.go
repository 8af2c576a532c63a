package record

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
)

// hooked is a bucket whose calls can be made to fail, to wait, or to give less than there is.
type hooked struct {
	storage.Bucket
	open func(key string) error
	list func(prefix string) error
	put  func(key string) error
	body func(key string, r io.ReadCloser) io.ReadCloser
	page int // the most that a listing gives at once; 0 is the bucket's own

	mu    sync.Mutex
	left  int // bodies that nobody has closed
	opens []string
	lists []string
}

func (h *hooked) Open(ctx context.Context, key string, offset, length int64) (storage.Object, io.ReadCloser, error) {
	h.mu.Lock()
	h.opens = append(h.opens, key)
	h.mu.Unlock()
	if h.open != nil {
		if err := h.open(key); err != nil {
			return storage.Object{}, nil, err
		}
	}
	o, r, err := h.Bucket.Open(ctx, key, offset, length)
	if err != nil {
		return o, r, err
	}
	if h.body != nil {
		r = h.body(key, r)
	}
	return o, h.count(r), nil
}

// count counts a body until it is closed.
func (h *hooked) count(r io.ReadCloser) io.ReadCloser {
	h.add(1)
	return &counted{ReadCloser: r, close: sync.OnceFunc(func() { h.add(-1) })}
}

func (h *hooked) add(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.left += n
}

type counted struct {
	io.ReadCloser
	close func()
}

func (c *counted) Close() error {
	c.close()
	return c.ReadCloser.Close()
}

func (h *hooked) List(ctx context.Context, o storage.ListOptions) (storage.Page, error) {
	h.mu.Lock()
	h.lists = append(h.lists, o.Prefix)
	h.mu.Unlock()
	if h.list != nil {
		if err := h.list(o.Prefix); err != nil {
			return storage.Page{}, err
		}
	}
	o.Limit = h.page
	return h.Bucket.List(ctx, o)
}

func (h *hooked) Put(ctx context.Context, key string, r io.Reader, o storage.PutOptions) (storage.Object, error) {
	if h.put != nil {
		if err := h.put(key); err != nil {
			return storage.Object{}, err
		}
	}
	return h.Bucket.Put(ctx, key, r, o)
}

// hook puts hooks between the bundle's store and its bucket.
func (b *testBundle) hook() *hooked {
	h := &hooked{Bucket: b.bucket}
	b.store.o.Bucket = h
	return h
}

var errDown = nes.Errorf(nes.CodeUnavailable, "the storage is down")

// once gives err the first time and nil after that.
func once(err error) func(string) error {
	done := false
	return func(string) error {
		if done {
			return nil
		}
		done = true
		return err
	}
}

// breakingBody gives n bytes of a body, and then fails.
func breakingBody(n int64) func(string, io.ReadCloser) io.ReadCloser {
	return func(_ string, r io.ReadCloser) io.ReadCloser {
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(r, n), iotest.ErrReader(errDown)), r}
	}
}

// shortBody gives n bytes of a body and no more, as if that were all.
func shortBody(n int64) func(string, io.ReadCloser) io.ReadCloser {
	return func(_ string, r io.ReadCloser) io.ReadCloser {
		return struct {
			io.Reader
			io.Closer
		}{io.LimitReader(r, n), r}
	}
}

// TestWhatCannotBeReadIsReadAgain: a record whose bucket failed while it was made again is not taken for a whole one.
func TestWhatCannotBeReadIsReadAgain(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*hooked){
		"the notebook":             func(h *hooked) { h.open = once(errDown) },
		"the list of chunks":       func(h *hooked) { h.list = once(errDown) },
		"the middle of a chunk":    func(h *hooked) { h.body = breakingBody(100) },
		"less than the list says":  func(h *hooked) { h.body = shortBody(100) },
		"nothing of what is there": func(h *hooked) { h.body = shortBody(0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			whole := journalOf(4, 100)
			b.put(t, "input.ipynb", input(4))
			half := len(whole) / 2
			b.append(t, 0, whole[:half])
			b.append(t, int64(half), whole[half:])
			want, err := b.store.Log(ctx, &b.run, 1, 0, 0)
			require.NoError(t, err)

			b.store = open(t, b.bucket) // which knows nothing yet
			h := b.hook()
			fail(h)
			accepted, err := b.store.AppendJournal(ctx, &b.run, 1, int64(len(whole)), nil2reader())
			if name == "less than the list says" || name == "nothing of what is there" {
				require.Error(t, err)
			} else {
				require.ErrorIs(t, err, errDown)
			}
			require.Zero(t, accepted, "nothing is acknowledged of what cannot be read")
			h.open, h.list, h.body = nil, nil, nil
			require.EqualValues(t, len(whole), b.append(t, int64(len(whole)), nil))
			got, err := b.store.Log(ctx, &b.run, 1, 0, 0)
			require.NoError(t, err)
			require.Equal(t, want, got, "nothing twice, nothing left out")
			require.Equal(t, 4, b.store.Progress(&b.run).Done)
		})
	}
}

func nil2reader() io.Reader { return bytes.NewReader(nil) }

// TestAnAgentThatGoesAwayInTheMiddleLeavesNothing of a chunk or a file that it had not sent whole.
func TestAnAgentThatGoesAwayInTheMiddleLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	gone := errors.New("connection reset")
	half := func() io.Reader { return io.MultiReader(bytes.NewReader([]byte("half")), iotest.ErrReader(gone)) }
	accepted, err := b.store.AppendJournal(ctx, &b.run, 1, 0, half())
	require.ErrorIs(t, err, gone)
	require.Zero(t, accepted)
	for _, name := range []string{"outputs/x", "input.ipynb", "log.txt", "blobs/" + digest([]byte("half"))} {
		err := b.store.PutFile(ctx, &b.run, 1, name, digest([]byte("half")), half())
		require.ErrorIs(t, err, gone, name)
	}
	page, err := b.bucket.List(ctx, storage.ListOptions{Prefix: "runs/"})
	require.NoError(t, err)
	require.Empty(t, page.Objects)
	require.EqualValues(t, 5, b.append(t, 0, []byte("half\n")), "it comes back and sends the whole")
	b.put(t, "outputs/x", []byte("half"))
}

// TestACallThatIsGivenUpStoresNothing, and leaves the record as it was.
func TestACallThatIsGivenUpStoresNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.append(t, 0, []byte("one\n"))
	over, cancel := context.WithCancel(ctx)
	cancel()
	_, err := b.store.AppendJournal(over, &b.run, 1, 4, bytes.NewReader([]byte("two\n")))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, b.store.PutFile(over, &b.run, 1, "outputs/x", digest([]byte("x")), bytes.NewReader([]byte("x"))), context.Canceled)
	require.EqualValues(t, 4, b.append(t, 4, nil))
	files, err := b.store.Files(ctx, &b.run, 1)
	require.NoError(t, err)
	require.Empty(t, files)
}
