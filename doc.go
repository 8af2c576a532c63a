// Package nes holds the words of the Notebook Execution Service: what a run is,
// which states it passes through, why it ended, and what an error means.
//
// A [Run] is one request to execute one notebook at one commit with one set of
// parameters. It is accepted, its source is fetched and checked, an [Attempt] is
// launched, what happens is journalled, the journal is reduced to the executed
// notebook, the end is committed once, and the result is shown:
//
//	accept -> fetch -> launch -> journal -> reduce -> commit -> show
//
// The package imports the standard library alone, so that every other package
// may import it.
package nes
