package gitsource

import (
	"bytes"
	"fmt"
	"io"
	"path"

	"github.com/nes-run/nes/internal/bundle"
)

const (
	maxPointer       = 1024    // bytes of a Git LFS pointer, by its specification
	maxAttributes    = 1 << 20 // bytes of a .gitattributes file that is looked at
	pointersLookedAt = 10_000  // small files that are looked at
	pointerPrefix    = "version https://git-lfs.github.com/spec/"
	attributesFilter = "filter=lfs"
)

// notePointers says which files are not what they seem: a notebook that opens one finds a
// pointer instead of its data. It looks only where the repository says that it uses Git LFS.
func (p *plan) notePointers() error {
	uses, err := p.usesLFS()
	if err != nil || !uses {
		return err
	}
	count, first, looked := 0, "", 0
	for _, e := range p.entries {
		if e.Kind != bundle.File || e.Size >= maxPointer || e.Size < int64(len(pointerPrefix)) {
			continue
		}
		if looked++; looked > pointersLookedAt {
			break
		}
		text, err := p.read(e)
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(text, []byte(pointerPrefix)) {
			continue
		}
		if count++; first == "" {
			first = e.Path
		}
	}
	if count > 0 {
		p.note("%d files are Git LFS pointers instead of their content, such as %q: NES does not fetch from LFS", count, first)
	}
	return nil
}

func (p *plan) usesLFS() (bool, error) {
	for _, e := range p.entries {
		if e.Kind != bundle.File || path.Base(e.Path) != ".gitattributes" || e.Size > maxAttributes {
			continue
		}
		text, err := p.read(e)
		if err != nil || bytes.Contains(text, []byte(attributesFilter)) {
			return err == nil, err
		}
	}
	return false, nil
}

func (p *plan) read(e planned) ([]byte, error) {
	r, err := p.open(e.blob)
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", e.Path, err)
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, maxAttributes))
}
