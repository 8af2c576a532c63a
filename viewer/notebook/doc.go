// Package notebook owns the index of a notebook: one streaming parse finds cells and
// outputs, and where large bodies lie, so that a page of any notebook opens at once.
package notebook
