// Package kube runs attempts as Jobs of a Kubernetes cluster: one Job with one pod for each, in which an agent stands beside the
// notebook. It places and watches, and leaves everything else to the agent and the controller. No other package knows Kubernetes.
package kube
