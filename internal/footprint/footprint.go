// Package footprint keeps small what a process counts as its memory.
package footprint

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Shrink gives back the pages of the program's file that only its start needed. The kernel maps a program in large
// pieces, so that after the start nearly all of the file counts as memory of the process, whatever parts of it are
// used: 40 of 50 MB. What is needed again is mapped again from the page cache. Where that cannot be done nothing happens.
func Shrink() {
	self, err := os.Executable()
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		if from, size, ok := program(lines.Text(), self); ok {
			// An error leaves the pages where they are.
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, size, unix.MADV_DONTNEED)
		}
	}
}

// program reads a line of the map of a process: a piece of the program's file that nobody can write to, so that it
// is still as it is in the file.
func program(line, self string) (from, size uintptr, ok bool) {
	var to uintptr
	var access string
	n, _ := fmt.Sscanf(line, "%x-%x %s", &from, &to, &access)
	ok = n == 3 && to > from && strings.HasSuffix(line, " "+self) && strings.HasPrefix(access, "r") && !strings.Contains(access, "w")
	return from, to - from, ok
}
