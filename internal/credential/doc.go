// Package credential tells values that look like credentials, so that a request with one is refused before it is stored and shown.
package credential
