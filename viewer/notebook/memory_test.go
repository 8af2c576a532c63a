package notebook_test

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/viewer/notebook"
)

// endless gives pieces one after the other, so that the test itself holds no large file.
type endless struct {
	head, body, tail string
	times            int
	now              io.Reader
}

func (e *endless) Read(p []byte) (int, error) {
	for {
		if e.now == nil {
			e.now = strings.NewReader(e.head)
		}
		if n, err := e.now.Read(p); err == nil {
			return n, nil
		}
		switch {
		case e.times > 0:
			e.times--
			e.now = strings.NewReader(e.body)
		case e.times == 0:
			e.times--
			e.now = strings.NewReader(e.tail)
		default:
			return 0, io.EOF
		}
	}
}

// TestMemoryDoesNotGrowWithTheFile is not parallel: it measures the heap.
func TestMemoryDoesNotGrowWithTheFile(t *testing.T) { //nolint:paralleltest
	mib := strings.Repeat("iVBORw0KGgo=", 1<<20/12)
	output := `{"output_type": "display_data", "metadata": {}, "data": {"image/png": "` + mib + mib + `"}},`
	files := map[string]*endless{
		"one body of 100 MB": {`{"nbformat": 4, "cells": [{"cell_type": "code", "outputs": [{"output_type": "stream", "text": "`, mib, `"}]}]}`, 100, nil},
		"50 images of 2 MB":  {`{"nbformat": 4, "cells": [{"cell_type": "code", "outputs": [`, output, `{}]}]}`, 50, nil},
		"one key of 100 MB":  {`{"nbformat": 4, "cells": [], "`, mib, `": 1}`, 100, nil},
		"one source":         {`{"nbformat": 4, "cells": [{"cell_type": "code", "source": "`, mib, `"}]}`, 100, nil},
		"widgets":            {`{"nbformat": 4, "cells": [], "metadata": {"widgets": ["`, mib, `"]}}`, 100, nil},
		"many small outputs": {`{"nbformat": 4, "cells": [{"cell_type": "code", "outputs": [`, `{"output_type": "stream", "text": "` + mib[:60<<10] + `"},`, `{}]}]}`, 1700, nil},
	}
	for name, file := range files {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := time.Now()
			x, err := notebook.Parse(file)
			took := time.Since(start)
			require.NoError(t, err)
			runtime.GC()
			runtime.ReadMemStats(&after)
			require.Greater(t, x.Size, int64(99<<20))
			held := int64(after.HeapAlloc) - int64(before.HeapAlloc)
			require.Less(t, held, int64(notebook.MaxInlineTotal+8<<20))
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(200<<20), "allocated in all")
			runtime.KeepAlive(x)
			t.Logf("%d MB in %v, held %d kB, allocated %d kB", x.Size>>20, took, held>>10, (after.TotalAlloc-before.TotalAlloc)>>10)
		})
	}
}

func TestCountsAreCapped(t *testing.T) {
	t.Parallel()
	x, err := notebook.Parse(&endless{`{"nbformat": 4, "cells": [`, `{"cell_type": "raw"},`, `{}]}`, notebook.MaxCells + 4, nil})
	require.NoError(t, err)
	require.Len(t, x.Cells, notebook.MaxCells)
	require.Equal(t, []string{fmt.Sprintf("The first %d cells are shown; 5 more are not.", notebook.MaxCells)}, x.Problems)

	x, err = notebook.Parse(&endless{`{"nbformat": 4, "cells": [{"outputs": [`, `{},`, `{}]}]}`, notebook.MaxOutputs + 1, nil})
	require.NoError(t, err)
	require.Len(t, x.Cells[0].Outputs, notebook.MaxOutputs)
	require.Equal(t, "2 more outputs are not shown.", x.Cells[0].Problem)

	x, err = notebook.Parse(&endless{`{"nbformat": 4, "cells": [{"outputs": [{"data": {`, `"a/b": "",`, `"a/b": ""}}]}]}`, 200, nil})
	require.NoError(t, err)
	require.Len(t, x.Cells[0].Outputs[0].Bodies, notebook.MaxBodies)
}
