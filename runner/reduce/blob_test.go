package reduce_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/reduce"
)

func TestBlobsAreSpliced(t *testing.T) {
	t.Parallel()
	show := func(data, blobs string) string {
		return `{"k":"msg","cell":0,"type":"display_data","content":{"data":` + data + `,"metadata":{}},"blobs":` + blobs + `}`
	}
	stored := map[string]string{
		"png": `"iVBO"`, "json": `{"a": [1, NaN, "\ud83d"]}`, "number": `5`, "bad": `{"a":`, "two": `"a" "b"`, "quote": `"a", "forged": "x"`,
	}
	tests := []struct {
		name, data, blobs string
		want              map[string]any
	}{
		{"text", `{"text/plain":"p"}`, `{"image/png":"png"}`, map[string]any{"text/plain": "p", "image/png": "iVBO"}},
		{"alone", `{}`, `{"image/png":"png"}`, map[string]any{"image/png": "iVBO"}},
		{"JSON, mended", `{}`, `{"application/x+json":"json"}`, map[string]any{"application/x+json": map[string]any{"a": []any{1.0, nil, "\ufffd"}}}},
		{"missing beside text", `{"text/plain":"p"}`, `{"image/png":"none"}`, map[string]any{"text/plain": "p"}},
		{"missing", `{}`, `{"image/png":"none"}`, map[string]any{"text/plain": "[image/png is not here: its body was not stored]\n"}},
		{"no JSON", `{}`, `{"image/png":"bad"}`, map[string]any{"text/plain": "[image/png is not here: its body is not what it should be]\n"}},
		{"two values", `{"text/plain":"p"}`, `{"image/png":"two"}`, map[string]any{"text/plain": "p"}},
		{"a value that breaks out", `{"text/plain":"p"}`, `{"image/png":"quote"}`, map[string]any{"text/plain": "p"}},
		{"no text where text is needed", `{"text/plain":"p"}`, `{"image/png":"number"}`, map[string]any{"text/plain": "p"}},
		{"in the line already", `{"image/png":"line"}`, `{"image/png":"png"}`, map[string]any{"image/png": "line"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := lines(started(0), show(tt.data, tt.blobs))
			d := onDisk(text)
			d.blobs = stored
			nb := parsed(t, written(t, feed(t, notebook("a"), text), d, reduce.Stamp{}))
			require.Equal(t, tt.want, nb.Cells[0].Outputs[0]["data"])
		})
	}
}

// down is a storage that does not answer.
type down struct{ disk }

func (down) Blob(string) (io.ReadCloser, error) {
	return nil, nes.Errorf(nes.CodeUnavailable, "the storage is down")
}

func TestAStorageThatDoesNotAnswerIsAnError(t *testing.T) {
	t.Parallel()
	text := lines(started(0), `{"k":"msg","cell":0,"type":"display_data","content":{"data":{}},"blobs":{"image/png":"png"}}`, printed(0, "stdout", "x"))
	s := feed(t, notebook("a"), text)
	err := s.Write(io.Discard, down{onDisk(text)}, reduce.Stamp{})
	require.Equal(t, nes.CodeUnavailable, nes.CodeOf(err))
	require.ErrorIs(t, s.Write(io.Discard, onDisk(text[:200]), reduce.Stamp{}), io.ErrUnexpectedEOF)
	require.ErrorIs(t, s.Write(full{}, onDisk(text), reduce.Stamp{}), errFull)
}

var errFull = errors.New("full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestBytesMayBeFedAgainButNotWithAGap(t *testing.T) {
	t.Parallel()
	text := []byte(lines(started(0), printed(0, "stdout", "once")))
	s := feed(t, notebook("a"), string(text))
	require.NoError(t, s.Feed(0, text))
	require.NoError(t, s.Feed(10, text[10:20]))
	require.EqualValues(t, len(text), s.Size())
	require.Equal(t, nes.CodeConflict, nes.CodeOf(s.Feed(int64(len(text))+1, []byte("x"))))
	var b bytes.Buffer
	require.NoError(t, s.Write(&b, onDisk(string(text)), reduce.Stamp{}))
	require.Equal(t, 1, strings.Count(b.String(), "once"))
}

func TestALineThatIsTooLongIsDropped(t *testing.T) {
	t.Parallel()
	long := `{"v":1,"k":"msg","cell":0,"type":"stream","content":{"text":"` + strings.Repeat("x", 17<<20) + `"}}` + "\n"
	text := lines(started(0)) + long + lines(printed(0, "stdout", "after"))
	for _, piece := range []int{len(text), 4 << 20, 1 << 20} {
		s, err := reduce.New(notebook("a"))
		require.NoError(t, err)
		for at := 0; at < len(text); at += piece {
			require.NoError(t, s.Feed(int64(at), []byte(text[at:min(at+piece, len(text))])))
		}
		require.Equal(t, 1, s.Ignored())
		nb := parsed(t, written(t, s, onDisk(text), reduce.Stamp{}))
		require.Equal(t, []string{"stdout:after"}, texts(nb.Cells[0]))
	}
}
