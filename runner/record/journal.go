package record

import (
	"bytes"
	"context"
	"io"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/fault"
	"github.com/nes-run/nes/runner/journal"
	"github.com/nes-run/nes/storage"
)

// AppendJournal takes bytes of an attempt's journal that begin at offset, at most
// journal.MaxChunk of them, and returns up to where the journal is stored: the sender goes on from there,
// be it behind or beyond what it sent. Every chunk is created once under the offset of its
// first byte, so two servers cannot both store the same place, and what was acknowledged is never changed.
func (s *Store) AppendJournal(ctx context.Context, run *nes.Run, attempt int, offset int64, body io.Reader) (int64, error) {
	data, err := io.ReadAll(io.LimitReader(body, journal.MaxChunk+1))
	if err != nil {
		return 0, err
	}
	if len(data) > journal.MaxChunk {
		return 0, nes.Errorf(nes.CodeTooLarge, "more than %d bytes of journal in one call", journal.MaxChunk)
	}
	var accepted int64
	grown := false
	err = s.with(ctx, run, attempt, func(l *live) error {
		before := l.size()
		err := l.append(ctx, run, offset, data)
		accepted, grown = l.size(), l.size() > before
		return err
	})
	if grown {
		s.hub.changed(run.ID)
	}
	return accepted, err
}

func (l *live) append(ctx context.Context, run *nes.Run, offset int64, data []byte) error {
	end := l.size()
	if offset > end || offset+int64(len(data)) <= end {
		return nil // a gap, or nothing new
	}
	data = data[end-offset:]
	if end+int64(len(data)) > journal.MaxJournal {
		return &nes.Error{Code: nes.CodeTooLarge, Reason: nes.ReasonOutputTooLarge, Message: "the journal is larger than may be stored"}
	}
	c := chunk{storage.JournalKey(run, l.attempt, end), end, int64(len(data))}
	fault.At(fault.JournalStoring)
	_, err := l.bucket().Put(ctx, c.key, bytes.NewReader(data), storage.PutOptions{ContentType: "application/x-ndjson", IfGeneration: storage.CreateOnly()})
	if nes.CodeOf(err) == nes.CodeConflict { // another server was quicker, or an earlier call that we think failed
		return l.catchUp(ctx)
	}
	if err != nil {
		return err
	}
	fault.At(fault.JournalStored)
	l.chunks = append(l.chunks, c)
	l.feed(end, data)
	return nil
}

// reader gives a State the journal's bytes and blobs. It is for one goroutine.
type reader struct {
	ctx    context.Context
	bucket storage.Bucket
	prefix string
	chunks []chunk

	block []byte // read ahead
	at    int64  // where block lies
}

// readAhead is large enough that reading a journal in order costs few calls.
const readAhead = 1 << 20

func (l *live) reader(ctx context.Context) *reader {
	return &reader{ctx: ctx, bucket: l.bucket(), prefix: l.prefix, chunks: l.chunks}
}

// ReadAt implements io.ReaderAt.
func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		from := off + int64(n) - r.at
		if from < 0 || from >= int64(len(r.block)) {
			if err := r.fill(off + int64(n)); err != nil {
				return n, err
			}
			continue
		}
		n += copy(p[n:], r.block[from:])
	}
	return n, nil
}

// fill reads the block that begins at off.
func (r *reader) fill(off int64) error {
	for _, c := range r.chunks {
		if off < c.offset || off >= c.end() {
			continue
		}
		_, body, err := r.bucket.Open(r.ctx, c.key, off-c.offset, min(readAhead, c.end()-off))
		if err != nil {
			return err
		}
		defer body.Close()
		buf := bytes.NewBuffer(r.block[:0])
		if _, err := buf.ReadFrom(body); err != nil {
			r.block = r.block[:0] // what it held is written over
			return err
		}
		r.block, r.at = buf.Bytes(), off
		if len(r.block) == 0 {
			return io.ErrUnexpectedEOF
		}
		return nil
	}
	return io.EOF
}

// Blob implements reduce.Journal.
func (r *reader) Blob(sha256 string) (io.ReadCloser, error) {
	_, body, err := r.bucket.Open(r.ctx, r.prefix+"blobs/"+sha256, 0, -1)
	return body, err
}
