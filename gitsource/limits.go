package gitsource

import (
	"errors"
	"io"
	"time"
)

// Limits of one fetch. A zero field means its default, in parentheses.
type Limits struct {
	Advertisement int64         `json:"advertisement"` // bytes of the server's list of refs (32 MiB)
	Pack          int64         `json:"pack"`          // bytes received from the server (512 MiB)
	Objects       int64         `json:"objects"`       // objects in what is received (1,000,000)
	Files         int           `json:"files"`         // entries of the tree (100,000)
	FileSize      int64         `json:"file_size"`     // bytes of one file (256 MiB)
	TreeSize      int64         `json:"tree_size"`     // bytes of all files (1 GiB)
	Depth         int           `json:"depth"`         // elements of a path (64)
	History       int           `json:"history"`       // commits of the default branch that are searched first for a commit that is no tip (200)
	Memory        int64         `json:"memory"`        // resident bytes of the process that fetches (1 GiB)
	ListTime      time.Duration `json:"list_time"`     // for the list of refs (30 s)
	FetchTime     time.Duration `json:"fetch_time"`    // for everything else (2 min)
}

func (l Limits) withDefaults() Limits {
	orDefault(&l.Advertisement, 32<<20)
	orDefault(&l.Pack, 512<<20)
	orDefault(&l.Objects, 1_000_000)
	orDefault(&l.Files, 100_000)
	orDefault(&l.FileSize, 256<<20)
	orDefault(&l.TreeSize, 1<<30)
	orDefault(&l.Depth, 64)
	orDefault(&l.History, 200)
	orDefault(&l.Memory, 1<<30)
	orDefault(&l.ListTime, 30*time.Second)
	orDefault(&l.FetchTime, 2*time.Minute)
	return l
}

func orDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// errLimit is in the chain of every error about a limit on bytes or objects.
var errLimit = errors.New("larger than allowed")

// capped gives an error where io.LimitedReader would pretend that the end is reached.
type capped struct {
	r    io.Reader
	left int64
}

func (c *capped) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errLimit
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.r.Read(p)
	c.left -= int64(n)
	return n, err
}
