// Package storage owns the port to the object store: what a [Bucket] promises
// and the names under which NES keeps things in it.
package storage

import (
	"context"
	"io"
	"time"
)

// Bucket keeps objects under slash-separated keys. All implementations pass the
// same suite, storage/storagetest.
//
// Errors are *nes.Error with code not_found (no such object), conflict (a
// precondition failed), invalid (a key that is none: see [ValidateKey]) or unavailable (try again later).
// All methods may be called concurrently. Keys do not stand in each other's way: "a" and "a/b" may both exist.
type Bucket interface {
	// Put stores what r gives under key, all or nothing: a reader sees the old object or the
	// new one, never a part. It streams; r is read once. On success the object is durable. When r
	// fails or ctx ends, nothing is stored and the error wraps theirs.
	Put(ctx context.Context, key string, r io.Reader, o PutOptions) (Object, error)
	// Open reads an object from offset on, length bytes of it or, where length is negative, to
	// the end; behind the end there is nothing to read. What is read belongs to the one generation in
	// Object, even if key is overwritten meanwhile.
	Open(ctx context.Context, key string, offset, length int64) (Object, io.ReadCloser, error)
	// Stat describes an object.
	Stat(ctx context.Context, key string) (Object, error)
	// List returns keys in byte order, a page at a time.
	List(ctx context.Context, o ListOptions) (Page, error)
	// Delete removes an object. Removing what is not there is not an error. A power failure may undo it.
	Delete(ctx context.Context, key string) error
}

// Object describes a stored object.
type Object struct {
	Key         string
	Size        int64
	Generation  int64  // changes with every Put of the key; 0 in listings of stores that do not tell it there, and never else
	ContentType string // empty in listings
	Modified    time.Time
}

// PutOptions of a Put.
type PutOptions struct {
	ContentType string // empty is [TypeByName] of the key
	// IfGeneration, where not nil, lets the Put succeed only if the key's current
	// generation is that one; 0 means that the key must not exist.
	IfGeneration *int64
}

// CreateOnly is the precondition that the key does not exist.
func CreateOnly() *int64 { return new(int64) }

// ListOptions of a List.
type ListOptions struct {
	Prefix string
	// Delimiter, usually "/", folds keys that hold it behind the prefix into Page.Prefixes; empty lists every key.
	Delimiter string
	// After is Page.Next of the page before; empty starts at the beginning.
	After string
	// Limit of objects and prefixes on a page; 0 is 1000.
	Limit int
}

// Page of a listing.
type Page struct {
	Objects  []Object
	Prefixes []string // each ends with the delimiter
	Next     string   // empty on the last page
}
