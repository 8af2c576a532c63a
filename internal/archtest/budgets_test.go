package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Budgets: the tail is what makes code tired, so the tail has limits.
const (
	maxFile      = 500
	maxTestFile  = 800
	maxFunc      = 80
	maxTestFunc  = 150
	maxInterface = 5
	minParallel  = 0.9
)

const root = "../.."

type source struct {
	path string
	fset *token.FileSet
	file *ast.File
}

func (s source) lines(n ast.Node) int {
	return s.fset.Position(n.End()).Line - s.fset.Position(n.Pos()).Line + 1
}

func (s source) test() bool {
	return strings.HasSuffix(s.path, "_test.go") || testSupport(filepath.ToSlash(filepath.Dir(s.path)))
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules" || (strings.HasPrefix(d.Name(), ".") && path != root)) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		if ast.IsGenerated(f) {
			return nil
		}
		rel, _ := filepath.Rel(root, path)
		all = append(all, source{rel, fset, f})
		return nil
	})
	require.NoError(t, err)
	return all
}

func TestFilesAndFunctionsStayShort(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		file, fn := maxFile, maxFunc
		if s.test() {
			file, fn = maxTestFile, maxTestFunc
		}
		if n := s.fset.File(s.file.Pos()).LineCount(); n > file {
			t.Errorf("%s has %d lines, more than %d", s.path, n, file)
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && s.lines(f) > fn {
				t.Errorf("%s: %s has %d lines, more than %d", s.path, f.Name.Name, s.lines(f), fn)
			}
		}
	}
}

func TestInterfacesStaySmall(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			ts, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if it, ok := ts.Type.(*ast.InterfaceType); ok && it.Methods.NumFields() > maxInterface {
				t.Errorf("%s: interface %s has %d methods, more than %d", s.path, ts.Name.Name, it.Methods.NumFields(), maxInterface)
			}
			return true
		})
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if strings.HasSuffix(s.path, "_test.go") || s.file.Name.Name == "main" {
			continue
		}
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
					t.Errorf("%s: %s has no doc comment", s.path, d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if ts, ok := spec.(*ast.TypeSpec); ok && ts.Name.IsExported() && d.Doc == nil && ts.Doc == nil {
						t.Errorf("%s: type %s has no doc comment", s.path, ts.Name.Name)
					}
				}
			}
		}
	}
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	if p, ok := typ.(*ast.StarExpr); ok {
		typ = p.X
	}
	if g, ok := typ.(*ast.IndexExpr); ok {
		typ = g.X
	}
	id, ok := typ.(*ast.Ident)
	return ok && id.IsExported()
}

func TestMostTestsRunInParallel(t *testing.T) {
	t.Parallel()
	total, parallel := 0, 0
	var serial []string
	for _, s := range sources(t) {
		if !strings.HasSuffix(s.path, "_test.go") {
			continue
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") || f.Name.Name == "TestMain" {
				continue
			}
			total++
			if callsParallel(f) {
				parallel++
			} else {
				serial = append(serial, s.path+": "+f.Name.Name)
			}
		}
	}
	require.GreaterOrEqual(t, float64(parallel)/float64(total), minParallel, "not parallel: %v", serial)
}

func callsParallel(f *ast.FuncDecl) bool {
	found := false
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Parallel" {
			found = true
		}
		return !found
	})
	return found
}

// named finds paths of this repository in documents: in backquotes, with a slash, below a folder of ours.
var named = regexp.MustCompile("`((?:api|cmd|deploy|docs|e2e|examples|gitsource|internal|operators|runner|storage|viewer)/[\\w./-]+)`")

func TestPathsThatDocumentsNameExist(t *testing.T) {
	t.Parallel()
	var docs []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/adr/*.md", "operators/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		docs = append(docs, found...)
	}
	require.NotEmpty(t, docs)
	for _, doc := range docs {
		text := readFile(t, doc)
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			matches, err := filepath.Glob(filepath.Join(root, strings.TrimRight(m[1], "/.")))
			require.NoError(t, err)
			if len(matches) == 0 {
				t.Errorf("%s names %s, which does not exist", doc, m[1])
			}
		}
	}
}
