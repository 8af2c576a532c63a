package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/runner/journal"
)

// quickRole makes this test binary stand for Python and the driver: it writes the journal of a notebook with one cell,
// in a few milliseconds. What is under test with it is everything else, many times over.
const quickRole = "NESTEST_QUICK"

// quick are the variables of a server whose notebooks are executed by this binary.
func quick(t *testing.T) []string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	return []string{quickRole + "=1", "NES_PYTHON=" + self}
}

// asDriver is the driver's program, where this process is one.
func asDriver(args []string) bool {
	if os.Getenv(quickRole) == "" || len(args) != 4 || args[3] != "watched" {
		return false
	}
	(&quickDriver{run: args[2]}).main()
	return true
}

type quickDriver struct {
	run  string
	file *os.File
	seq  int
}

func (d *quickDriver) main() {
	go func() { // exec has died: so does the notebook
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	var launch journal.Launch
	d.must(json.Unmarshal(d.read("launch.json"), &launch))
	d.must(os.WriteFile(filepath.Join(d.run, "input.ipynb"), []byte(notebook("work()")), 0o600))
	var err error
	d.file, err = os.OpenFile(filepath.Join(d.run, "journal.jsonl"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	d.must(err)
	d.line(`"k":"start","notebook":{"sha256":"","cells":1,"code":1},"kernel":{"name":"python3","language":"python"}`)
	d.line(`"k":"cell_start","cell":0`)
	d.line(`"k":"msg","cell":0,"type":"stream","content":{"name":"stdout","text":"working\n"}`)
	if path, ok := launch.Parameters["witness"].(string); ok {
		d.witness(path)
	}
	milliseconds, _ := launch.Parameters["work"].(float64)
	select {
	case <-stop:
		d.line(`"k":"cell_end","cell":0,"status":"stopped","wall":0.01`)
		var order journal.Control
		_ = json.Unmarshal(d.read("control.json"), &order)
		if order.Reason == "" {
			order.Reason = string(nes.ReasonCancelled)
		}
		d.line(fmt.Sprintf(`"k":"exit","code":1,"reason":%q,"message":%q`, order.Reason, order.Why))
		os.Exit(1)
	case <-time.After(time.Duration(milliseconds) * time.Millisecond):
	}
	d.line(`"k":"cell_end","cell":0,"status":"ok","n":1,"wall":0.01`)
	d.line(`"k":"exit","code":0,"reason":""`)
}

func (d *quickDriver) witness(path string) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	d.must(err)
	_, err = fmt.Fprintln(f, "ran")
	d.must(err)
	d.must(f.Close())
}

func (d *quickDriver) read(name string) []byte {
	raw, _ := os.ReadFile(filepath.Join(d.run, name))
	return raw
}

func (d *quickDriver) line(fields string) {
	d.seq++
	_, err := fmt.Fprintf(d.file, `{"v":1,"seq":%d,"t":%f,%s}`+"\n", d.seq, float64(time.Now().UnixMicro())/1e6, fields)
	d.must(err)
}

func (d *quickDriver) must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// trivial is a run of the quick driver that works for so long.
func trivial(address string, work time.Duration) nes.Spec {
	return nes.Spec{
		InputURL:   address + "/blob/main/n.ipynb",
		Parameters: map[string]json.RawMessage{"work": json.RawMessage(fmt.Sprint(work.Milliseconds()))},
	}
}

// times counts the lines of a witness.
func times(t *testing.T, path string) int {
	t.Helper()
	raw, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return 0
	}
	require.NoError(t, err)
	return strings.Count(string(raw), "ran\n")
}
