package reduce

import (
	"fmt"

	"github.com/nes-run/nes/internal/jsonspan"
	"github.com/nes-run/nes/runner/journal"
)

// cutNotice is the mark that stands where output was left out.
func cutNotice(c *journal.Cut) string {
	if c.File == "" {
		return fmt.Sprintf("[%d bytes of output are left out here]", c.Bytes)
	}
	return fmt.Sprintf("[%d bytes of output are left out here; all of it is in the file %s]", c.Bytes, short(c.File, maxLabel))
}

// mendedKey is a field's name as strict readers take it.
func mendedKey(key string) string { return string(jsonspan.Mend([]byte(`"` + key + `"`))) }
