package viewer

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/storage"
	"github.com/nes-run/nes/viewer/render"
)

// model is a file or folder as Jupyter's contents API describes it.
type model struct {
	Name         string     `json:"name"`
	Path         string     `json:"path"`
	Type         string     `json:"type"` // directory, notebook or file
	Writable     bool       `json:"writable"`
	Created      *time.Time `json:"created"`
	LastModified *time.Time `json:"last_modified"`
	MIMEType     *string    `json:"mimetype"`
	Size         *int64     `json:"size"`
	Content      any        `json:"content"`
	Format       *string    `json:"format"`
}

// contents takes GET /api/contents/..., as Jupyter's servers and Commuter do. It only reads.
func (v *viewer) contents(w http.ResponseWriter, r *http.Request) error {
	key := strings.Trim(r.PathValue("key"), "/")
	m, err := v.model(r, key, r.URL.Query().Get("content") != "0")
	if err != nil {
		return err
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return nes.Errorf(nes.CodeUnprocessable, "%s is not JSON, as a notebook is", key)
	}
	render.SandboxHeaders(w.Header())
	w.Header().Set("Content-Type", "application/json")
	send(w, r, http.StatusOK, raw)
	return nil
}

func (v *viewer) model(r *http.Request, key string, content bool) (*model, error) {
	if err := valid(key); err != nil {
		return nil, err
	}
	if key != "" {
		o, err := v.object(r, key)
		if err == nil {
			return v.fileModel(r, o, content)
		}
		if nes.CodeOf(err) != nes.CodeNotFound {
			return nil, err
		}
	}
	if err := access.Authorize(access.From(r.Context()), access.ActionBrowse, nil); err != nil {
		return nil, err
	}
	prefix := key
	if prefix != "" {
		prefix += "/"
	}
	entries, _, err := v.entries(r.Context(), prefix)
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 && key != "" {
		return nil, nes.Errorf(nes.CodeNotFound, "there is no file or folder %q", key)
	}
	m := &model{Name: strings.Trim(path.Base("/"+key), "/"), Path: key, Type: "directory"}
	if content {
		list := make([]*model, 0, len(entries))
		for _, e := range entries {
			list = append(list, entryModel(prefix, e))
		}
		m.Content, m.Format = list, text("json")
	}
	return m, nil
}

func entryModel(prefix string, e entry) *model {
	m := &model{Name: e.Name, Path: prefix + e.Name, Type: "file"}
	switch {
	case e.Folder:
		m.Type = "directory"
		return m
	case e.Notebook:
		m.Type = "notebook"
	default:
		m.MIMEType = text(storage.TypeByName(e.Name))
	}
	m.Created, m.LastModified, m.Size = &e.Modified, &e.Modified, &e.Size
	return m
}

func (v *viewer) fileModel(r *http.Request, o storage.Object, content bool) (*model, error) {
	name := path.Base(o.Key)
	m := entryModel(strings.TrimSuffix(o.Key, name), entry{Name: name, Notebook: strings.HasSuffix(name, ".ipynb"), Size: o.Size, Modified: o.Modified})
	if !content {
		return m, nil
	}
	if o.Size > maxContent {
		return nil, nes.Errorf(nes.CodeUnprocessable, "%s is too large for this call: its bytes are at /files/%s", o.Key, o.Key)
	}
	_, body, err := v.Files.Open(r.Context(), o.Key, 0, -1)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	raw, err := io.ReadAll(io.LimitReader(body, maxContent+1))
	switch {
	case err != nil:
		return nil, err
	case m.Type == "notebook":
		m.Content, m.Format = json.RawMessage(raw), text("json")
	case utf8.Valid(raw):
		m.Content, m.Format = string(raw), text("text")
	default:
		m.Content, m.Format = base64.StdEncoding.EncodeToString(raw), text("base64")
	}
	return m, nil
}

func text(s string) *string { return &s }
