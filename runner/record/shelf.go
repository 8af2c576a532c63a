package record

import (
	"context"
	"maps"
	"strings"
	"sync"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
)

// maxFiles of an attempt.
const maxFiles = 10_000

// shelf knows the side files of an attempt, those that are stored and those that are just arriving, and holds
// their limits. A nil shelf knows nothing.
type shelf struct {
	max int64 // bytes of all of them

	mu       sync.Mutex
	files    map[string]nes.File // by name; without a digest where this process did not see the file come
	bytes    int64               // stored and arriving
	arriving int
}

// sideFiles finds out once, from the bucket, what is stored: others may have taken files in before.
func (l *live) sideFiles(ctx context.Context) (*shelf, error) {
	if l.shelf != nil {
		return l.shelf, nil
	}
	s := &shelf{max: l.store.o.MaxFiles, files: map[string]nes.File{}}
	err := l.each(ctx, outputs, func(name string, o storage.Object) {
		s.files[name] = nes.File{Name: name, Size: o.Size, Type: typeOf(name)}
		s.bytes += o.Size
	})
	if err != nil {
		return nil, err
	}
	l.shelf = s
	return s, nil
}

// each calls f for every object of the attempt whose key begins so, with the rest of its key.
func (l *live) each(ctx context.Context, begin string, f func(rest string, o storage.Object)) error {
	prefix, after := l.prefix+begin, ""
	for {
		page, err := l.bucket().List(ctx, storage.ListOptions{Prefix: prefix, After: after})
		if err != nil {
			return err
		}
		for _, o := range page.Objects {
			f(strings.TrimPrefix(o.Key, prefix), o)
		}
		if after = page.Next; after == "" {
			return nil
		}
	}
}

// known is a copy of what is known of the files.
func (s *shelf) known() map[string]nes.File {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.files)
}

// arrival is a file that comes.
type arrival struct {
	shelf  *shelf
	name   string
	bytes  int64
	stored *nes.File // nil when it was not stored in the end
}

// enter makes a place for a file, which may be there already.
func (s *shelf) enter(name string) (*arrival, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.files[name]; !known && len(s.files)+s.arriving >= maxFiles {
		return nil, errFull()
	}
	s.arriving++
	return &arrival{shelf: s, name: name}, nil
}

// takes counts n bytes more of the file, if they have room: what it replaces gives its own up.
func (a *arrival) takes(n int) error {
	s := a.shelf
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes-s.files[a.name].Size+int64(n) > s.max {
		return errFull()
	}
	s.bytes, a.bytes = s.bytes+int64(n), a.bytes+int64(n)
	return nil
}

// leave ends the arrival.
func (a *arrival) leave() {
	s := a.shelf
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arriving--
	if a.stored == nil {
		s.bytes -= a.bytes
		return
	}
	s.bytes -= s.files[a.name].Size
	s.files[a.name] = *a.stored
}

func errFull() error {
	return &nes.Error{Code: nes.CodeTooLarge, Reason: nes.ReasonOutputTooLarge, Message: "the side files are more than may be stored"}
}
