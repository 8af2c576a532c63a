// Package journal is the wire format between the driver in the notebook's
// environment and NES: the journal's lines, the files of the work volume, the
// launch order, the control file and the exit marker, all at version 1.
//
// The journal is one append-only file of JSON lines, written by the driver alone.
// Each line has v (always 1), seq (from 1, without gaps), t (seconds since 1970,
// a float) and k, the kind. A reader keeps and ignores kinds and fields that it
// does not know, and treats a last line without newline as not yet written.
// What the lines mean for the executed notebook is runner/reduce's business.
//
// Everything in the work volume may have been written by the notebook itself: read
// it through os.Root, regular files only, with the size limits given here.
package journal
