package reduce

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// said is a line of a journal.
func said(rest string) string { return `{"v":1,"seq":1,"t":1700000000,` + rest + "}\n" }

// begun is a notebook of one cell that runs.
func begun(t *testing.T) *State {
	t.Helper()
	s, err := New([]byte(`{"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":[{"cell_type":"code","id":"a","source":"x","metadata":{},"outputs":[],"execution_count":null}]}`))
	require.NoError(t, err)
	s.say(t, said(`"k":"cell_start","cell":0,"msg_id":"r0"`))
	return s
}

func (s *State) say(t *testing.T, text string) {
	t.Helper()
	require.NoError(t, s.Feed(s.Size(), []byte(text)))
}

func opened(id, state string) string {
	return said(fmt.Sprintf(`"k":"msg","cell":0,"type":"comm_open","content":{"comm_id":%q,"data":{"state":%s}}`, id, state))
}

// memory is a journal whose bytes nobody asks for.
type memory struct{ io.ReaderAt }

func (memory) Blob(string) (io.ReadCloser, error) { return nil, io.ErrClosedPipe }

// TestWidgetsAreRememberedUpToALimit: a notebook that makes them for ever costs no more memory, and goes on.
func TestWidgetsAreRememberedUpToALimit(t *testing.T) {
	t.Parallel()
	s := begun(t)
	s.widgets.parts = maxWidgetParts - 3
	s.say(t, opened("one", `{"a":1}`))
	require.Equal(t, maxWidgetParts-1, s.widgets.parts)
	s.say(t, opened("two", `{"a":1,"b":2}`)) // whose fields have no room
	require.Equal(t, maxWidgetParts, s.widgets.parts)
	require.Equal(t, 1, s.Ignored())
	require.Empty(t, s.widgets.comms["two"].state)
	s.say(t, opened("three", `{}`))
	require.NotContains(t, s.widgets.comms, "three")
	require.Equal(t, 2, s.Ignored())
	s.say(t, opened("one", `{"a":2}`))
	require.Equal(t, 2, s.Ignored(), "what is known may change")
	s.say(t, said(`"k":"msg","cell":0,"type":"comm_msg","content":{"comm_id":"one","data":{"state":{},"buffer_paths":[["a"]]}},"buffers":["QQ=="]`))
	require.Equal(t, 3, s.Ignored())
	require.Empty(t, s.widgets.comms["one"].buffers)
	s.say(t, said(`"k":"msg","cell":0,"type":"stream","content":{"name":"stdout","text":"goes on"}`))
	require.Len(t, s.cells[0].outputs.list, 1)
}

// TestWhatAWidgetMayNotSay: ids and names that are too long, buffers that are none, and paths beside them.
func TestWhatAWidgetMayNotSay(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxID+1)
	message := func(id, data, rest string) string {
		return said(fmt.Sprintf(`"k":"msg","cell":0,"type":"comm_msg","content":{"comm_id":%q,"data":%s}%s`, id, data, rest))
	}
	for name, tt := range map[string]struct {
		line            string
		ignored         bool
		fields, buffers int
	}{
		"an id that is too long":     {message(long, `{"state":{"a":1}}`, ""), true, 0, 0},
		"the longest id":             {message(long[:maxID], `{"state":{"a":1}}`, ""), false, 1, 0},
		"no id":                      {message("", `{"state":{"a":1}}`, ""), true, 0, 0},
		"a name that is too long":    {message("c", `{"state":{"`+long+`":1,"b":2}}`, ""), true, 1, 0},
		"no state":                   {message("c", `{"method":"custom"}`, ""), false, 0, 0},
		"a state that is a list":     {message("c", `{"state":[1]}`, ""), true, 0, 0},
		"a buffer":                   {message("c", `{"state":{},"buffer_paths":[["a"]]}`, `,"buffers":["QQ=="]`), false, 0, 1},
		"two of one path":            {message("c", `{"state":{},"buffer_paths":[["a"],["a"]]}`, `,"buffers":["QQ==","Qg=="]`), false, 0, 1},
		"more paths than buffers":    {message("c", `{"state":{},"buffer_paths":[["a"],["b"]]}`, `,"buffers":["QQ=="]`), false, 0, 1},
		"more buffers than paths":    {message("c", `{"state":{},"buffer_paths":[["a"]]}`, `,"buffers":["QQ==","Qg=="]`), false, 0, 1},
		"a buffer that is no string": {message("c", `{"state":{},"buffer_paths":[["a"]]}`, `,"buffers":[7]`), true, 0, 0},
		"a path that is no list":     {message("c", `{"state":{},"buffer_paths":["a"]}`, `,"buffers":["QQ=="]`), true, 0, 0},
		"a path that is too long":    {message("c", `{"state":{},"buffer_paths":[["`+strings.Repeat("x", 4*maxID)+`"]]}`, `,"buffers":["QQ=="]`), true, 0, 0},
		"a path that is loose":       {message("c", `{"state":{},"buffer_paths":[["\ud83d"]]}`, `,"buffers":["QQ=="]`), true, 0, 0},
	} {
		s := begun(t)
		s.say(t, tt.line)
		require.Equal(t, tt.ignored, s.Ignored() == 1, name)
		fields, buffers := 0, 0
		for _, w := range s.widgets.comms {
			fields, buffers = fields+len(w.state), buffers+len(w.buffers)
		}
		require.Equal(t, tt.fields, fields, name)
		require.Equal(t, tt.buffers, buffers, name)
	}
}

// TestCapturesOfOneCellAreBounded, and end in whatever order.
func TestCapturesOfOneCellAreBounded(t *testing.T) {
	t.Parallel()
	const output = `{"_model_module":"@jupyter-widgets/output","_model_name":"OutputModel"}`
	listen := func(id, request string) string {
		return said(fmt.Sprintf(`"k":"msg","cell":0,"type":"comm_msg","content":{"comm_id":%q,"data":{"state":{"msg_id":%q}}}`, id, request))
	}
	s := begun(t)
	s.say(t, opened("x", output)+opened("y", output)+opened("plain", `{"_model_name":"OutputModel"}`))
	s.say(t, listen("x", "r0")+listen("y", "r0")+listen("plain", "r0")+listen("x", "")) // the lower one goes first
	require.Same(t, s.widgets.comms["y"], s.widgets.capturing(0))
	s.say(t, listen("y", "")+listen("y", ""))
	require.Nil(t, s.widgets.capturing(0))
	for range 2 * maxID {
		s.say(t, listen("x", "r0"))
	}
	require.Len(t, s.widgets.hooks[0], maxID)
}

// TestTheNumbersOfACellAreItsDrivers, where they make sense.
func TestTheNumbersOfACellAreItsDrivers(t *testing.T) {
	t.Parallel()
	for n, want := range map[string]int{"0": 0, "7": 7, "-5": -1, "null": -1} {
		s := begun(t)
		s.say(t, said(`"k":"cell_end","cell":0,"status":"ok","n":`+n))
		require.Equal(t, want, s.cells[0].count, n)
		require.Equal(t, want >= 0, s.cells[0].executionCount() != nil)
	}
	s := begun(t)
	s.say(t, said(`"k":"cell_end","cell":0,"status":"ok","n":"7"`))
	require.Equal(t, running, s.cells[0].status, "a line that cannot be read is none")
	require.Equal(t, 1, s.Ignored())
	s.say(t, said(`"k":"cell_end","cell":0,"status":"`+strings.Repeat("x", 500)+`","wall":-1,"cpu":1e300,"mem":-9`))
	c := s.cells[0]
	require.Equal(t, failed, c.status, "a word that nobody knows is no success")
	require.Len(t, string(c.how), maxLabel)
	require.Zero(t, c.wall+c.cpu)
	require.Zero(t, c.memory)
}

// TestAClockThatGoesBackMakesNoNegativeTimes.
func TestAClockThatGoesBack(t *testing.T) {
	t.Parallel()
	s := begun(t)
	s.say(t, `{"v":1,"t":1600000000,"k":"cell_end","cell":0,"status":"ok"}`+"\n")
	require.Equal(t, s.cells[0].start, s.cells[0].end)
	var f fields
	require.NoError(t, json.Unmarshal(s.cells[0].papermill(), &f))
	require.Equal(t, "0.0", string(f["duration"]))
	require.NoError(t, s.Write(io.Discard, memory{}, Stamp{}))
}

// TestTheLogNamesEveryEndOfACell, and every word, in one line each, whatever they hold.
func TestTheLogNamesEveryEndOfACell(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`"k":"cell_end","cell":2,"status":"ok","wall":0.125`:                                               "cell 2 done in 0.12 s",
		`"k":"cell_end","cell":2,"status":"error","wall":1,"error":{"ename":"E\u001b[1m","evalue":"a\nb"}`: "cell 2 failed after 1.00 s: E: a b",
		`"k":"cell_end","cell":2,"status":"allowed","error":{"ename":"E","evalue":""}`:                     "cell 2 raised what it may raise after 0.00 s: E: ",
		`"k":"cell_end","cell":2,"status":"died"`:                                                          "cell 2 ended with its kernel after 0.00 s",
		`"k":"cell_end","cell":2,"status":"timeout","wall":-5`:                                             "cell 2 was out of time after 0.00 s",
		`"k":"cell_end","cell":2,"status":"stopped"`:                                                       "cell 2 was stopped after 0.00 s",
		`"k":"cell_end"`:            "cell -1 was stopped after 0.00 s",
		`"k":"cell_start","cell":0`: "cell 0",
		`"k":"start"`:               "the kernel is ready",
		`"k":"start","kernel":{"name":"py\u001b[31m3\n"}`:            "kernel py3 is ready",
		`"k":"word","word":"result","value":{"a":[1]}`:               `result: {"a":[1]}`,
		`"k":"word","word":"checkpoint","name":"day\n2","value":"x"`: `checkpoint day 2: "x"`,
		`"k":"word","word":"skip","value":"no\ndata"`:                "skip: no data",
		`"k":"word","word":"not_ready","value":5`:                    "not ready: 5",
		`"k":"log","text":"left\u0007 out"`:                          "left out",
		`"k":"exit"`:                                                 "done",
		`"k":"exit","reason":"Cancelled"`:                            "ended: Cancelled",
		`"k":"exit","reason":"CellError","message":"cell 3:\nE"`:     "ended: CellError: cell 3: E",
	} {
		require.Equal(t, "[2023-11-14 22:13:20] "+want+"\n", string(NewLog().Feed([]byte(said(line)))), line)
	}
	for _, silent := range []string{`"k":"word","word":"progress","value":{}`, `"k":"word","word":"new"`, `"k":"blob","sha256":"x"`, `"k":"of the future"`, `"k":"msg","type":"comm_open","content":{}`, `"k":"msg","type":"stream","content":5`, `"k":"msg","type":"stream","content":{"text":5}`, `"k":"msg","type":"display_data","content":{"data":{"image/png":"i"}}`} {
		require.Empty(t, NewLog().Feed([]byte(said(silent))), silent)
	}
	l := NewLog()
	require.NotEmpty(t, l.Feed([]byte(said(`"k":"exit"`))))
	require.Empty(t, l.Feed([]byte(said(`"k":"log","text":"forged"`))), "the exit is the last line")
}
