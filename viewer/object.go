package viewer

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
	"github.com/nes-run/nes/viewer/notebook"
	"github.com/nes-run/nes/viewer/render"
)

// filePage shows a file of the bucket.
type filePage struct {
	page
	Object  storage.Object
	Crumbs  []crumb
	Raw     string // address of its bytes
	Kind    string // notebook, text, table, image, html or other
	Cells   []cell // of a notebook, or the one that shows a text
	Rows    [][]string
	Cut     bool // not all is shown
	Reading reading
	Problem []string
}

// Of what a page shows of a file that is no notebook.
const (
	maxShown   = 1 << 20
	maxRows    = 1000
	maxFields  = 100
	maxContent = 50 << 20 // of a file that /api/contents answers with
)

func (v *viewer) filePage(w http.ResponseWriter, r *http.Request, o storage.Object) error {
	p := filePage{page: v.page(r, path.Base(o.Key)), Object: o, Crumbs: v.crumbs(o.Key), Raw: v.Prefix + "/files/" + escaped(o.Key), Reading: readingOf(r.URL.Query())}
	p.Here = "files"
	var err error
	switch extension := strings.ToLower(path.Ext(o.Key)); extension {
	case ".ipynb":
		err = v.fillNotebook(r.Context(), &p)
	case ".md", ".rmd", ".markdown":
		err = v.fillText(r.Context(), &p, "markdown")
	case ".csv", ".tsv":
		err = v.fillTable(r.Context(), &p)
	case ".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg":
		p.Kind = "image"
	case ".html", ".htm":
		p.Kind = "html"
	default:
		if language, ok := languages[extension]; ok {
			err = v.fillText(r.Context(), &p, language)
			break
		}
		p.Kind = "other"
	}
	if err != nil {
		return err
	}
	return v.show(w, r, http.StatusOK, "file.html", p)
}

// languages of the texts that are shown, by extension; "" is text without one.
var languages = map[string]string{
	".txt": "", ".log": "", "": "", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".ini": "ini", ".cfg": "ini",
	".py": "python", ".pyx": "python", ".r": "r", ".jl": "julia", ".scala": "scala", ".java": "java", ".kt": "kotlin", ".js": "javascript", ".ts": "typescript", ".go": "go",
	".rs": "rust", ".c": "c", ".h": "c", ".cc": "cpp", ".cpp": "cpp", ".hpp": "cpp", ".sh": "bash", ".sql": "sql", ".css": "css", ".xml": "xml", ".rb": "ruby", ".pl": "perl", ".tex": "",
}

func (v *viewer) fillNotebook(ctx context.Context, p *filePage) error {
	doc, err := v.documents.getObject(ctx, p.Object)
	if nes.CodeOf(err) == nes.CodeUnprocessable {
		p.Problem = []string{err.Error()}
		return v.fillText(ctx, p, "json")
	}
	if err != nil {
		return err
	}
	defer doc.release()
	p.Kind, p.Problem = "notebook", doc.index.Problems
	for _, c := range doc.cells {
		c.HTML = p.Reading.cell(c.HTML)
		p.Cells = append(p.Cells, c)
	}
	return nil
}

// Switches are the ways to read the notebook.
func (p filePage) Switches() (list []Switch) {
	for _, s := range p.Reading.switches(p.Base+"/view/"+escaped(p.Object.Key), "") {
		if s.Key != "contents" {
			list = append(list, s)
		}
	}
	return list
}

// head reads the beginning of a file.
func (v *viewer) head(ctx context.Context, o storage.Object, limit int64) (text string, cut bool, err error) {
	_, r, err := v.Files.Open(ctx, o.Key, 0, limit)
	if err != nil {
		return "", false, err
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, limit))
	return strings.ToValidUTF8(string(raw), "\uFFFD"), o.Size > limit, err
}

// fillText shows a text as a cell of a notebook would be: Markdown as such, all else highlighted.
func (v *viewer) fillText(ctx context.Context, p *filePage, language string) error {
	text, cut, err := v.head(ctx, p.Object, maxShown)
	if err != nil {
		return err
	}
	p.Kind, p.Cut = "text", cut
	if strings.ContainsRune(text, 0) {
		p.Kind = "other"
		return nil
	}
	kind := "code"
	switch language {
	case "markdown":
		kind = "markdown"
	case "json":
		var b bytes.Buffer
		if !cut && json.Indent(&b, []byte(text), "", "  ") == nil {
			text = b.String()
		}
	}
	doc := &render.Document{Index: &notebook.Index{Language: language, Cells: []notebook.Cell{{Type: kind, Source: text}}}, Ended: true}
	p.Cells = []cell{{HTML: v.documents.renderer.Cell(doc, 0)}}
	return nil
}

// fillTable shows values that are separated by commas, semicolons or tabs, whichever the first line has most of.
func (v *viewer) fillTable(ctx context.Context, p *filePage) error {
	text, cut, err := v.head(ctx, p.Object, maxShown)
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(text, "\n")
	reader := csv.NewReader(strings.NewReader(text))
	reader.FieldsPerRecord, reader.LazyQuotes = -1, true
	for _, c := range []rune{';', '\t'} {
		if strings.Count(first, string(c)) > strings.Count(first, string(reader.Comma)) {
			reader.Comma = c
		}
	}
	p.Kind, p.Cut = "table", cut
	for len(p.Rows) <= maxRows {
		row, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			p.Rows = nil
			return v.fillText(ctx, p, "")
		}
		p.Rows = append(p.Rows, row[:min(len(row), maxFields)])
		p.Cut = p.Cut || len(row) > maxFields
	}
	p.Cut = true
	return nil
}

// file serves the bytes of a file, or a range of them. Nothing in it can act on the application.
func (v *viewer) file(w http.ResponseWriter, r *http.Request) error {
	key := r.PathValue("key")
	o, err := v.object(r, key)
	if err != nil {
		return err
	}
	h := w.Header()
	kind := storage.TypeByName(key)
	if strings.HasPrefix(kind, "text/html") {
		render.FrameHeaders(h, render.FrameOf("text/html"), openedDirectly(r))
		h.Del("X-Frame-Options")
		h.Set("Vary", "Sec-Fetch-Dest")
	} else {
		render.SandboxHeaders(h)
	}
	if strings.HasPrefix(kind, "text/") && !strings.Contains(kind, "charset") {
		kind += "; charset=utf-8"
	}
	h.Set("Content-Type", kind)
	h.Set("ETag", `"`+strconv.FormatInt(o.Generation, 36)+`"`)
	h.Set("Cache-Control", "private, no-cache")
	content := &sought{ctx: r.Context(), files: v.Files, object: o}
	defer content.close()
	http.ServeContent(w, r, "", o.Modified, content)
	return nil
}

// sought reads an object from wherever it is asked to.
type sought struct {
	ctx    context.Context //nolint:containedctx // of the one request that reads
	files  Files
	object storage.Object
	at     int64
	open   io.ReadCloser
}

// Seek says where the next reading begins.
func (s *sought) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.at
	case io.SeekEnd:
		offset += s.object.Size
	}
	if offset < 0 {
		return 0, errors.New("before the beginning")
	}
	if offset != s.at {
		s.close()
	}
	s.at = offset
	return offset, nil
}

// Read reads on from where it is.
func (s *sought) Read(p []byte) (int, error) {
	if s.at >= s.object.Size {
		return 0, io.EOF
	}
	if s.open == nil {
		o, r, err := s.files.Open(s.ctx, s.object.Key, s.at, s.object.Size-s.at)
		if err != nil {
			return 0, err
		}
		if s.open = r; o.Generation != s.object.Generation {
			return 0, errors.New("the object was written anew")
		}
	}
	n, err := s.open.Read(p)
	s.at += int64(n)
	return n, err
}

func (s *sought) close() {
	if s.open != nil {
		_ = s.open.Close()
		s.open = nil
	}
}

// objectPath is a key as one part of an address.
func objectPath(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }

// findInObject is find for a notebook of the bucket.
func (v *viewer) findInObject(r *http.Request, wanted func(string) bool, none func() error) (*found, notebook.Body, error) {
	key, err := base64.RawURLEncoding.DecodeString(r.PathValue("object"))
	if err != nil || !digest.MatchString(r.PathValue("sha")) {
		return nil, notebook.Body{}, none()
	}
	o, err := v.object(r, string(key))
	if err != nil {
		return nil, notebook.Body{}, err
	}
	if strconv.FormatInt(o.Generation, 36) != r.PathValue("generation") {
		return nil, notebook.Body{}, none()
	}
	doc, err := v.documents.getObject(r.Context(), o)
	if err != nil {
		return nil, notebook.Body{}, err
	}
	b, ok := doc.index.Body(r.PathValue("sha"), wanted)
	if !ok {
		doc.release()
		return nil, b, none()
	}
	return &found{doc, &objectContent{r.Context(), v.Files, o}}, b, nil
}

// getObject returns a notebook of the bucket. It is read once for each generation.
func (d *documents) getObject(ctx context.Context, o storage.Object) (*document, error) {
	key := docKey{object: o.Key, generation: o.Generation}
	return d.obtain(ctx, key, func(*document) bool { return true }, func(*document) (*document, error) {
		now, r, err := d.o.Files.Open(ctx, o.Key, 0, -1)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		if now.Generation != o.Generation {
			return nil, nes.Errorf(nes.CodeUnavailable, "%s is being written; try again", o.Key)
		}
		index, err := notebook.Parse(r)
		if err != nil {
			return nil, err
		}
		doc := &document{index: index, ended: true, made: time.Now(), gen: d.o.Now().UnixNano()}
		doc.users.Store(1)
		base := fmt.Sprintf("%s/object/%s/%s/", d.o.Prefix, objectPath(o.Key), strconv.FormatInt(o.Generation, 36))
		d.render(doc, nil, &render.Document{
			Index: index, File: &objectContent{ctx, d.o.Files, o}, Ended: true,
			BodyBase: base + "body/", FrameBase: base + "frame/", TableBase: base + "table/",
		})
		return doc, nil
	})
}

// objectContent reads an object's parts, as long as it is the same.
type objectContent struct {
	ctx    context.Context //nolint:containedctx // of the one request that reads
	files  Files
	object storage.Object
}

// OpenSection opens a part of the object.
func (c *objectContent) OpenSection(offset, length int64) (io.ReadCloser, error) {
	o, r, err := c.files.Open(c.ctx, c.object.Key, offset, length)
	if err != nil {
		return nil, err
	}
	if o.Generation != c.object.Generation {
		_ = r.Close()
		return nil, nes.Errorf(nes.CodeNotFound, "the object was written anew")
	}
	return r, nil
}

// ReadAt reads a part of the object.
func (c *objectContent) ReadAt(p []byte, offset int64) (int, error) {
	r, err := c.OpenSection(offset, int64(len(p)))
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

// Show is the page's one cell that shows a text.
func (p *filePage) Show() template.HTML {
	if len(p.Cells) == 0 {
		return ""
	}
	return p.Cells[0].HTML
}
