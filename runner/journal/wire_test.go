package journal_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/runner/journal"
)

// lines has one of each kind, with every field that it may have: what the driver writes, letter by letter.
var lines = map[journal.Kind]string{
	journal.KindStart:     `{"v":1,"seq":1,"t":1.5,"k":"start","notebook":{"sha256":"ab","cells":3,"code":2},"kernel":{"name":"python3","language":"python","language_info":{"name":"python","version":"3.11"},"pid":7},"versions":{"papermill":"2.7.0"}}`,
	journal.KindCellStart: `{"v":1,"seq":2,"t":1.5,"k":"cell_start","cell":0,"msg_id":"m"}`,
	journal.KindCellEnd:   `{"v":1,"seq":3,"t":1.5,"k":"cell_end","cell":0,"status":"error","n":0,"wall":0.5,"cpu":0.25,"mem":1048576,"error":{"ename":"E","evalue":"v","traceback":["t"]}}`,
	journal.KindMsg:       `{"v":1,"seq":4,"t":1.5,"k":"msg","cell":0,"type":"display_data","content":{"data":{"a":1.50}},"metadata":{"m":1},"transient":{"display_id":"d"},"blobs":{"image/png":"ab"},"buffers":["QQ=="],"cut":{"bytes":5,"file":"f"}}`,
	journal.KindBlob:      `{"v":1,"seq":5,"t":1.5,"k":"blob","sha256":"ab","size":9,"mime":"image/png"}`,
	journal.KindWord:      `{"v":1,"seq":6,"t":1.5,"k":"word","cell":0,"word":"checkpoint","name":"day","value":{"b":1,"a":[null]}}`,
	journal.KindLog:       `{"v":1,"seq":7,"t":1.5,"k":"log","text":"한\n"}`,
	journal.KindExit:      `{"v":1,"seq":8,"t":1.5,"k":"exit","code":-9,"reason":"CellError","message":"m"}`,
}

// TestEveryFieldOfEveryKindIsWrittenAsTheDriverWritesIt. A field that is added and not shown here fails the test.
func TestEveryFieldOfEveryKindIsWrittenAsTheDriverWritesIt(t *testing.T) {
	t.Parallel()
	set := map[string]bool{}
	for kind, text := range lines {
		dec := json.NewDecoder(strings.NewReader(text))
		dec.DisallowUnknownFields()
		var l journal.Line
		require.NoError(t, dec.Decode(&l), kind)
		require.Equal(t, kind, l.K)
		raw, err := json.Marshal(l)
		require.NoError(t, err)
		require.Equal(t, text, string(raw), "order and digits too")
		v := reflect.ValueOf(l)
		for i := range v.NumField() {
			if !v.Field(i).IsZero() {
				set[v.Type().Field(i).Name] = true
			}
		}
	}
	for f := range reflect.TypeFor[journal.Line]().Fields() {
		require.True(t, set[f.Name], "no line shows the field %s", f.Name)
	}
}

// TestOrdersAndMarkersAreWrittenSo, because an agent and a server of two releases read each other's.
func TestOrdersAndMarkersAreWrittenSo(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		empty, full any
		want        string
	}{
		"launch": {&journal.Launch{}, &journal.Launch{
			V: 1, RunID: "r", Attempt: 2, Notebook: "a/b.ipynb", Parameters: map[string]any{"x": json.RawMessage("1.0")}, KernelName: "ir", Python: "/p",
			StartTimeout: 1, CellTimeout: 2, RunTimeout: 3.5, SilenceTimeout: 4, Grace: 5, InputPath: "in", OutputPath: "out", Env: map[string]string{"A": "b"}, Secrets: []string{"DB"},
			Limits: journal.Limits{CellText: 6, Journal: 7, Files: 8, Body: 9},
		}, `{"v":1,"run_id":"r","attempt":2,"notebook":"a/b.ipynb","parameters":{"x":1.0},"kernel_name":"ir","python":"/p","start_timeout":1,"cell_timeout":2,"timeout":3.5,"silence_timeout":4,"grace":5,"input_path":"in","output_path":"out","env":{"A":"b"},"secrets":["DB"],"limits":{"cell_text":6,"journal":7,"files":8,"body":9}}`},
		"control": {&journal.Control{}, &journal.Control{V: 1, Cancel: true, Reason: "RunTimeout", Why: "too long"}, `{"v":1,"cancel":true,"reason":"RunTimeout","why":"too long"}`},
		"exit": {&journal.Exit{}, &journal.Exit{
			V: 1, Code: -9, Reason: "OutOfMemory", Message: "m", Signal: "SIGKILL", At: 1.8e9, Journal: 7, LogTail: "l", MemPeak: 5, Inferred: true, Unstarted: true,
		}, ""},
	} {
		raw, err := json.Marshal(tt.full)
		require.NoError(t, err)
		if tt.want != "" {
			require.Equal(t, tt.want, string(raw), name)
		}
		v := reflect.ValueOf(tt.full).Elem()
		for i := range v.NumField() {
			require.False(t, v.Field(i).IsZero(), "%s: the field %s is not shown", name, v.Type().Field(i).Name)
			tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			require.Contains(t, string(raw), `"`+tag+`":`, name)
		}
		later := strings.Replace(string(raw), "{", `{"of_a_later_version":{"x":[1]},`, 1)
		require.NoError(t, json.Unmarshal([]byte(later), tt.empty), "what is not known is ignored")
		again, err := json.Marshal(tt.empty)
		require.NoError(t, err)
		require.JSONEq(t, string(raw), string(again), name)
	}
}

// TestAMarkerOfNothingHasNoVersion: readers hold V, because every other field may be left out.
func TestAMarkerOfNothingHasNoVersion(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{}`, `null`, `{"V":0}`} {
		var e journal.Exit
		require.NoError(t, json.Unmarshal([]byte(text), &e))
		require.NotEqual(t, journal.Version, e.V)
	}
	raw, err := json.Marshal(journal.Exit{V: journal.Version})
	require.NoError(t, err)
	require.JSONEq(t, `{"v":1,"code":0,"reason":"","at":0,"journal":0}`, string(raw), "what readers index into is always there")
}

// TestThePathsOfAVolume lie below it, apart from each other, and none of them where the tree is unpacked.
func TestThePathsOfAVolume(t *testing.T) {
	t.Parallel()
	files := []string{journal.LaunchFile, journal.ControlFile, journal.JournalFile, journal.InputFile, journal.LogFile, journal.ExitFile, journal.LockFile}
	dirs := []string{journal.BlobDir, journal.OutputDir, journal.HelperDir}
	seen := map[string]bool{}
	for _, p := range append(append([]string{}, files...), dirs...) {
		require.True(t, fs.ValidPath(p), p)
		require.Equal(t, journal.RunDir, path.Dir(p), "beside the tree, which is the repository's own")
		require.False(t, seen[p] || seen[p+".part"], "%s comes twice, or is another's part", p)
		seen[p] = true
	}
	require.NotEqual(t, journal.RunDir, journal.WorkDir)
	require.Equal(t, "work", journal.WorkDir)
}

// TestTheLimitsFitIntoEachOther: what one side may write, the other takes.
func TestTheLimitsFitIntoEachOther(t *testing.T) {
	t.Parallel()
	order := []int64{journal.MaxControl, journal.MaxChunk, journal.MaxLine, journal.MaxInput, journal.MaxBlob, journal.MaxJournal}
	for i := 1; i < len(order); i++ {
		require.Less(t, order[i-1], order[i])
	}
	require.LessOrEqual(t, int64(journal.MaxExit), int64(journal.MaxChunk))
	require.LessOrEqual(t, int64(journal.MaxLaunch), int64(journal.MaxLine))
	var l journal.Line
	long := `{"v":1,"k":"log","text":"` + strings.Repeat("x", journal.MaxChunk) + `"}`
	require.NoError(t, json.Unmarshal([]byte(long), &l), "a line may be longer than a chunk")
}

// FuzzLine: whatever decodes is written in a way that decodes to the same, on one line.
func FuzzLine(f *testing.F) {
	for _, text := range lines {
		f.Add([]byte(text))
	}
	raw, err := os.ReadFile("testdata/two_cells.jsonl")
	require.NoError(f, err)
	for line := range bytes.Lines(raw) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var l, again journal.Line
		if json.Unmarshal(text, &l) != nil {
			return
		}
		out, err := json.Marshal(l)
		require.NoError(t, err)
		require.Zero(t, bytes.Count(out, []byte("\n")), "a line has no line within")
		require.NoError(t, json.Unmarshal(out, &again))
		twice, err := json.Marshal(again)
		require.NoError(t, err)
		require.Equal(t, string(out), string(twice))
	})
}
