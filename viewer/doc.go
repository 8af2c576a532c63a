// Package viewer shows runs and their notebooks to people: the list of runs, the page
// of a run, which follows the notebook cell by cell while it runs, and its log.
//
// Pages are rendered on the server and can be read without script. Everything of a
// notebook that could act is served at addresses whose responses carry a sandbox policy: see
// package render.
package viewer
