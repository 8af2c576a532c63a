package api

import (
	"encoding/json"
	"path"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/internal/strictjson"
)

// Original says what the words of the original service's second contract mean here.
type Original struct {
	// Runtimes are names of runtimes by image and tag: "team/python:3.12". An image that is not among them
	// is the runtime called by the last part of its name and its tag: "python-3.12".
	Runtimes map[string]string
	// Sizes are resources by kind and size: "CPU/LARGE". One that is not among them is the named size "cpu-large".
	Sizes map[string]nes.Resources
}

// originalRun is the body of POST /v2/runs.
type originalRun struct {
	Runtime    originalRuntime            `json:"runtime"`
	InputNB    string                     `json:"input_nb"`
	Parameters map[string]json.RawMessage `json:"parameters"`
}

// originalRuntime is an image and a named size.
type originalRuntime struct {
	Name  string `json:"name"` // CPU or GPU
	Image string `json:"image"`
	Tag   string `json:"tag"`
	Spec  string `json:"spec"`
}

// submitOriginal takes POST /v2/runs: the second contract of the original service in the words of the first.
func (s *Server) submitOriginal(c echo.Context) error {
	if err := access.Authorize(access.From(c.Request().Context()), access.ActionSubmit, nil); err != nil {
		return err
	}
	data, err := s.body(c)
	if err != nil {
		return err
	}
	var asked originalRun
	problems := strictjson.Decode(data, &asked)
	spec := s.o.Original.spec(asked)
	spec.IdempotencyKey = c.Request().Header.Get("Idempotency-Key")
	problems = merge(problems, inOriginalWords(append(checkSpec(&spec), s.refuse(c, &spec)...)))
	if err := nes.Invalid(problems); err != nil {
		return err
	}
	return s.create(c, spec, "", 0)
}

// spec says the same as asked.
func (o Original) spec(asked originalRun) nes.Spec {
	spec := nes.Spec{InputURL: asked.InputNB, Parameters: asked.Parameters}
	if r := asked.Runtime; r.Image != "" {
		spec.Runtime = path.Base(r.Image) + "-" + r.Tag
		if known := o.Runtimes[r.Image+":"+r.Tag]; known != "" {
			spec.Runtime = known
		}
	}
	if r := asked.Runtime; r.Spec != "" {
		size, known := o.Sizes[r.Name+"/"+r.Spec]
		if !known {
			size = nes.Resources{Size: strings.ToLower(r.Name + "-" + strings.ReplaceAll(r.Spec, "_", "-"))}
		}
		if size != (nes.Resources{}) {
			spec.Resources = &size
		}
	}
	return spec
}

// inOriginalWords calls the fields of problems as the caller wrote them. Two that concern one field are told together.
func inOriginalWords(problems []nes.Problem) []nes.Problem {
	for i := range problems {
		switch field := problems[i].Field; {
		case field == "input_url":
			problems[i].Field = "input_nb"
		case field == "runtime":
			problems[i].Field = "runtime.image"
		case strings.HasPrefix(field, "resources"):
			problems[i].Field = "runtime.spec"
		}
	}
	return problems
}
