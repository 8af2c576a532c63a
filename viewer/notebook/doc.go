// Package notebook owns the index of a notebook: one streaming parse finds cells and
// outputs, and where large bodies lie, so that a page of any notebook opens at once.
//
// The parse reads nbformat 4, 3 and 2 alike, holds small bodies and remembers the
// place, size and digest of large ones. Nothing that a notebook holds makes it fail:
// what is malformed becomes a sentence in Problem, and everything before and after it is kept.
package notebook
