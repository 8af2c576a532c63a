// Package e2e runs whole notebooks through a whole server: a real Git server, a
// real kernel, a real ledger and bucket. Each scenario is one file below
// testdata/scenarios: the notebook, the request, and how the run must end. The files
// are data, so that one player, the package scenario, plays them on every backend, ledger and bucket.
package e2e
