// Package allowance owns what an administrator allows runs: runtimes, profiles, and what becomes of a request for resources under them.
package allowance
