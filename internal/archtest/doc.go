// Package archtest holds the rules of CONTRIBUTING that a machine can hold: who may
// import what, how long a file, a function or an interface may get, that every
// package says what it owns, how much test there is where tests matter, and that paths which documents name exist. It has tests only.
package archtest
