// Package reduce makes the executed notebook out of a parameterised notebook and
// its journal. It is a pure function of the two: every prefix of a journal
// gives a valid notebook whose statuses are true, and the same bytes give the same notebook.
//
// Memory grows with the number of outputs and with the longest line, not with the size of the
// journal: a [State] remembers where outputs lie, and [State.Write] copies them.
//
// The journal is untrusted, because the notebook can write to it: what makes no sense is
// ignored and counted, never fatal. What the lines mean is what nbclient and papermill make of the same
// messages; docs/reducer.md lists the differences.
package reduce
