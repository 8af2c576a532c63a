package problem_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/problem"
)

func answer(status int, kind, body string) *http.Response {
	return &http.Response{StatusCode: status, Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body))}
}

// TestReadBelievesDocumentsAlone: what is no problem document, or a broken one, is told by its status and never quoted.
func TestReadBelievesDocumentsAlone(t *testing.T) {
	t.Parallel()
	whole := `{"code":"busy","detail":"come back","problems":[{"field":"a","message":"b"}],"reason":"CellError","unknown":1}`
	for name, c := range map[string]struct {
		kind, body string
		code       nes.Code
		says       string
	}{
		"a document":              {problem.ContentType, whole, nes.CodeBusy, "come back"},
		"with a charset":          {problem.ContentType + `; charset="utf-8"`, whole, nes.CodeBusy, "come back"},
		"in capitals":             {"Application/Problem+JSON", whole, nes.CodeBusy, "come back"},
		"of another kind":         {"application/json", whole, nes.CodeNotFound, "the server answered 404 Not Found"},
		"of no kind":              {"", whole, nes.CodeNotFound, "the server answered 404"},
		"of a broken kind":        {";;", whole, nes.CodeNotFound, "the server answered 404"},
		"without a code":          {problem.ContentType, `{"detail":"x"}`, nes.CodeNotFound, "the server answered 404"},
		"with a code not known":   {problem.ContentType, `{"code":"teapot","detail":"short and stout"}`, "teapot", "short and stout"},
		"without words":           {problem.ContentType, `{"code":"busy","title":"Too much at once"}`, nes.CodeBusy, "Too much at once"},
		"cut":                     {problem.ContentType, whole[:40], nes.CodeNotFound, "the server answered 404"},
		"empty":                   {problem.ContentType, "", nes.CodeNotFound, "the server answered 404"},
		"a list":                  {problem.ContentType, "[]", nes.CodeNotFound, "the server answered 404"},
		"of another shape":        {problem.ContentType, `{"code":7}`, nes.CodeNotFound, "the server answered 404"},
		"larger than is read":     {problem.ContentType, `{"detail":"` + strings.Repeat("x", problem.MaxSize) + `","code":"busy"}`, nes.CodeNotFound, "the server answered 404"},
		"as large as is read":     {problem.ContentType, `{"code":"busy","detail":"` + strings.Repeat("x", problem.MaxSize-27) + `"}`, nes.CodeBusy, "xxx"},
		"a page in disguise":      {problem.ContentType, "<html>sign in</html>", nes.CodeNotFound, "the server answered 404"},
		"a page that says so":     {"text/html", "<html>sign in</html>", nes.CodeNotFound, "the server answered 404"},
		"a document and what not": {problem.ContentType, whole + "trailing", nes.CodeBusy, "come back"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := problem.Read(answer(404, c.kind, c.body))
			require.Equal(t, c.code, nes.CodeOf(err))
			require.Contains(t, err.Error(), c.says)
			require.NotContains(t, err.Error(), "html")
		})
	}
}

func TestDetailsAsJSON(t *testing.T) {
	t.Parallel()
	d := problem.From(&nes.Error{Code: nes.CodeNotFound, Message: "there is no run"})
	text, err := json.Marshal(d)
	require.NoError(t, err)
	require.JSONEq(t, `{"type":"/docs#error-not_found","title":"There is no such thing","status":404,"detail":"there is no run","code":"not_found"}`, string(text))
	d.Instance, d.RequestID, d.Run = "/v1/runs/x", "r", "x"
	text, err = json.Marshal(d)
	require.NoError(t, err)
	var back problem.Details
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, d, back)
}

// TestFaultsSayWhereToLook: of what went wrong inside, nothing is told but where it is written.
func TestFaultsSayWhereToLook(t *testing.T) {
	t.Parallel()
	for _, err := range []error{io.EOF, &nes.Error{Code: nes.CodeInternal, Message: "secret"}, &nes.Error{Code: "invented", Message: "secret"}, fmt.Errorf("secret: %w", io.EOF)} {
		d := problem.From(err)
		require.Equal(t, 500, d.Status)
		require.Contains(t, d.Detail, "The server's log says more under this request's id")
		require.NotContains(t, fmt.Sprintf("%+v", d), "secret")
	}
}

// TestStatusesLeadBack: of codes that share a status the first is what the bare status means; the others come back by their documents.
func TestStatusesLeadBack(t *testing.T) {
	t.Parallel()
	seen := map[int]nes.Code{}
	for _, row := range problem.Codes() {
		if _, shared := seen[row.Status]; !shared {
			seen[row.Status] = row.Code
		}
		require.Equal(t, seen[row.Status], problem.CodeOf(row.Status))
		require.Equal(t, row.Status, problem.Status(row.Code))
		require.GreaterOrEqual(t, row.Status, 400)
		require.Equal(t, "/docs#error-"+string(row.Code), row.Type)
	}
	for status := 400; status < 600; status++ {
		code := problem.CodeOf(status)
		again := problem.Status(code)
		require.Equal(t, status/100, again/100, "%d is %s: who is to blame stays the same", status, code)
	}
}
