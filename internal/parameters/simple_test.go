package parameters_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes/internal/nbformat"
	"github.com/nes-run/nes/internal/parameters"
)

func TestInspectRValues(t *testing.T) {
	t.Parallel()
	check(t, "R", []row{
		{`x <- 0`, inferred("x", "int", "0", "0")},
		{`x <<- 0`, inferred("x", "int", "0", "0")},
		{`x <- 1e3`, inferred("x", "float", "1e3", "1e3")},
		{`x <- 1.`, inferred("x", "float", "1.", "1.0")},
		{`x <- 0x10L`, inferred("x", "int", "0x10L", "16")},
		{`x <- 1.5L`, inferred("x", "", "1.5L", "")},
		{`x <- 2i`, inferred("x", "", "2i", "")},
		{`x <- Inf`, inferred("x", "", "Inf", "")},
		{`x <- T`, inferred("x", "bool", "T", "true")},
		{`x <- FALSE`, inferred("x", "bool", "FALSE", "false")},
		{`x <- True`, inferred("x", "", "True", "")},
		{`x <- "a" # help`, helped(inferred("x", "str", `"a"`, `"a"`), "help")},
		{"x <- 'two\nlines'", inferred("x", "str", "'two\nlines'", `"two\nlines"`)},
		{`x <- "\u{1F600}"`, inferred("x", "str", `"\u{1F600}"`, "")},
		{`x <- "a" "b"`, inferred("x", "", `"a" "b"`, "")},
		{`x <- paste("a", "b")`, inferred("x", "", `paste("a", "b")`, "")},
		{`x <- c()`, inferred("x", "list", "c()", "[]")},
		{`x <- c(1, c(2, 3))`, inferred("x", "list", "c(1, c(2, 3))", "[1,[2,3]]")},
		{`x <- c(TRUE, NA)`, inferred("x", "list", "c(TRUE, NA)", "")},
		{`x <- list("a", 2L)`, inferred("x", "list", `list("a", 2L)`, `["a",2]`)},
		{`x <- list(a = c(1, 2), "b c" = NULL)`, inferred("x", "dict", `list(a = c(1, 2), "b c" = NULL)`, `{"a":[1,2],"b c":null}`)},
		{`x <- list(a = f())`, inferred("x", "dict", `list(a = f())`, "")},
		{`x <- 1:10`, inferred("x", "", "1:10", "")},
		{`x <- base::c(1)`, inferred("x", "", "base::c(1)", "")},
		{`x.y <- 1`, inferred("x.y", "int", "1", "1")},
		{`x = c(a == 1)`, inferred("x", "list", "c(a == 1)", "")},
		{`x <- function(a = 1) a`, inferred("x", "", "function(a = 1) a", "")},
		{"x <- 1; # end", helped(inferred("x", "int", "1", "1"), "end")},
	})
}

// TestRNoAssignedNameIsMissed: a name that the reader misses could not be given.
func TestRNoAssignedNameIsMissed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ cell, want string }{
		{"x <- 1; y = 2\nz <<- 3", "x y z"},
		{"5 -> x", "x"},
		{"5 ->> x", "x"},
		{"f(a) -> x # piped to the right", "x"},
		{"x = y <- 3", "x y"},
		{"x <- y <- z <- 3", "x y z"},
		{"if (a) x <- 3", "x"},
		{"if (a) x <- 3 else y <- 4", "x y"},
		{"if (a) x = 3", "x"},
		{"if (a) { x <- 3 } else { y = 4 }", "x y"},
		{"if (a) {\n  x <- 3\n  y <- 4\n}", "x y"},
		{"f(x <- 3)", "x"},
		{"f(a = 3)", ""},
		{"x <- f(a = 3, b = list(c = 1))", "x"},
		{"x[1] <- 2", ""},
		{"names(x) <- 'a'", ""},
		{"x$a <- 1", "a"}, // taken for a name: better one too many than one that cannot be given
		{"x == 1", ""},
		{"x <= 1", ""},
		{"library(dplyr)", ""},
		{"# x <- 1", ""},
		{"'x <- 1'", ""},
		{"-> x", "x"},
		{"x ->", ""},
		{"<- 1", ""},
	} {
		t.Run(c.cell, func(t *testing.T) {
			t.Parallel()
			s := inspect(t, "R", c.cell)
			require.True(t, s.Declared)
			require.ElementsMatch(t, strings.Fields(c.want), namesOf(s))
		})
	}
	for _, cell := range []string{"`x y` <- 1", "a <- 1\n`b` <- 2", "x <- 'open", "x <- c(1", "x <- \"a\\"} {
		require.False(t, inspect(t, "R", cell).Declared, cell)
	}
}

func TestInspectJuliaValues(t *testing.T) {
	t.Parallel()
	check(t, "julia", []row{
		{`x = 0x1f`, inferred("x", "int", "0x1f", "31")},
		{`x = 1_000`, inferred("x", "int", "1_000", "1000")},
		{`x = 1.5e3`, inferred("x", "float", "1.5e3", "1.5e3")},
		{`x = 2im`, inferred("x", "", "2im", "")},
		{`x = 2y`, inferred("x", "", "2y", "")},
		{`x = false`, inferred("x", "bool", "false", "false")},
		{`x = nothing`, inferred("x", "none", "nothing", "null")},
		{`x = missing`, inferred("x", "", "missing", "")},
		{`x = :symbol`, inferred("x", "", ":symbol", "")},
		{`x = 'c'`, inferred("x", "", "'c'", "")},
		{`x = "한글"`, inferred("x", "str", `"한글"`, `"한글"`)},
		{"x = \"\"\"a\nb\"\"\"", inferred("x", "str", "\"\"\"a\nb\"\"\"", `"a\nb"`)},
		{`x = "a" * "b"`, inferred("x", "", `"a" * "b"`, "")},
		{`x = []`, inferred("x", "list", "[]", "[]")},
		{`x = [1, 2.5, "a"]`, inferred("x", "list", `[1, 2.5, "a"]`, `[1,2.5,"a"]`)},
		{`x = [1; 2]`, inferred("x", "list", "[1; 2]", "")},
		{`x = [1 2]`, inferred("x", "list", "[1 2]", "")},
		{`x = Dict()`, inferred("x", "dict", "Dict()", "{}")},
		{`x = Dict("a" => [1], "b" => Dict("c" => nothing))`, inferred("x", "dict", `Dict("a" => [1], "b" => Dict("c" => nothing))`, `{"a":[1],"b":{"c":null}}`)},
		{`x = Dict(1 => 2)`, inferred("x", "dict", "Dict(1 => 2)", "")},
		{`x = f("a")`, inferred("x", "", `f("a")`, "")},
		{`x::Int = 3 # help`, helped(declared("x", "int", "3", "3"), "help")},
		{`x::Bool = true`, declared("x", "bool", "true", "true")},
		{`x::String = "a"`, declared("x", "str", `"a"`, `"a"`)},
		{`x::Dict{String, Int} = Dict()`, declared("x", "dict", "Dict()", "{}")},
		{`x::Date = today()`, declared("x", "", "today()", "")},
		{`x::Union{Nothing, String} = "a"`, optional(declared("x", "str", `"a"`, `"a"`))},
		{`x::Union{Int, String} = 1`, declared("x", "", "1", "1")},
		{`x::Union{Int, String, Nothing} = 1`, optional(declared("x", "", "1", "1"))},
		{`x::Int = nothing`, optional(declared("x", "int", "nothing", "null"))},
		{`global x = 1`, inferred("x", "int", "1", "1")},
		{"x = 1 #= one =# # two", helped(inferred("x", "int", "1", "1"), "two")},
		{"변수 = 1", inferred("변수", "int", "1", "1")},
	})
}

func TestJuliaNoAssignedNameIsMissed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ cell, want string }{
		{"x = 1; y = 2\nz = 3", "x y z"},
		{"x, y = 1, 2", "x y"},
		{"(x, y) = f()", "x y"},
		{"x, (y, z) = f()", "x y z"},
		{"x = y = 3", "x y"},
		{"const x = 1", "x"},
		{"if a\n  x = 1\nelse\n  y = 2\nend", "x y"},
		{"if a x = 1 end", "x"},
		{"begin x = 1 end", "x"},
		{"x == 1", ""},
		{"x += 1", ""},
		{"f(a = 1)", ""},
		{"x.y = 1", ""},
		{"x[1] = 1", ""},
		{"f(a) = a^2", ""},
		{"using Dates", ""},
		{"# x = 1", ""},
		{"#=\nx = 1\n=#\ny = 2", "y"},
	} {
		t.Run(c.cell, func(t *testing.T) {
			t.Parallel()
			s := inspect(t, "julia", c.cell)
			require.True(t, s.Declared)
			require.ElementsMatch(t, strings.Fields(c.want), namesOf(s))
		})
	}
}

// TestChainsInJuliaShareTheirValue as they do in Python.
func TestChainsInJuliaShareTheirValue(t *testing.T) {
	t.Parallel()
	want := []parameters.Parameter{inferred("x", "int", "3", "3"), inferred("y", "int", "3", "3")}
	require.Equal(t, want, inspect(t, "julia", "x = y = 3").Parameters)
	require.Equal(t, want, inspect(t, "python", "x = y = 3").Parameters)
}

func TestTypesByComment(t *testing.T) {
	t.Parallel()
	check(t, "python", []row{
		{"x = 1 # type: int", declared("x", "int", "1", "1")},
		{"x = 1 # type:int", declared("x", "int", "1", "1")},
		{"x = 1 # type: int\tafter a tab", helped(declared("x", "int", "1", "1"), "after a tab")},
		{"x = {} # type: Dict[str, int] by name", helped(declared("x", "dict", "{}", "{}"), "by name")},
		{"x = {} # type: Dict[str, List[int]]", declared("x", "dict", "{}", "{}")},
		{"x = 'a' # type: Literal['a', 'b'] which", helped(choosing(declared("x", "str", "'a'", `"a"`), `"a"`, `"b"`), "which")},
		{"x = 1 # type: Optional[int] perhaps", helped(optional(declared("x", "int", "1", "1")), "perhaps")},
		{"x = 1 # type: ignore[assignment] why", helped(inferred("x", "int", "1", "1"), "why")},
		{"x = 1 # type: Dict[", declared("x", "", "1", "1")},
		{"x = 1 # type: ]", declared("x", "", "1", "1")},
		{"x = 1 # type:", inferred("x", "int", "1", "1")},
		{"x = 1 # typed: int", helped(inferred("x", "int", "1", "1"), "typed: int")},
		{"x: str = 1 # type: int", helped(declared("x", "str", "1", "1"), "type: int")},
	})
}

func TestTypesByAnnotation(t *testing.T) {
	t.Parallel()
	for annotation, want := range map[string]parameters.Parameter{
		"int":                              {Type: "int"},
		"float":                            {Type: "float"},
		"bool":                             {Type: "bool"},
		"str":                              {Type: "str"},
		"builtins.str":                     {Type: "str"},
		"Tuple[int, str]":                  {Type: "list"},
		"Sequence[str]":                    {Type: "list"},
		"collections.abc.Mapping[str,int]": {Type: "dict"},
		"MutableMapping":                   {Type: "dict"},
		"datetime.datetime":                {Type: "date"},
		"None":                             {Type: "none", Optional: true},
		"type(None)":                       {},
		"Any":                              {},
		"object":                           {},
		"set":                              {},
		"np.int64":                         {},
		"Optional[List[str]]":              {Type: "list", Optional: true},
		"Optional['int']":                  {Type: "int", Optional: true},
		"'Optional[int]'":                  {Type: "int", Optional: true},
		"'not a type'":                     {},
		"''":                               {},
		"b'int'":                           {Type: "int"},
		"Union[int]":                       {Type: "int"},
		"Union[int, int]":                  {Type: "int"},
		"Union[None, int, None]":           {Type: "int", Optional: true},
		"Union[int, float]":                {},
		"int | float | None":               {Optional: true},
		"int | Foo":                        {},
		"Foo | None":                       {Optional: true},
		"None | None":                      {Optional: true},
		"List[int] | Tuple[int]":           {Type: "list"},
		"Final[int]":                       {Type: "int"},
		"Annotated[Optional[int], 'x']":    {Type: "int", Optional: true},
		"ClassVar[dict]":                   {Type: "dict"},
		"Literal['a']":                     {Type: "str", Choices: []json.RawMessage{[]byte(`"a"`)}},
		"Literal[True, False]":             {Type: "bool", Choices: []json.RawMessage{[]byte("true"), []byte("false")}},
		"Literal[-1, 0x10]":                {Type: "int", Choices: []json.RawMessage{[]byte("-1"), []byte("16")}},
		"Literal[None, 'a']":               {Type: "str", Optional: true, Choices: []json.RawMessage{[]byte(`"a"`)}},
		"Literal[A.b]":                     {},
		"Literal[b'a']":                    {},
		"Literal[]":                        {},
		"int if a else str":                {},
	} {
		t.Run(annotation, func(t *testing.T) {
			t.Parallel()
			s := inspect(t, "python", "x: "+annotation)
			require.Len(t, s.Parameters, 1)
			want.Name = "x"
			require.Equal(t, want, s.Parameters[0])
		})
	}
	deep := strings.Repeat("Optional[", 99) + "int" + strings.Repeat("]", 99)
	require.Len(t, inspect(t, "python", "x: "+deep).Parameters, 1, "depth is bounded, not refused")
}

// TestLanguageOfANotebook: which words of its metadata say in which language the cell is read.
func TestLanguageOfANotebook(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ metadata, want string }{
		{`{"kernelspec":{"language":"python"}}`, "python"},
		{`{"kernelspec":{"language":"Python"}}`, "python"},
		{`{"language_info":{"name":"ipython"}}`, "python"},
		{`{"language_info":{"name":"python3"}}`, "python"},
		{`{"kernelspec":{"name":"python3"}}`, "python"},
		{`{"kernelspec":{"name":"python"}}`, "python"},
		{`{"kernelspec":{"name":"python2"}}`, "python"},
		{`{"kernelspec":{"name":"ir"}}`, "r"},
		{`{"kernelspec":{"name":"ir","language":"R"}}`, "r"},
		{`{"kernelspec":{"name":"julia-1.10","language":"julia"}}`, "julia"},
		{`{"kernelspec":{"name":"my-env"}}`, ""},
		{`{"kernelspec":{"name":"bash","language":"bash"}}`, "bash"},
		{`{}`, ""},
	} {
		t.Run(c.metadata, func(t *testing.T) {
			t.Parallel()
			nb, err := nbformat.Read(strings.NewReader(`{"nbformat":4,"nbformat_minor":4,"cells":[{"cell_type":"code","metadata":{"tags":["parameters"]},"source":"x = 1"}],"metadata":`+c.metadata+`}`), 1<<20)
			require.NoError(t, err)
			s := parameters.Inspect(nb)
			require.Equal(t, c.want, s.Language)
			read := c.want == "python" || c.want == "r" || c.want == "julia"
			require.Equal(t, read, s.Declared)
			require.Equal(t, read, len(s.Parameters) == 1)
		})
	}
}

// TestReservedWords: each language refuses its own, in full, and takes the others'.
func TestReservedWords(t *testing.T) {
	t.Parallel()
	words := map[string][]string{
		"python": {"False", "None", "True", "__debug__", "and", "await", "class", "def", "is", "lambda", "nonlocal", "with", "yield"},
		"r":      {"FALSE", "NA", "NULL", "TRUE", "Inf", "NaN", "function", "next", "repeat"},
		"julia":  {"begin", "end", "function", "global", "module", "struct", "using", "true"},
		"bash":   {"case", "done", "esac", "fi", "function", "then", "until"},
	}
	for language, own := range words {
		for _, word := range own {
			_, _, err := parameters.Fit(parameters.Schema{Language: language}, raw(word, "1"))
			require.Contains(t, requireProblems(t, err, "parameters."+word)[0].Message, "reserved", "%s in %s", word, language)
		}
	}
	for word, languages := range map[string]string{"end": "python r bash", "NULL": "python julia bash", "lambda": "r julia bash", "esac": "python r julia", "match": "python r julia bash"} {
		for language := range strings.FieldsSeq(languages) {
			_, _, err := parameters.Fit(parameters.Schema{Language: language}, raw(word, "1"))
			require.NoError(t, err, "%s in %s", word, language)
		}
	}
}
