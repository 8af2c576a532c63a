package agentapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/problem"
	"github.com/nes-run/nes/runner/journal"
)

// Caller is who says that it is the agent of an attempt.
type Caller struct {
	Run     nes.RunID
	Attempt int
	Token   string
}

// Service is what answers agents. It authenticates the caller in every call; its
// errors are *nes.Error: unauthorized or not_found for a caller that is not known, conflict
// for one that is superseded.
type Service interface {
	Launch(ctx context.Context, c Caller) (journal.Launch, error)
	// Bundle opens the archive of the run's tree.
	Bundle(ctx context.Context, c Caller) (io.ReadCloser, error)
	// Journal takes bytes of the journal from offset on; none is a heartbeat.
	Journal(ctx context.Context, c Caller, offset int64, body io.Reader) (Pace, error)
	// PutFile takes a file whose digest must be sha256.
	PutFile(ctx context.Context, c Caller, name, sha256 string, body io.Reader) error
	Exit(ctx context.Context, c Caller, e journal.Exit) error
}

// Prefix of all paths that the handler serves.
const Prefix = "/agent/v1/"

// NewHandler serves the agent's calls. It belongs on a listener that agents alone reach.
func NewHandler(s Service, log *slog.Logger) http.Handler {
	h := &handler{service: s, log: log}
	mux := http.NewServeMux()
	const base = Prefix + "runs/{run}/attempts/{attempt}"
	mux.HandleFunc("GET "+base+"/launch", h.with(h.launch))
	mux.HandleFunc("GET "+base+"/bundle", h.with(h.bundle))
	mux.HandleFunc("POST "+base+"/journal", h.with(h.journal))
	mux.HandleFunc("PUT "+base+"/files/{name...}", h.with(h.file))
	mux.HandleFunc("POST "+base+"/exit", h.with(h.exit))
	return mux
}

type handler struct {
	service Service
	log     *slog.Logger
}

type call func(w http.ResponseWriter, r *http.Request, c Caller) error

// with finds out who calls, and writes the error that a call returns.
func (h *handler) with(f call) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := caller(r)
		if err == nil {
			err = f(w, r, c)
		}
		if err == nil {
			return
		}
		if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
			err = nes.Errorf(nes.CodeTooLarge, "more than %d bytes in one call", large.Limit)
		}
		d := problem.From(err)
		if d.Status >= http.StatusInternalServerError && r.Context().Err() == nil {
			h.log.Error("agent's call failed", "path", r.URL.Path, "error", err, "cause", errors.Unwrap(err))
		}
		w.Header().Set("Content-Type", problem.ContentType)
		w.WriteHeader(d.Status)
		_ = json.NewEncoder(w).Encode(d)
	}
}

func caller(r *http.Request) (Caller, error) {
	attempt, err := strconv.Atoi(r.PathValue("attempt"))
	if err != nil || attempt < 1 {
		return Caller{}, nes.Errorf(nes.CodeNotFound, "there is no attempt %q", r.PathValue("attempt"))
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		return Caller{}, nes.Errorf(nes.CodeUnauthorized, "the attempt's token is needed")
	}
	return Caller{Run: nes.RunID(r.PathValue("run")), Attempt: attempt, Token: token}, nil
}

func (h *handler) launch(w http.ResponseWriter, r *http.Request, c Caller) error {
	launch, err := h.service.Launch(r.Context(), c)
	if err != nil {
		return err
	}
	return answer(w, launch)
}

func (h *handler) bundle(w http.ResponseWriter, r *http.Request, c Caller) error {
	body, err := h.service.Bundle(r.Context(), c)
	if err != nil {
		return err
	}
	defer body.Close()
	w.Header().Set("Content-Type", "application/zstd")
	if _, err := io.Copy(w, body); err != nil {
		h.log.Warn("bundle was not sent whole", "run", c.Run, "error", err)
		panic(http.ErrAbortHandler) // the agent must not take the part for the whole
	}
	return nil
}

func (h *handler) journal(w http.ResponseWriter, r *http.Request, c Caller) error {
	offset, err := strconv.ParseInt(r.URL.Query().Get("offset"), 10, 64)
	if err != nil || offset < 0 {
		return nes.Errorf(nes.CodeInvalid, "offset must be a whole number that is not negative")
	}
	pace, err := h.service.Journal(r.Context(), c, offset, http.MaxBytesReader(w, r.Body, journal.MaxChunk))
	if err != nil {
		return err
	}
	return answer(w, pace)
}

func (h *handler) file(w http.ResponseWriter, r *http.Request, c Caller) error {
	sum := r.Header.Get(SHA256Header)
	body := http.MaxBytesReader(w, r.Body, journal.MaxBlob)
	if err := h.service.PutFile(r.Context(), c, r.PathValue("name"), sum, body); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *handler) exit(w http.ResponseWriter, r *http.Request, c Caller) error {
	var e journal.Exit
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, journal.MaxExit)).Decode(&e); err != nil {
		return nes.Errorf(nes.CodeInvalid, "the exit marker cannot be read: %v", err)
	}
	if e.V != journal.Version { // an empty one would say that all went well
		return nes.Errorf(nes.CodeInvalid, "the exit marker is of version %d, not %d", e.V, journal.Version)
	}
	if err := h.service.Exit(r.Context(), c, e); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func answer(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}
