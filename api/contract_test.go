package api_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

// contract is openapi.yaml, made strict: an answer must hold no field that it does not name.
var contract = sync.OnceValues(func() (*openapi3.T, error) {
	for _, kind := range []string{"text/event-stream", "text/html", "application/yaml", "application/zstd"} {
		openapi3filter.RegisterBodyDecoder(kind, openapi3filter.FileBodyDecoder)
	}
	openapi3filter.RegisterBodyDecoder("application/x-ipynb+json", openapi3filter.JSONBodyDecoder)
	doc, err := openapi3.NewLoader().LoadFromData([]byte(nes.OpenAPI()))
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(context.Background(), openapi3.EnableExamplesValidation()); err != nil {
		return nil, err
	}
	for _, s := range doc.Components.Schemas {
		strict(s)
	}
	return doc, nil
})

// router finds the operation of a request. Names of files may hold slashes, which OpenAPI has no way to say.
var router = sync.OnceValues(func() (routers.Router, error) {
	doc, err := contract()
	if err != nil {
		return nil, err
	}
	const file = "/v1/runs/{id}/files/{name}"
	doc.Paths.Set(strings.Replace(file, "{name}", "{name:.+}", 1), doc.Paths.Value(file))
	doc.Paths.Delete(file)
	return gorillamux.NewRouter(doc)
})

func strict(ref *openapi3.SchemaRef) {
	s := ref.Value
	if s == nil || ref.Ref != "" {
		return
	}
	if len(s.Properties) > 0 {
		no := false
		s.AdditionalProperties.Has = &no
	}
	for _, p := range s.Properties {
		strict(p)
	}
	if s.Items != nil {
		strict(s.Items)
	}
}

// check holds a request that was sent and its answer to the contract.
func check(req *http.Request, sent []byte, res *http.Response, got []byte) error {
	r, err := router()
	if err != nil {
		return err
	}
	again := req.Clone(context.Background())
	again.Body = io.NopCloser(bytes.NewReader(sent))
	again.URL.Host, again.URL.Scheme = "", "" // the servers of the document are relative
	found, params, err := r.FindRoute(again)
	if err != nil {
		if !strings.HasPrefix(req.URL.Path, "/v1/") || res.StatusCode == http.StatusNotFound || res.StatusCode == http.StatusMethodNotAllowed {
			return nil
		}
		return fmt.Errorf("%s %s answered %d, but is not in the contract: %w", req.Method, req.URL, res.StatusCode, err)
	}
	in := &openapi3filter.RequestValidationInput{
		Request: again, PathParams: params, Route: found,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	if res.StatusCode < 400 {
		if err := openapi3filter.ValidateRequest(context.Background(), in); err != nil {
			return fmt.Errorf("%s %s was accepted against the contract: %w", req.Method, req.URL, err)
		}
	}
	if res.StatusCode == http.StatusNotModified || res.StatusCode == http.StatusNoContent {
		if found.Operation.Responses.Status(res.StatusCode) == nil {
			return fmt.Errorf("%s %s: the contract knows no %d", req.Method, req.URL, res.StatusCode)
		}
		return nil
	}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: res.StatusCode, Header: res.Header, Options: in.Options}
	out.SetBodyBytes(got)
	if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil {
		return fmt.Errorf("%s %s answered %d against the contract: %w\n%s", req.Method, req.URL, res.StatusCode, err, got)
	}
	return nil
}

func TestTheContractIsValid(t *testing.T) {
	t.Parallel()
	_, err := contract()
	require.NoError(t, err)
}

func TestWhatIsServedIsWhatIsWritten(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(nes.OpenAPI()))
	require.NoError(t, err)
	var written, served []string
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			written = append(written, method+" "+path+" "+op.OperationID)
			require.NotEmpty(t, op.Summary, path)
			require.NotNil(t, op.Responses.Default(), path)
		}
	}
	for _, r := range setup(t).server.Operations() {
		path := strings.NewReplacer(":id", "{id}", "files/*", "files/{name}").Replace(r[1])
		served = append(served, r[0]+" "+path+" "+r[2])
	}
	slices.Sort(written)
	slices.Sort(served)
	require.Equal(t, written, served)
}

func TestTheContractKnowsEveryWord(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(nes.OpenAPI()))
	require.NoError(t, err)
	require.Len(t, doc.Components.Schemas["Status"].Value.Enum, len(nes.Statuses()))
	for _, s := range nes.Statuses() {
		require.Contains(t, doc.Components.Schemas["Status"].Value.Enum, string(s))
	}
	for _, s := range nes.Stages() {
		require.Contains(t, doc.Components.Schemas["Stage"].Value.Enum, string(s))
	}
}

// The examples of the contract are sent as they are printed.
func TestExamplesWork(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(nes.OpenAPI()))
	require.NoError(t, err)
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.RequestBody == nil || op.RequestBody.Value.Content["application/json"] == nil {
				continue
			}
			for name, example := range op.RequestBody.Value.Content["application/json"].Examples {
				t.Run(op.OperationID+"/"+name, func(t *testing.T) {
					t.Parallel()
					b := setup(t)
					run := b.fetched(b.submit())
					body := marshal(t, example.Value.Value)
					res := b.call(method, strings.ReplaceAll(path, "{id}", string(run.ID)), body)
					require.Less(t, res.StatusCode, 300, res.body)
				})
			}
		}
	}
}
