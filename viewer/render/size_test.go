package render_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAThousandCellsAreALightPage: what a browser is sent for the cells stays far below half a megabyte.
func TestAThousandCellsAreALightPage(t *testing.T) {
	t.Parallel()
	var cells []any
	for i := range 500 {
		cells = append(cells,
			markdown(fmt.Sprintf("## Step %d\n\nWhat is done here, and *why*: $x_%d$.", i, i)),
			timed(code(fmt.Sprintf("df = load(%d)\nprint(df.head())\ndf.groupby('city').agg({'n': 'sum'})", i), stream(fmt.Sprintf("row %d\n", i)), display(obj{"text/html": pandas})), "completed", 0.5))
	}
	page := all(doc(t, cells...))
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	require.NoError(t, err)
	_, _ = z.Write([]byte(page))
	require.NoError(t, z.Close())
	require.Equal(t, 1000, strings.Count(page, "<article"))
	require.Less(t, packed.Len(), 400<<10)
	t.Logf("%d cells: %d kB, compressed %d kB", 1000, len(page)>>10, packed.Len()>>10)
}
