package viewer

import (
	"context"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/storage"
)

// Of a folder's page.
const (
	folderPage = 1000   // entries on a page
	maxFolder  = 20_000 // entries that are read
)

// folderPageData shows what lies in a folder of the bucket.
type folderPageData struct {
	page
	Crumbs      []crumb
	Entries     []entry
	Total       int
	Cut         bool // there is more than is read
	Sort        string
	Heads       []Switch
	Prev, Next  string
	Readme      *filePage
	ReadmeTitle string
}

type crumb struct{ Name, URL string }

type entry struct {
	Name, URL string
	Folder    bool
	Notebook  bool
	Size      int64
	Modified  time.Time
}

func (v *viewer) toTree(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, v.Prefix+"/view/", http.StatusFound)
	return nil
}

// tree shows a folder or a file of the bucket.
func (v *viewer) tree(w http.ResponseWriter, r *http.Request) error {
	key := r.PathValue("key")
	if err := valid(key); err != nil {
		return err
	}
	if key == "" || strings.HasSuffix(key, "/") {
		return v.folder(w, r, key)
	}
	object, err := v.object(r, key)
	if nes.CodeOf(err) == nes.CodeNotFound {
		found, listErr := v.Files.List(r.Context(), storage.ListOptions{Prefix: key + "/", Delimiter: "/", Limit: 1})
		if listErr != nil {
			return listErr
		}
		if len(found.Objects)+len(found.Prefixes) > 0 {
			http.Redirect(w, r, v.Prefix+"/view/"+escaped(key)+"/", http.StatusFound)
			return nil
		}
	}
	if err != nil {
		return err
	}
	if r.Header.Get("Sec-Fetch-Dest") == "image" { // of a notebook that shows its neighbour
		http.Redirect(w, r, v.Prefix+"/files/"+escaped(key), http.StatusFound)
		return nil
	}
	return v.filePage(w, r, object)
}

// valid refuses what can be neither a file nor a folder.
func valid(key string) error {
	if key = strings.TrimSuffix(key, "/"); key != "" && storage.ValidateKey(key) != nil {
		return nes.Errorf(nes.CodeNotFound, "there is no file %q", key)
	}
	return nil
}

// object describes an object that the caller may see: an administrator any, others those of the runs that they may see.
func (v *viewer) object(r *http.Request, key string) (storage.Object, error) {
	if err := valid(key); err != nil {
		return storage.Object{}, err
	}
	if err := v.mayOpen(r.Context(), key); err != nil {
		return storage.Object{}, err
	}
	return v.Files.Stat(r.Context(), key)
}

var runInKey = regexp.MustCompile(`[/]([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})[./]`)

func (v *viewer) mayOpen(ctx context.Context, key string) error {
	caller := access.From(ctx)
	refused := access.Authorize(caller, access.ActionBrowse, nil)
	if refused == nil || v.Runs == nil {
		return refused
	}
	m := runInKey.FindStringSubmatch(key)
	if m == nil {
		return refused
	}
	run, err := v.Runs.Run(ctx, nes.RunID(m[1]))
	if err != nil || access.Authorize(caller, access.ActionRead, &run) != nil {
		return refused
	}
	for n := 1; n <= run.Attempt; n++ {
		if key == storage.NotebookKey(&run, n) || strings.HasPrefix(key, storage.AttemptPrefix(&run, n)) {
			return nil
		}
	}
	return refused
}

func (v *viewer) folder(w http.ResponseWriter, r *http.Request, prefix string) error {
	if err := access.Authorize(access.From(r.Context()), access.ActionBrowse, nil); err != nil {
		return err
	}
	q := r.URL.Query()
	p := folderPageData{page: v.page(r, path.Base("/"+strings.TrimSuffix(prefix, "/"))), Crumbs: v.crumbs(prefix), Sort: q.Get("sort")}
	if p.Here = "files"; prefix == "" {
		p.Title = p.Lang.Say("Files")
	}
	entries, cut, err := v.entries(r.Context(), prefix)
	if err != nil {
		return err
	}
	if len(entries) == 0 && prefix != "" {
		return nes.Errorf(nes.CodeNotFound, "there is no folder %q", prefix)
	}
	sortEntries(entries, p.Sort)
	p.Total, p.Cut = len(entries), cut
	number, _ := strconv.Atoi(q.Get("page"))
	number = min(max(number, 0), max(0, (len(entries)-1)/folderPage))
	p.Entries = entries[number*folderPage : min((number+1)*folderPage, len(entries))]
	at := func(sort string, page int) string {
		c := url.Values{}
		if sort != "" {
			c.Set("sort", sort)
		}
		if page > 0 {
			c.Set("page", strconv.Itoa(page))
		}
		return strings.TrimSuffix(v.Prefix+"/view/"+escaped(prefix)+"?"+c.Encode(), "?")
	}
	if number > 0 {
		p.Prev = at(p.Sort, number-1)
	}
	if (number+1)*folderPage < len(entries) {
		p.Next = at(p.Sort, number+1)
	}
	p.Heads = heads(p.Sort, func(sort string) string { return at(sort, 0) })
	if number == 0 {
		p.Readme, p.ReadmeTitle = v.readme(r, entries, prefix)
	}
	return v.show(w, r, http.StatusOK, "folder.html", p)
}

// heads are the columns of a folder, each with the address that sorts by it.
func heads(now string, at func(string) string) (list []Switch) {
	for _, h := range []struct{ key, word, first string }{{"name", "Name", ""}, {"size", "Size", "-size"}, {"time", "Changed", "-time"}} {
		next := h.first
		if now == h.first {
			next = map[string]string{"name": "-name", "size": "size", "time": "time"}[h.key]
		}
		on := strings.TrimPrefix(now, "-") == h.key || now == "" && h.key == "name"
		value := "ascending"
		if strings.HasPrefix(now, "-") {
			value = "descending"
		}
		list = append(list, Switch{Key: h.key, Word: h.word, Value: value, URL: at(next), On: on})
	}
	return list
}

// entries reads a folder, to the limit.
func (v *viewer) entries(ctx context.Context, prefix string) (list []entry, cut bool, err error) {
	for after := ""; ; {
		found, err := v.Files.List(ctx, storage.ListOptions{Prefix: prefix, Delimiter: "/", After: after})
		if err != nil {
			return nil, false, err
		}
		for _, folder := range found.Prefixes {
			list = append(list, entry{Name: strings.TrimSuffix(strings.TrimPrefix(folder, prefix), "/"), URL: v.Prefix + "/view/" + escaped(folder), Folder: true})
		}
		for _, o := range found.Objects {
			if name := strings.TrimPrefix(o.Key, prefix); name != "" {
				list = append(list, entry{Name: name, URL: v.Prefix + "/view/" + escaped(o.Key), Notebook: strings.HasSuffix(name, ".ipynb"), Size: o.Size, Modified: o.Modified})
			}
		}
		if after = found.Next; after == "" {
			return list, false, nil
		}
		if len(list) >= maxFolder {
			return list, true, nil
		}
	}
}

// sortEntries puts folders first, and then what by says: name, size or time, with a minus the other way round.
func sortEntries(list []entry, by string) {
	key, down := strings.CutPrefix(by, "-")
	sort.SliceStable(list, func(i, j int) bool {
		a, b := list[i], list[j]
		if a.Folder != b.Folder {
			return a.Folder
		}
		if down {
			a, b = b, a
		}
		switch {
		case key == "size" && a.Size != b.Size:
			return a.Size < b.Size
		case key == "time" && !a.Modified.Equal(b.Modified):
			return a.Modified.Before(b.Modified)
		}
		return a.Name < b.Name
	})
}

// crumbs lead to the folders above a key.
func (v *viewer) crumbs(key string) []crumb {
	list := []crumb{{"", v.Prefix + "/view/"}}
	parts := strings.Split(strings.TrimSuffix(key, "/"), "/")
	for i, name := range parts[:len(parts)-1] {
		list = append(list, crumb{name, v.Prefix + "/view/" + escaped(strings.Join(parts[:i+1], "/")) + "/"})
	}
	return list
}

func (v *viewer) readme(r *http.Request, entries []entry, prefix string) (*filePage, string) {
	for _, e := range entries {
		if e.Folder || !strings.EqualFold(e.Name, "readme.md") {
			continue
		}
		o, err := v.Files.Stat(r.Context(), prefix+e.Name)
		if err != nil {
			return nil, ""
		}
		p := filePage{page: v.page(r, e.Name), Object: o}
		if v.fillText(r.Context(), &p, "markdown") != nil {
			return nil, ""
		}
		return &p, e.Name
	}
	return nil, ""
}
