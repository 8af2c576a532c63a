package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/nes-run/nes"

// layer of a package: it may import packages of a lower layer only.
var layers = []struct {
	name     string
	packages []string
}{
	{"domain", []string{""}},
	{"ports and formats", []string{
		"storage", "runner/journal", "runner/agentapi", "internal/jsonspan", "internal/nbformat", "internal/service", "internal/redact", "internal/strictjson",
		"internal/parameters", "internal/bundle", "internal/fault", "internal/footprint", "internal/nearest", "viewer/notebook", "viewer/web", "viewer/words", "viewer/diff", "api/problem", "internal/access", "runner/driver", "internal/worktree",
		"internal/allowance", "internal/credential",
	}},
	{"engines", []string{
		"gitsource", "internal/intake", "internal/reindex", "internal/ledger", "runner", "runner/reduce", "runner/executor",
		"runner/agent", "runner/record", "api/client", "viewer/render", "internal/config",
	}},
	{"adapters", []string{"api", "viewer", "storage/file", "storage/dir", "storage/gcs", "storage/s3", "runner/local", "runner/kube"}},
	{"wiring", []string{"internal/app"}},
	{"commands", []string{"cmd/nes", "cmd/nes-agent", "deploy/helm"}},
}

// sideways lists the imports inside one layer that are meant.
var sideways = map[string][]string{
	"internal/worktree":   {"internal/bundle"},
	"internal/nbformat":   {"internal/jsonspan"},
	"internal/parameters": {"internal/nbformat"},
	"runner/agentapi":     {"runner/journal", "api/problem"},
	"internal/intake":     {"gitsource"},
	"runner/record":       {"runner/reduce"},
	"runner/agent":        {"runner/executor"},
}

// owners lists, by prefix, the only packages that may import a large library.
var owners = map[string][]string{
	"github.com/labstack/echo":               {"api"},
	"github.com/go-git/":                     {"gitsource"},
	"modernc.org/sqlite":                     {"internal/ledger"},
	"github.com/jackc/pgx":                   {"internal/ledger"},
	"github.com/pressly/goose":               {"internal/ledger"},
	"cloud.google.com/go":                    {"storage/gcs"},
	"github.com/minio/":                      {"storage/s3"},
	"github.com/yuin/goldmark":               {"viewer/render"},
	"github.com/alecthomas/chroma":           {"viewer/render"},
	"github.com/alecthomas/chroma/v2/lexers": {}, // costs every start
	"github.com/microcosm-cc/":               {"viewer/render"},
	"github.com/kelseyhightower":             {"internal/config"},
	"github.com/spf13/cobra":                 {"cmd/nes"},
	"k8s.io/":                                {"runner/kube"},
	"github.com/stretchr/testify":            {},
	"github.com/getkin/kin-openapi":          {},
	"github.com/rogpeppe/go-internal":        {},
}

// thin lists what must stay small: the agent goes into every pod.
var neverReaches = map[string][]string{
	"cmd/nes-agent": {module + "/gitsource", module + "/storage/", module + "/internal/ledger", module + "/viewer", "github.com/labstack/echo", "modernc.org/sqlite", "github.com/jackc/pgx", "k8s.io/"},
	"api/client":    {"github.com/labstack/echo"},
	"viewer":        {"github.com/labstack/echo", "modernc.org/sqlite"},
}

type pkg struct {
	ImportPath string
	Name       string
	Dir        string
	Doc        string
	Imports    []string
	Deps       []string
	GoFiles    []string
}

func (p pkg) rel() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Dir,Doc,Imports,Deps,GoFiles", module+"/...")
	out, err := cmd.Output()
	require.NoError(t, err)
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all = append(all, p)
	}
}

// testSupport reports packages that only tests, the demo and the benchmark use: they may import anything below wiring.
func testSupport(rel string) bool {
	last := rel[strings.LastIndex(rel, "/")+1:]
	return strings.HasSuffix(last, "test") || strings.HasPrefix(rel, "e2e") || strings.HasPrefix(rel, "examples") || rel == "internal/archtest"
}

func layerOf(rel string) int {
	for i, l := range layers {
		if slices.Contains(l.packages, rel) {
			return i
		}
	}
	return -1
}

func TestImportsPointDown(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		rel := p.rel()
		if testSupport(rel) {
			continue
		}
		mine := layerOf(rel)
		require.GreaterOrEqual(t, mine, 0, "package %q has no layer: give it one in imports_test.go", rel)
		for _, imp := range p.Imports {
			if !strings.HasPrefix(imp, module) {
				continue
			}
			to := strings.TrimPrefix(strings.TrimPrefix(imp, module), "/")
			require.False(t, testSupport(to), "%s imports the test package %s", rel, to)
			if slices.Contains(sideways[rel], to) {
				continue
			}
			require.Less(t, layerOf(to), mine, "%s (%s) imports %s (%s)", rel, layers[mine].name, to, layers[layerOf(to)].name)
		}
	}
}

func TestLargeLibrariesHaveOneOwner(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		if testSupport(p.rel()) {
			continue
		}
		for _, imp := range p.Imports {
			for prefix, own := range owners {
				if strings.HasPrefix(imp, prefix) {
					require.Contains(t, own, p.rel(), "%s imports %s", p.rel(), imp)
				}
			}
		}
	}
}

func TestThinPackagesStayThin(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		for _, dep := range p.Deps {
			for _, banned := range neverReaches[p.rel()] {
				require.False(t, strings.HasPrefix(dep, banned), "%s reaches %s", p.rel(), dep)
			}
		}
	}
}

func TestDomainNeedsTheStandardLibraryAlone(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		if p.rel() != "" {
			continue
		}
		for _, dep := range p.Deps {
			require.NotContains(t, strings.Split(dep, "/")[0], ".", "the root package reaches %s", dep)
		}
	}
}

func TestNamesSaySomething(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		for _, empty := range []string{"util", "utils", "common", "helper", "helpers", "manager", "model", "models", "types", "misc"} {
			require.NotEqual(t, empty, p.Name, p.ImportPath)
		}
		require.NotEmpty(t, p.Doc, "package %s has no doc comment", p.ImportPath)
	}
}
