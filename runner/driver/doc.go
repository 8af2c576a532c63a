// Package driver is the Python program that executes a notebook beside papermill and
// writes the journal, and the helper module "nes" for notebooks, both embedded.
package driver
