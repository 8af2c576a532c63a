// Package runner owns the way of a run from accepted to ended: the controller that
// watches all runs under way, the pure function that decides what comes next, and
// the port to whatever executes attempts.
package runner
