// Package gitsource turns the address of a notebook in a Git repository into the
// tree at one commit: it parses addresses, resolves refs, and fetches
// with bounds on bytes, objects, time and memory.
package gitsource
