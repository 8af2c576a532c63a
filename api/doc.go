// Package api owns the HTTP interface that openapi.yaml describes. The specification is
// written first; tests hold every route, request and answer of this package to it.
//
// Handlers return errors, and one place writes them as problem details. What a
// caller may do is asked of package access for each object. The package decides nothing
// about runs: it reads and writes the ledger, and reads what runs left behind.
package api
