package api

import "net/http"

// Server is the HTTP API.
type Server struct{ o Options }

// New makes a server. It reads nothing and starts nothing.
func New(o Options) *Server { return &Server{o: o.withDefaults()} }

// Handler serves the API, and Options.Pages for everything else.
func (s *Server) Handler() http.Handler { return http.NotFoundHandler() }
