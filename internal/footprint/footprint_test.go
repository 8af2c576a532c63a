package footprint

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProgram(t *testing.T) {
	t.Parallel()
	const self = "/usr/bin/nes"
	for line, want := range map[string]string{
		"00400000-01c3e000 r-xp 00000000 fe:00 123   /usr/bin/nes":     "400000 183e000",
		"01c3e000-0397b000 r--p 0183e000 fe:00 123   /usr/bin/nes":     "1c3e000 1d3d000",
		"0397b000-03a81000 rw-p 0357b000 fe:00 123   /usr/bin/nes":     "", // it may differ from the file
		"00400000-01c3e000 ---p 00000000 fe:00 123   /usr/bin/nes":     "",
		"00400000-01c3e000 r-xp 00000000 fe:00 123   /usr/bin/nes-ag":  "",
		"00400000-01c3e000 r-xp 00000000 fe:00 123   /opt/usr/bin/nes": "",
		"7ffd1000-7ffd3000 r-xp 00000000 00:00 0     [vdso]":           "",
		"nonsense": "", "": "",
	} {
		from, size, ok := program(line, self)
		require.Equal(t, want != "", ok, line)
		if ok {
			require.Equal(t, want, fmt.Sprintf("%x %x", from, size), line)
		}
	}
}

// The process is smaller afterwards, and goes on: its text and constants are mapped again as they are used.
func TestShrink(t *testing.T) {
	file := func() (kb int) {
		status, err := os.ReadFile("/proc/self/status")
		require.NoError(t, err)
		_, rest, ok := strings.Cut(string(status), "RssFile:")
		require.True(t, ok)
		_, err = fmt.Sscan(rest, &kb)
		require.NoError(t, err)
		return kb
	}
	before := file()
	Shrink()
	require.Less(t, file(), before)
	// What was given back comes again as it was: a second look finds the same program.
	from, size, ok := program("00400000-01c3e000 r-xp 00000000 fe:00 123   /usr/bin/nes", "/usr/bin/nes")
	require.True(t, ok)
	require.Equal(t, []uintptr{0x400000, 0x183e000}, []uintptr{from, size})
}
