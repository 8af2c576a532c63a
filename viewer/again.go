package viewer

import (
	"net/http"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/internal/access"
	"github.com/nes-run/nes/internal/parameters"
)

// againPage is a form for another run of a run's notebook, with its parameters to be changed.
type againPage struct {
	page
	Run        nes.Run
	Parameters []parameter
}

func (v *viewer) again(w http.ResponseWriter, r *http.Request) error {
	run, err := v.allowed(r)
	if err != nil {
		return err
	}
	if err := access.Authorize(access.From(r.Context()), access.ActionRerun, &run); err != nil {
		return err
	}
	p := againPage{page: v.page(r, runName(run)), Run: run}
	var declared []parameters.Parameter
	if run.Attempt > 0 {
		doc, err := v.documents.get(r.Context(), &run, run.Attempt)
		if err == nil {
			declared = declaredIn(doc.index)
			doc.release()
		} else if nes.CodeOf(err) != nes.CodeNotFound && nes.CodeOf(err) != nes.CodeUnprocessable {
			return err
		}
	}
	given := givenTo(&run)
	for _, s := range parametersOf(run, declared, nil) {
		if value, ok := given[s.Name]; ok {
			s.Value = string(value)
		} else {
			s.Default, s.Value = s.Value, ""
		}
		p.Parameters = append(p.Parameters, s)
	}
	return v.show(w, r, http.StatusOK, "again.html", p)
}
