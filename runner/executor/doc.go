// Package executor owns an attempt's notebook container or process from the inside: it
// starts the driver, passes a cancel on to it, makes sure that nothing of the
// notebook outlives it, and leaves the exit marker.
//
// Run takes its whole process: it becomes the reaper of every process that the
// notebook leaves behind, and ends them all. It is therefore only called by a
// process that does nothing else ("nes-agent exec").
package executor
