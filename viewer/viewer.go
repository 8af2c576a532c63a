package viewer

import (
	"context"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
	"github.com/nes-run/nes/viewer/render"
	"github.com/nes-run/nes/viewer/web"
	"github.com/nes-run/nes/viewer/words"
)

// Runs is what the viewer needs of the ledger.
type Runs interface {
	Run(ctx context.Context, id nes.RunID) (nes.Run, error)
	Runs(ctx context.Context, f nes.RunFilter) (nes.RunPage, error)
	Attempts(ctx context.Context, id nes.RunID) ([]nes.Attempt, error)
	// Changed returns a channel that is closed at the next change of the run, or of any run for "".
	Changed(id nes.RunID) <-chan struct{}
}

// Catalogue is what the viewer needs of the ledger to find runs among many.
type Catalogue interface {
	Notebooks(ctx context.Context, f nes.NotebookFilter) ([]nes.NotebookRuns, error)
	// Tally counts runs by status.
	Tally(ctx context.Context, f nes.RunFilter) (map[nes.Status]int, error)
}

// Records are what attempts leave behind, also while they run.
type Records interface {
	// WriteNotebook writes the executed notebook, or what there is of it; not_found when there is nothing yet.
	WriteNotebook(ctx context.Context, run *nes.Run, attempt int, w io.Writer) error
	Log(ctx context.Context, run *nes.Run, attempt int, cursor int64, limit int) (nes.LogPage, error)
	Progress(run *nes.Run) *nes.Progress
	// Changed returns a channel that is closed when the run's newest attempt has written something.
	Changed(id nes.RunID) <-chan struct{}
}

// Files is what there is in a bucket, to be read.
type Files interface {
	List(ctx context.Context, o storage.ListOptions) (storage.Page, error)
	Stat(ctx context.Context, key string) (storage.Object, error)
	// Open opens length bytes from offset on, or all the rest where length is negative.
	Open(ctx context.Context, key string, offset, length int64) (storage.Object, io.ReadCloser, error)
}

// Committed are the notebooks of attempts that are over, with the indexes that were written with them.
// Both methods give not_found for what there is not; the notebook is then read through Records.
type Committed interface {
	OpenIndex(ctx context.Context, run *nes.Run, attempt int) (io.ReadCloser, error)
	// OpenNotebook opens length bytes from offset on.
	OpenNotebook(ctx context.Context, run *nes.Run, attempt int, offset, length int64) (io.ReadCloser, error)
}

// Options of the viewer. Runs, Catalogue and Records are required, or else Files.
type Options struct {
	Runs      Runs
	Catalogue Catalogue
	Records   Records
	// Files are shown as a tree at /view/; nil shows none. Without Runs the tree is all that there is.
	Files Files
	// Committed opens the page of an ended run without reading its notebook; nil reads every notebook.
	Committed Committed
	// Inspect makes the form of a new run.
	Inspect Inspect
	Log     *slog.Logger // nil is nowhere

	// Prefix of all addresses, such as "/nes"; empty is none. The JSON API is expected at Prefix + "/v1".
	Prefix string
	// PublicURL is where people reach the server, Prefix included; empty is what each request used.
	PublicURL string
	// SpoolDir is where notebooks that are being looked at are kept, without a name; empty is the system's temporary directory.
	SpoolDir string
	// MaxWait is how long a request for changes may wait for one; 0 is 25 s.
	MaxWait time.Duration
	// Pace is the shortest time between two readings of a running notebook, however many watch it; 0 is 400 ms.
	Pace time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

type viewer struct {
	Options
	documents *documents
	pages     map[words.Language]*template.Template
	assets    map[string]web.Asset
	stamp     string
}

// New returns the handler of /, /runs/{id} and what is below, and /static/. It expects the caller
// in the request's context (see package access) and serves paths that begin with Options.Prefix.
func New(o Options) http.Handler {
	o.Prefix = strings.TrimRight(o.Prefix, "/")
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxWait == 0 {
		o.MaxWait = 25 * time.Second
	}
	if o.Pace == 0 {
		o.Pace = 400 * time.Millisecond
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	v := &viewer{Options: o}
	v.assets, v.stamp = web.Assets()
	v.pages = map[words.Language]*template.Template{}
	for _, l := range words.Languages() {
		v.pages[l] = template.Must(template.New("").Funcs(functions(l, o.Prefix)).ParseFS(web.Templates(), "*.html"))
	}
	v.documents = newDocuments(o, render.New())
	return v.routes()
}

func (v *viewer) routes() http.Handler {
	mux := http.NewServeMux()
	page := func(pattern string, h func(http.ResponseWriter, *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			appHeaders(w.Header())
			if err := h(w, r); err != nil {
				v.fail(w, r, err)
			}
		})
	}
	page("GET /static/{stamp}/{name}", v.static)
	if v.Files != nil {
		page("GET /view", v.toTree)
		page("GET /view/{key...}", v.tree)
		page("GET /files/{key...}", v.file)
		page("GET /api/contents", v.contents)
		page("GET /api/contents/{key...}", v.contents)
		page("GET /object/{object}/{generation}/body/{sha}", v.body)
		page("GET /object/{object}/{generation}/frame/{sha}", v.frame)
		page("GET /object/{object}/{generation}/table/{sha}", v.table)
	}
	if v.Runs == nil {
		page("GET /{$}", v.toTree)
	} else {
		v.runRoutes(page)
	}
	page("/", func(_ http.ResponseWriter, r *http.Request) error {
		return nes.Errorf(nes.CodeNotFound, "there is no page %s", r.URL.Path)
	})
	return http.StripPrefix(v.Prefix, mux)
}

func (v *viewer) runRoutes(page func(pattern string, h func(http.ResponseWriter, *http.Request) error)) {
	page("GET /{$}", v.list)
	page("GET /new", v.form)
	page("GET /new/recipes", v.newRecipes)
	page("GET /runs/{id}", v.run)
	page("GET /runs/{id}/cells", v.cells)
	page("GET /runs/{id}/stream", v.stream)
	page("GET /runs/{id}/log", v.logPage)
	page("GET /runs/{id}/script", v.script)
	page("GET /runs/{id}/again", v.again)
	page("GET /runs/{id}/body/{attempt}/{sha}", v.body)
	page("GET /runs/{id}/frame/{attempt}/{sha}", v.frame)
	page("GET /runs/{id}/table/{attempt}/{sha}", v.table)
	page("GET /runs/{id}/compare", v.against)
	page("GET /compare/{a}/{b}", v.compare)
	page("GET /notebooks", v.notebooks)
	page("GET /notebooks/{notebook...}", v.notebook)
	page("GET /groups/{group...}", v.group)
	page("GET /latest", v.latest)
	page("GET /latest/{notebook...}", v.latest)
	page("GET /search", v.search)
	page("GET /runs", v.toList)
	page("GET /runs/{$}", v.toList)
}

// appHeaders hold for every page of the application: it runs its own script, loads its own files, and nothing else.
func appHeaders(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "+
		"frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cache-Control", "no-cache, private")
}

func (v *viewer) toList(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, v.Prefix+"/", http.StatusFound)
	return nil
}

func (v *viewer) static(w http.ResponseWriter, r *http.Request) error {
	asset, ok := v.assets[r.PathValue("name")]
	if !ok {
		return nes.Errorf(nes.CodeNotFound, "there is no file %s", r.URL.Path)
	}
	w.Header().Set("Content-Type", asset.Type)
	if r.PathValue("stamp") == v.stamp {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if asset.Packed {
		sendPacked(w, r, asset)
		return nil
	}
	send(w, r, http.StatusOK, asset.Body)
	return nil
}

// show writes a page or a part of one. It is built before anything is sent, so that a fault in it gives an error page.
func (v *viewer) show(w http.ResponseWriter, r *http.Request, status int, name string, data any) error {
	var b strings.Builder
	w.Header().Add("Vary", "Accept-Language")
	if err := v.pages[language(r)].ExecuteTemplate(&b, name, data); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	send(w, r, status, []byte(b.String()))
	return nil
}

// fail shows an error to people. What is not theirs to mend is logged and not told in detail.
func (v *viewer) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody is there any more
	}
	status, title := http.StatusInternalServerError, "Something went wrong here"
	message := "This is a fault of NES. The server’s log has the detail."
	switch code := nes.CodeOf(err); code {
	case nes.CodeNotFound:
		status, title, message = http.StatusNotFound, "Not found", sentence(err)
	case nes.CodeInvalid:
		status, title, message = http.StatusBadRequest, "That address is not right", sentence(err)
	case nes.CodeForbidden:
		status, title, message = http.StatusForbidden, "Not allowed", sentence(err)
	case nes.CodeUnauthorized:
		status, title, message = http.StatusUnauthorized, "Sign in first", sentence(err)
	case nes.CodeUnavailable, nes.CodeBusy:
		w.Header().Set("Retry-After", "5")
		status, title, message = http.StatusServiceUnavailable, "Not available right now", sentence(err)
	default:
		v.Log.ErrorContext(r.Context(), "page failed", "path", r.URL.Path, "code", code, "error", err)
	}
	appHeaders(w.Header())
	data := errorPage{page: v.page(r, title), Status: status, Message: message}
	if err := v.show(w, r, status, "error.html", data); err != nil {
		http.Error(w, title, status)
	}
}

// sentence makes an error's text one.
func sentence(err error) string {
	text := strings.TrimRight(err.Error(), ". ")
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:] + "."
}

// page is what every page needs.
type page struct {
	Title string
	Base  string // prefix of addresses
	Stamp string // of the static files
	Lang  words.Language
	// Icon is the class of the state that the page's icon shows; empty is none.
	Icon string
	// Description is what a link to the page says in a chat.
	Description string
	// Runs and Files say what the main menu leads to.
	Runs, Files bool
	// Here is the entry of the main menu that the page belongs to.
	Here string
}

func (v *viewer) page(r *http.Request, title string) page {
	return page{Title: title, Base: v.Prefix, Stamp: v.stamp, Lang: language(r), Here: "runs", Runs: v.Runs != nil, Files: v.Files != nil}
}

// language is the one that the reader's browser asks for.
func language(r *http.Request) words.Language { return words.Pick(r.Header.Values("Accept-Language")) }

type errorPage struct {
	page
	Status  int
	Message string
}
