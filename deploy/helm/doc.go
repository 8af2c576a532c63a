// Package helm holds the chart that installs NES into a Kubernetes cluster, and the tests that hold it to the server: the
// chart itself is below nes.
package helm
