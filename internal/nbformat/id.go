package nbformat

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strconv"
)

// minorWithIDs is the minor version from which on cells have ids.
const minorWithIDs = 5

var validID = regexp.MustCompile(`^[a-zA-Z0-9-_]{1,64}$`)

// nameCells gives every cell a unique id, from 4.5 on; before, cells have none. The same notebook
// always gets the same ids, so that a live page and the stored notebook agree.
func (n *Notebook) nameCells() {
	taken := make(map[string]bool, len(n.Cells))
	for i := range n.Cells {
		c := &n.Cells[i]
		if n.Minor < minorWithIDs {
			c.ID = ""
			continue
		}
		for try := 0; !validID.MatchString(c.ID) || taken[c.ID]; try++ {
			c.ID = deriveID(i, try, c.Source)
		}
		taken[c.ID] = true
	}
}

func deriveID(index, try int, source string) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(index) + "." + strconv.Itoa(try) + "\n" + source))
	return hex.EncodeToString(sum[:4])
}
