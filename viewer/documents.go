package viewer

import (
	"bufio"
	"container/list"
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/viewer/notebook"
	"github.com/nes-run/nes/viewer/render"
)

// Bounds of what is kept of notebooks that are being looked at.
const (
	maxDocuments = 32
	maxSpool     = 2 << 30 // bytes of their files, on disk
)

// documents keeps the notebooks that are being looked at, parsed and rendered. However
// many watch a running notebook, it is read once for each of its changes.
type documents struct {
	o        Options
	renderer *render.Renderer

	mu    sync.Mutex
	known map[docKey]*list.Element // of *slot
	order *list.List               // most recently used first
	spool int64
}

type docKey struct {
	run     nes.RunID
	attempt int
	// object and its generation, where it is not of a run.
	object     string
	generation int64
}

// slot is the place of one attempt's notebook. Its mutex makes one reading serve all who wait for it.
type slot struct {
	key docKey
	mu  chan struct{} // holds one token; a waiter can give up
	doc *document     // guarded by documents.mu
}

// document is a notebook at one moment. It never changes; release it after use.
type document struct {
	index *notebook.Index
	// file holds the notebook and has no name: gone when it is closed. It is nil where the notebook is read in the bucket.
	file  *os.File
	cells []cell
	// gen is the number of this state; cells carry the number of the state in which they last changed.
	gen   int64
	ended bool
	made  time.Time
	stale <-chan struct{} // closed when the notebook has grown; nil when it cannot
	users atomic.Int32
}

type cell struct {
	Gen         int64
	Fingerprint string
	HTML        template.HTML
}

func newDocuments(o Options, r *render.Renderer) *documents {
	return &documents{o: o, renderer: r, known: map[docKey]*list.Element{}, order: list.New()}
}

// get returns the attempt's notebook as it is now, at most Options.Pace old; not_found when there is none yet.
func (d *documents) get(ctx context.Context, run *nes.Run, attempt int) (*document, error) {
	ended := run.Ended() || attempt < run.Attempt
	return d.obtain(ctx, docKey{run: run.ID, attempt: attempt}, func(old *document) bool { return d.fresh(old, ended) },
		func(old *document) (*document, error) { return d.read(ctx, run, attempt, ended, old) })
}

// obtain returns the document of a key as it is kept, if that is fresh, else reads it. However many ask, it is read once.
func (d *documents) obtain(ctx context.Context, key docKey, fresh func(*document) bool, read func(old *document) (*document, error)) (*document, error) {
	s := d.slot(key)
	select {
	case s.mu <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.mu }()

	old := d.hold(s)
	if old != nil && fresh(old) {
		return old, nil
	}
	doc, err := read(old)
	if old != nil {
		old.release()
	}
	if err != nil {
		return nil, err
	}
	d.put(s, doc)
	return doc, nil
}

// fresh reports whether doc still is the notebook's state, or was read a moment ago.
func (d *documents) fresh(doc *document, ended bool) bool {
	if doc.ended || ended {
		return doc.ended == ended
	}
	return !doc.behind() || time.Since(doc.made) < d.o.Pace
}

// behind reports whether the notebook has grown since it was read.
func (doc *document) behind() bool {
	select {
	case <-doc.stale:
		return true
	default:
		return false // also where stale is nil: an ended notebook
	}
}

// read reads the notebook into a file without a name, indexes it on the way, and renders what differs from old.
func (d *documents) read(ctx context.Context, run *nes.Run, attempt int, ended bool, old *document) (*document, error) {
	doc := &document{ended: ended, made: time.Now(), gen: d.o.Now().UnixNano()}
	if !ended {
		doc.stale = d.o.Records.Changed(run.ID)
	}
	doc.users.Store(1)
	if err := d.load(ctx, doc, run, attempt); err != nil {
		doc.release()
		return nil, err
	}
	if old != nil && doc.gen <= old.gen {
		doc.gen = old.gen + 1
	}
	d.render(doc, old, d.document(ctx, doc, run, attempt))
	return doc, nil
}

// load takes the index that was written when the attempt was committed, or else reads the notebook.
func (d *documents) load(ctx context.Context, doc *document, run *nes.Run, attempt int) (err error) {
	if doc.ended && d.o.Committed != nil {
		if doc.index, err = d.committed(ctx, run, attempt); err == nil {
			return nil
		}
		if nes.CodeOf(err) != nes.CodeNotFound {
			d.o.Log.WarnContext(ctx, "index of a notebook cannot be used", "run", run.ID, "attempt", attempt, "error", err)
		}
	}
	file, err := os.CreateTemp(d.o.SpoolDir, "nes-notebook-*")
	if err != nil {
		return fmt.Errorf("keep the notebook: %w", err)
	}
	doc.file = file
	if err := os.Remove(file.Name()); err != nil {
		return fmt.Errorf("keep the notebook: %w", err)
	}
	return doc.parse(ctx, d.o.Records, run, attempt)
}

func (d *documents) committed(ctx context.Context, run *nes.Run, attempt int) (*notebook.Index, error) {
	r, err := d.o.Committed.OpenIndex(ctx, run, attempt)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return notebook.Read(bufio.NewReaderSize(r, 64<<10))
}

// content is the notebook's file for the time of a request.
func (d *documents) content(ctx context.Context, doc *document, run *nes.Run, attempt int) io.ReaderAt {
	if doc.file != nil {
		return doc.file
	}
	return &stored{ctx: ctx, in: d.o.Committed, run: run, attempt: attempt}
}

// stored is an executed notebook where it is stored.
type stored struct {
	ctx     context.Context //nolint:containedctx // of the one request that reads
	in      Committed
	run     *nes.Run
	attempt int
}

// OpenSection opens a part of the file.
func (s *stored) OpenSection(offset, length int64) (io.ReadCloser, error) {
	return s.in.OpenNotebook(s.ctx, s.run, s.attempt, offset, length)
}

// ReadAt reads a part of the file.
func (s *stored) ReadAt(p []byte, offset int64) (int, error) {
	r, err := s.OpenSection(offset, int64(len(p)))
	if err != nil {
		return 0, err
	}
	defer r.Close()
	n, err := io.ReadFull(r, p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

func (doc *document) parse(ctx context.Context, records Records, run *nes.Run, attempt int) error {
	r, w := io.Pipe()
	wrote := make(chan error, 1)
	go func() {
		err := records.WriteNotebook(ctx, run, attempt, w)
		w.CloseWithError(err)
		wrote <- err
	}()
	index, err := notebook.Parse(io.TeeReader(r, doc.file))
	if err == nil {
		_, err = io.Copy(doc.file, r) // whatever follows the notebook's end
	}
	r.CloseWithError(errors.New("nobody reads any more"))
	if werr := <-wrote; werr != nil && nes.CodeOf(werr) != nes.CodeInternal {
		return werr
	}
	doc.index = index
	return err
}

func (d *documents) document(ctx context.Context, doc *document, run *nes.Run, attempt int) *render.Document {
	base := fmt.Sprintf("%s/runs/%s/", d.o.Prefix, run.ID)
	return &render.Document{
		Index: doc.index, File: d.content(ctx, doc, run, attempt), Ended: doc.ended,
		BodyBase:  fmt.Sprintf("%sbody/%d/", base, attempt),
		FrameBase: fmt.Sprintf("%sframe/%d/", base, attempt),
		TableBase: fmt.Sprintf("%stable/%d/", base, attempt),
	}
}

// render renders the cells; one that reads as in old keeps its HTML and number.
func (d *documents) render(doc, old *document, rd *render.Document) {
	doc.cells = make([]cell, len(doc.index.Cells))
	for i := range doc.cells {
		print := doc.index.Cells[i].Fingerprint()
		settled := old != nil && (old.ended == doc.ended || !doc.index.Cells[i].Open())
		if settled && i < len(old.cells) && old.cells[i].Fingerprint == print {
			doc.cells[i] = old.cells[i]
			continue
		}
		doc.cells[i] = cell{Gen: doc.gen, Fingerprint: print, HTML: d.renderer.Cell(rd, i)}
	}
}

func (d *documents) slot(key docKey) *slot {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e, ok := d.known[key]; ok {
		d.order.MoveToFront(e)
		return e.Value.(*slot)
	}
	s := &slot{key: key, mu: make(chan struct{}, 1)}
	d.known[key] = d.order.PushFront(s)
	d.shrink()
	return s
}

// hold returns the slot's document for use, or nil.
func (d *documents) hold(s *slot) *document {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.doc != nil {
		s.doc.users.Add(1)
	}
	return s.doc
}

// put makes doc the slot's document, unless the slot was given up while doc was read.
func (d *documents) put(s *slot, doc *document) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e, ok := d.known[s.key]; !ok || e.Value != any(s) {
		return
	}
	doc.users.Add(1)
	d.drop(s)
	s.doc = doc
	d.spool += doc.spooled()
	d.shrink()
}

// shrink gives up what was not looked at for longest.
func (d *documents) shrink() {
	for d.order.Len() > 1 && (d.order.Len() > maxDocuments || d.spool > maxSpool) {
		last := d.order.Remove(d.order.Back()).(*slot)
		delete(d.known, last.key)
		d.drop(last)
	}
}

func (d *documents) drop(s *slot) {
	if s.doc != nil {
		d.spool -= s.doc.spooled()
		s.doc.release()
		s.doc = nil
	}
}

// spooled is how much of the disk the document takes.
func (doc *document) spooled() int64 {
	if doc.file == nil {
		return 0
	}
	return doc.index.Size
}

// release gives up a use of the document.
func (doc *document) release() {
	if doc.users.Add(-1) == 0 && doc.file != nil {
		_ = doc.file.Close()
	}
}
