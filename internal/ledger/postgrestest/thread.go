package postgrestest

import (
	"os/exec"
	"runtime"
	"sync"
)

// startProcess starts cmd from a thread that lives as long as this process: the signal that
// a child gets when its parent dies is sent when the thread dies that started it.
func startProcess(cmd *exec.Cmd) error {
	errs := make(chan error)
	starter().requests <- request{cmd, errs}
	return <-errs
}

type request struct {
	cmd  *exec.Cmd
	done chan<- error
}

type thread struct{ requests chan request }

var starter = sync.OnceValue(func() *thread {
	t := &thread{make(chan request)}
	go func() {
		runtime.LockOSThread() // and never unlocked
		for r := range t.requests {
			r.done <- r.cmd.Start()
		}
	}()
	return t
})
