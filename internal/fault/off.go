//go:build !nesfaults

package fault

// Built in says whether this program has faults.
const Built = false

// At is a point.
func At(Name) {}

// Of is a point that is told apart by what it is about.
func Of(Name, string) {}
