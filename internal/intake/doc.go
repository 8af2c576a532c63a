// Package intake turns what a caller asked for into what can be launched: it
// resolves the input address, makes sure that its bundle is in the bucket, reads
// the notebook, and fits the parameters to it.
package intake
