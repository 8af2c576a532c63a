// Package ledger owns the database of runs, attempts and events. It is written
// once, in SQL that SQLite and PostgreSQL share, with a small dialect for each.
// Every change of a run is one guarded transaction: see nes.Transition.
package ledger
