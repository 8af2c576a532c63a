// Package app puts the pieces together: it owns a data directory, opens ledger and
// bucket, starts the controller and the listeners, and takes all of it down in
// the opposite order. Two applications fit into one process.
package app
