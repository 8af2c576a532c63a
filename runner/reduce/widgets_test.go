package reduce_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func comm(cell int, typ, id, state string) string {
	return fmt.Sprintf(`{"k":"msg","cell":%d,"type":%q,"content":{"comm_id":%q,"data":{"method":"update","state":%s}}}`, cell, typ, id, state)
}

const outputModel = `{"_model_module":"@jupyter-widgets/output","_model_name":"OutputModel","_model_module_version":"1.0.0","msg_id":"","outputs":[]}`

func models(t *testing.T, nb document) map[string]any {
	t.Helper()
	raw := nb.Metadata["widgets"].(map[string]any)["application/vnd.jupyter.widget-state+json"].(map[string]any)
	require.Equal(t, 2.0, raw["version_major"])
	require.Equal(t, 0.0, raw["version_minor"])
	return raw["state"].(map[string]any)
}

func TestStateOfWidgetsIsKept(t *testing.T) {
	t.Parallel()
	nb := reduced(t, notebook("a"), lines(started(0),
		comm(0, "comm_open", "m1", `{"_model_name":"IntSliderModel","_model_module":"@jupyter-widgets/controls","value":3}`),
		comm(0, "comm_open", "other", `{"no":"model"}`),
		`{"k":"msg","cell":0,"type":"comm_msg","content":{"comm_id":"m1","data":{"method":"update","state":{"value":7,"k\"ey":[1]},"buffer_paths":[["a"],["b",0]]}},"buffers":["QQ==","Qg=="]}`,
		`{"k":"msg","cell":0,"type":"comm_msg","content":{"comm_id":"m1","data":{"method":"update","state":{},"buffer_paths":[["a"]]}},"buffers":["Qw=="]}`,
		`{"k":"msg","cell":0,"type":"comm_msg","content":{"comm_id":"m1","data":{"method":"custom"}}}`,
		`{"k":"msg","cell":0,"type":"comm_close","content":{"comm_id":"m1","data":{}}}`))
	m := models(t, nb)
	require.Len(t, m, 1)
	require.JSONEq(t, `{"model_name":"IntSliderModel","model_module":"@jupyter-widgets/controls","model_module_version":null,
		"state":{"_model_name":"IntSliderModel","_model_module":"@jupyter-widgets/controls","value":7,"k\"ey":[1]},
		"buffers":[{"data":"Qw==","encoding":"base64","path":["a"]},{"data":"Qg==","encoding":"base64","path":["b",0]}]}`, marshal(t, m["m1"]))
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return string(raw)
}

func TestOutputWidgetsCapture(t *testing.T) {
	t.Parallel()
	listen := func(id, msg string) string { return comm(0, "comm_msg", id, fmt.Sprintf(`{"msg_id":%q}`, msg)) }
	start := `{"k":"cell_start","cell":0,"msg_id":"req0"}`
	open := comm(0, "comm_open", "out", outputModel)
	tests := []struct {
		name     string
		lines    []string
		cell     []string
		captured string
	}{
		{"what is printed within", []string{start, open, printed(0, "stdout", "a"), listen("out", "req0"), printed(0, "stdout", "b"), printed(0, "stdout", "c"), listen("out", ""), printed(0, "stdout", "d")},
			[]string{"stdout:ad"}, `[{"output_type":"stream","name":"stdout","text":"bc"}]`},
		{"another cell by its request", []string{start, open, ended(0, "ok"), `{"k":"cell_start","cell":1,"msg_id":"req1"}`, comm(1, "comm_msg", "out", `{"msg_id":"req0"}`), printed(0, "stdout", "late"), printed(1, "stdout", "own")},
			[]string{}, `[{"output_type":"stream","name":"stdout","text":"late"}]`},
		{"the cell of the message where the request is unknown", []string{start, open, listen("out", "unheard of"), printed(0, "stdout", "b")},
			[]string{}, `[{"output_type":"stream","name":"stdout","text":"b"}]`},
		{"clear_output within", []string{start, open, listen("out", "req0"), printed(0, "stdout", "b"), `{"k":"msg","cell":0,"type":"clear_output","content":{"wait":true}}`, printed(0, "stderr", "c")},
			[]string{}, `[{"output_type":"stream","name":"stderr","text":"c"}]`},
		{"the kernel's own outputs win when they come later", []string{start, open, listen("out", "req0"), printed(0, "stdout", "b"), listen("out", ""), comm(0, "comm_msg", "out", `{"outputs":[5]}`)},
			[]string{}, `[5]`},
		{"what it held at first comes first", []string{start, comm(0, "comm_open", "out", `{"_model_module":"@jupyter-widgets/output","_model_name":"OutputModel","outputs":[{"x":1}]}`), listen("out", "req0"), printed(0, "stdout", "b")},
			[]string{}, `[{"x":1},{"output_type":"stream","name":"stdout","text":"b"}]`},
		{"an update reaches what was captured", []string{start, open, listen("out", "req0"), display(0, "display_data", "d", `{"text/plain":"1"}`), listen("out", ""), display(0, "update_display_data", "d", `{"text/plain":"2"}`)},
			[]string{}, `[{"output_type":"display_data","data":{"text/plain":"2"},"metadata":{}}]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			nb := reduced(t, notebook("a", "b"), lines(tt.lines...))
			require.Equal(t, tt.cell, texts(nb.Cells[0]))
			state := models(t, nb)["out"].(map[string]any)["state"].(map[string]any)
			require.JSONEq(t, tt.captured, marshal(t, state["outputs"]))
		})
	}
}

func TestNestedOutputWidgetsCaptureInTurn(t *testing.T) {
	t.Parallel()
	listen := func(id, msg string) string { return comm(0, "comm_msg", id, fmt.Sprintf(`{"msg_id":%q}`, msg)) }
	nb := reduced(t, notebook("a"), lines(`{"k":"cell_start","cell":0,"msg_id":"r"}`,
		comm(0, "comm_open", "x", outputModel), comm(0, "comm_open", "y", outputModel),
		listen("x", "r"), printed(0, "stdout", "1"), listen("y", "r"), printed(0, "stdout", "2"), listen("y", ""), printed(0, "stdout", "3"), listen("x", ""), listen("x", "")))
	held := func(id string) string {
		return models(t, nb)[id].(map[string]any)["state"].(map[string]any)["outputs"].([]any)[0].(map[string]any)["text"].(string)
	}
	require.Equal(t, "13", held("x"))
	require.Equal(t, "2", held("y"))
	require.Empty(t, nb.Cells[0].Outputs)
}
