package api

// Operations lists "METHOD path operationId" of every route that is served.
func (s *Server) Operations() (list [][3]string) {
	for _, r := range s.routes() {
		list = append(list, [3]string{r.method, r.path, r.id})
	}
	return list
}

// ReadSpec, Fingerprint and RenderDocs are tested by themselves.
var (
	ReadSpec    = readSpec
	Fingerprint = fingerprint
	RenderDocs  = renderDocs
)
