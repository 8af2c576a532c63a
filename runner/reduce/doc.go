// Package reduce makes the executed notebook out of a parameterised notebook and
// its journal. It is a pure function of the two: every prefix of a journal
// gives a valid notebook whose statuses are true, and the same bytes give the same notebook.
//
// Memory grows with the number of outputs and with the longest line, not with the size of the
// journal: a [State] remembers where outputs lie, and [State.WriteTo] copies them.
package reduce
