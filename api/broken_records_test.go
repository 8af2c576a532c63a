package api_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api"
)

// lost are records whose storage does not answer, or not to the end.
type lost struct {
	api.Records
	err  error
	part string // what comes before it breaks off; empty is nothing
}

func (l lost) Files(context.Context, *nes.Run, int) ([]nes.File, error) { return nil, l.err }

func (l lost) Log(context.Context, *nes.Run, int, int64, int) (nes.LogPage, error) {
	return nes.LogPage{}, l.err
}

func (l lost) WriteNotebook(_ context.Context, _ *nes.Run, _ int, w io.Writer) error {
	if l.part != "" {
		_, _ = io.WriteString(w, l.part)
	}
	return l.err
}

func (l lost) OpenFile(context.Context, *nes.Run, int, string) (nes.File, io.ReadCloser, error) {
	if l.part == "" {
		return nes.File{}, nil, l.err
	}
	body := io.MultiReader(strings.NewReader(l.part), failingReader{l.err})
	return nes.File{Name: "out/a.csv", Size: int64(len(l.part)) + 100, Type: "not a type"}, io.NopCloser(body), nil
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

var storageDown = &nes.Error{
	Code: nes.CodeUnavailable, Reason: nes.ReasonStorageUnavailable, Message: "the storage could not be reached: try again later", Err: errors.New("dial tcp 10.0.0.9"),
}

// A storage that is down is no run that is not there: the answer says when to come back, and nothing of the inside.
func TestStorageThatIsDown(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) { o.Records = lost{Records: o.Records, err: storageDown} })
	run := b.ended(b.executing(b.fetched(b.submit())), "")
	for _, path := range []string{"/notebook", "/files", "/files/out/a.csv", "/log", "/log?cursor=0"} {
		res := b.call("GET", "/v1/runs/"+string(run.ID)+path, "")
		require.Equal(t, 503, res.StatusCode, path)
		require.NotEmpty(t, res.Header.Get("Retry-After"), path)
		require.Equal(t, "unavailable", res.json(t)["code"], path)
		require.NotContains(t, res.body, "10.0.0.9", path)
	}
	require.Equal(t, 200, b.call("GET", "/v1/runs/"+string(run.ID), "").StatusCode, "what the ledger knows is told all the same")
}

// A body that breaks off must not look whole to who saves it.
func TestABodyThatBreaksOffIsNoWholeOne(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *api.Options) {
		o.Records = lost{Records: o.Records, err: storageDown, part: strings.Repeat("a,b\n", 40_000)}
	})
	run := b.ended(b.executing(b.fetched(b.submit())), "")
	c := b.client("")
	for name, open := range map[string]func() (io.ReadCloser, error){
		"file":     func() (io.ReadCloser, error) { return c.File(t.Context(), run.ID, 0, "out/a.csv") },
		"notebook": func() (io.ReadCloser, error) { return c.Notebook(t.Context(), run.ID, 0) },
	} {
		body, err := open()
		if err == nil {
			_, err = io.Copy(io.Discard, body)
			require.NoError(t, body.Close())
		}
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "10.0.0.9", name)
	}
}
