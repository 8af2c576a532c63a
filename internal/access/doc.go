// Package access decides who may do what: it knows the callers from their tokens,
// carries them in contexts, answers for every object whether a caller may act on
// it, and keeps other websites from acting through somebody's browser.
//
// Each principal belongs to one team and has one or more roles. A run belongs to
// the team of whoever submitted it. What belongs to another team does not
// exist for a caller: the answer is not_found, never forbidden.
package access
