// Package fault names the points around every effect that has to survive a crash. A program that is built with
// the tag nesfaults dies or waits there when its environment asks for it; in every other build a point is nothing at all.
package fault
