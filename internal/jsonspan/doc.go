// Package jsonspan finds values in JSON text by their place and copies them without decoding:
// a [Checker] proves that text is JSON, [Fields] and [Elements] walk checked text, a [Mender]
// repairs on the way what Python writes and strict readers refuse.
//
// The text is untrusted. Beside standard JSON the tokens NaN, Infinity and -Infinity are let through,
// as Python writes them; a text that has them, or a lone surrogate escape, is called loose, and has
// to be mended before anybody else reads it.
package jsonspan
