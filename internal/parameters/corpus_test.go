package parameters_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/nbformat"
	"github.com/nes-run/nes/internal/parameters"
)

// elsewhere are the notebooks of other packages' tests and examples, papermill's own among them: "make corpus" brings them.
func elsewhere(t *testing.T) map[string]*nbformat.Notebook {
	t.Helper()
	dir := os.Getenv("NES_CORPUS")
	if dir == "" {
		dir = filepath.Join("..", "..", ".corpus")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.ipynb"))
	require.NoError(t, err)
	if len(files) == 0 {
		require.Empty(t, os.Getenv("CI"), "run make corpus")
		t.Skip("there is no corpus: make corpus brings it, or set NES_CORPUS")
	}
	found := map[string]*nbformat.Notebook{}
	for _, file := range files {
		f, err := os.Open(file)
		require.NoError(t, err)
		nb, err := nbformat.Read(f, 64<<20)
		require.NoError(t, f.Close())
		if err == nil {
			found[filepath.Base(file)] = nb
		}
	}
	return found
}

// tagged is the source of the cell with the tag; ok is false where there is none.
func tagged(nb *nbformat.Notebook) (source string, ok bool) {
	for i := range nb.Cells {
		for _, tag := range nb.Cells[i].Tags() {
			if tag == "parameters" {
				return nb.Cells[i].Source, true
			}
		}
	}
	return "", false
}

// Of real notebooks that declare parameters, each is read, with the names that papermill finds.
func TestNotebooksFromElsewhereDeclareWhatPapermillFinds(t *testing.T) {
	t.Parallel()
	var names, cells []string
	schemas := map[string]parameters.Schema{}
	for name, nb := range elsewhere(t) {
		source, ok := tagged(nb)
		s := parameters.Inspect(nb)
		require.Equal(t, ok && s.Declared, s.Declared, name)
		if ok && s.Language == "python" {
			names, cells, schemas[name] = append(names, name), append(cells, source), s
		}
	}
	require.GreaterOrEqual(t, len(names), 20, "the corpus has too few notebooks with parameters")
	for i, want := range papermill(t, cells) {
		s := schemas[names[i]]
		require.True(t, s.Declared, "%s: %s", names[i], cells[i])
		have := map[string]string{}
		for _, p := range s.Parameters {
			have[p.Name] = p.Source
		}
		for _, w := range want {
			require.Contains(t, have, w.Name, "%s: %s", names[i], cells[i])
			if strings.Contains(have[w.Name], "\n") {
				continue // papermill joins the lines and drops the comments in them
			}
			source, _, _ := strings.Cut(w.Default, "\n")
			require.True(t, strings.HasPrefix(source, have[w.Name]), "%s: papermill reads %q, we %q", names[i], source, have[w.Name])
		}
	}
}

// Each notebook takes its own defaults, unchanged, and refuses a name that it does not have.
func TestNotebooksFromElsewhereTakeTheirOwnDefaults(t *testing.T) {
	t.Parallel()
	fitted := 0
	for name, nb := range elsewhere(t) {
		s := parameters.Inspect(nb)
		own := map[string]json.RawMessage{}
		for _, p := range s.Parameters {
			if p.Default != nil {
				own[p.Name] = p.Default
			}
		}
		got, conversions, err := parameters.Fit(s, own)
		require.NoError(t, err, name)
		require.Empty(t, conversions, name)
		require.Equal(t, own, got, name)
		fitted += len(own)
		_, _, err = parameters.Fit(s, map[string]json.RawMessage{"surely_not_a_parameter": json.RawMessage("1")})
		require.Equal(t, s.Declared, err != nil, name)
	}
	require.NotZero(t, fitted)
}

// The notebooks that declare nothing say so: there is no parameter that nobody tagged.
func TestNotebooksWithoutTheTagDeclareNothing(t *testing.T) {
	t.Parallel()
	without := 0
	for name, nb := range elsewhere(t) {
		if _, ok := tagged(nb); ok {
			continue
		}
		without++
		s := parameters.Inspect(nb)
		require.False(t, s.Declared, name)
		require.Empty(t, s.Parameters, name)
		require.Empty(t, s.Notes, name)
	}
	require.NotZero(t, without)
}
