package viewer

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/internal/intake"
	"github.com/nes-run/nes/internal/parameters"
)

// Inspect looks, for a team, at the notebook at an address without running anything.
type Inspect func(ctx context.Context, team, inputURL string) (intake.Inspection, error)

// newPage is a form that is made of a notebook's parameters cell.
type newPage struct {
	page
	URL     string
	Problem string // why there is no form
	Found   *intake.Inspection
	Fields  []input
	Recipes []recipe
	Name    string
}

// input is one parameter in a form.
type input struct {
	parameters.Parameter
	Kind    string // what the value is read as: choice, number, text, date, lines, json
	Value   string // at first: the default, where it is known
	Step    string // of numbers
	Options []answer
	Rule    string // for people
}

// answer is one value of an input that has few. Value is JSON.
type answer struct {
	Value, Label string
	On           bool
}

// form shows GET /new: an address to be filled in, or what can be given to the notebook there.
func (v *viewer) form(w http.ResponseWriter, r *http.Request) error {
	caller := access.From(r.Context())
	if err := access.Authorize(caller, access.ActionSubmit, nil); err != nil {
		return err
	}
	p := newPage{page: v.page(r, "New run"), URL: strings.TrimSpace(r.URL.Query().Get("url"))}
	p.Here = "new"
	status := http.StatusOK
	if p.URL != "" {
		found, err := v.Inspect(r.Context(), caller.Team, p.URL)
		if err != nil {
			if status, p.Problem = refusal(err); p.Problem == "" {
				return err
			}
		} else {
			p.show(&found, recipes(&nes.Run{Spec: nes.Spec{InputURL: p.URL}}, v.base(r), caller.Name != access.Local().Name))
		}
	}
	return v.show(w, r, status, "new.html", p)
}

// refusal is why an address gives no form; "" where the fault is not the address's.
func refusal(err error) (status int, why string) {
	var e *nes.Error
	if !errors.As(err, &e) {
		return 0, ""
	}
	switch e.Code {
	case nes.CodeInvalid:
		var all []string
		for _, p := range e.Problems {
			all = append(all, p.Message)
		}
		return http.StatusBadRequest, strings.Join(all, "; ")
	case nes.CodeUnprocessable, nes.CodeNotFound, nes.CodeTooLarge:
		return http.StatusUnprocessableEntity, e.Message
	}
	return 0, ""
}

func (p *newPage) show(found *intake.Inspection, ways []recipe) {
	p.Found, p.Recipes = found, ways
	p.Name = runName(nes.Run{Source: &found.Source})
	p.Title = p.Name
	for _, one := range found.Schema.Parameters {
		p.Fields = append(p.Fields, inputOf(one))
	}
}

// newRecipes answers GET /new/recipes: how to send the run that the form holds from elsewhere.
func (v *viewer) newRecipes(w http.ResponseWriter, r *http.Request) error {
	caller := access.From(r.Context())
	if err := access.Authorize(caller, access.ActionSubmit, nil); err != nil {
		return err
	}
	spec := nes.Spec{InputURL: r.URL.Query().Get("url")}
	if err := json.Unmarshal([]byte(r.URL.Query().Get("parameters")), &spec.Parameters); err != nil {
		return nes.Errorf(nes.CodeInvalid, "parameters must be a JSON object")
	}
	if problems := parameters.CheckNames(spec.Parameters); len(problems) > 0 {
		return nes.Invalid(problems)
	}
	return v.show(w, r, http.StatusOK, "recipes", recipes(&nes.Run{Spec: spec}, v.base(r), caller.Name != access.Local().Name))
}

// inputOf chooses how a parameter is asked for.
func inputOf(p parameters.Parameter) input {
	f := input{Parameter: p, Value: string(p.Default), Kind: "json", Rule: p.Rule()}
	var text string
	isText := p.Default != nil && json.Unmarshal(p.Default, &text) == nil && string(p.Default) != "null"
	switch {
	case p.Choices != nil:
		f.Kind, f.Options = "choice", optionsOf(p, p.Choices)
	case p.Type == "bool":
		f.Kind, f.Options = "choice", optionsOf(p, []json.RawMessage{json.RawMessage("true"), json.RawMessage("false")})
	case p.Type == "int" && !p.Inferred:
		f.Kind, f.Step = "number", "1"
	case p.Type == "int" || p.Type == "float":
		f.Kind, f.Step = "number", "any"
	case p.Type == "date" && (p.Default == nil || isDay(text)):
		f.Kind, f.Value = "date", text
	case p.Type == "str" || p.Type == "date":
		f.Kind, f.Value = "text", text
		if strings.ContainsAny(text, "\r\n") {
			f.Kind = "lines"
		}
	}
	if string(p.Default) == "null" {
		f.Value = ""
	}
	if isText && f.Kind == "number" {
		f.Value = text
	}
	return f
}

// isDay reports whether text is a date without a time, as the form's field for days writes it.
func isDay(text string) bool {
	if len(text) != len("2024-01-31") {
		return false
	}
	for i, c := range text {
		if dash := i == 4 || i == 7; dash != (c == '-') || !dash && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// optionsOf are the choices of a parameter. The first is the default where it is none of them, and then nothing is sent.
func optionsOf(p parameters.Parameter, choices []json.RawMessage) (all []answer) {
	for _, c := range choices {
		label := string(c)
		var text string
		if json.Unmarshal(c, &text) == nil && string(c) != "null" {
			label = text
		}
		all = append(all, answer{Value: string(c), Label: label, On: string(c) == string(p.Default)})
	}
	if p.Optional && !slices.ContainsFunc(all, func(o answer) bool { return o.Value == "null" }) {
		all = append(all, answer{Value: "null", Label: "null", On: string(p.Default) == "null"})
	}
	if !slices.ContainsFunc(all, func(o answer) bool { return o.On }) {
		first := answer{Label: p.Source, On: true}
		if p.Source == "" {
			first.Label = "–"
		}
		all = slices.Insert(all, 0, first)
	}
	return all
}
