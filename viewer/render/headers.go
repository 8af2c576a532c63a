package render

import "net/http"

// SandboxHeaders makes a response that carries bytes of a notebook harmless, however it is opened: it
// has no origin, runs no script, loads nothing, and is never taken for another type.
func SandboxHeaders(h http.Header) {
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'")
	noSniff(h)
}

// FrameHeaders are those of a document of a notebook that may run its own scripts: in an origin of
// its own, cut off from the application, its storage and the network.
func FrameHeaders(h http.Header) {
	h.Set("Content-Security-Policy", "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "+
		"img-src data: blob:; font-src data:; media-src data: blob:; worker-src blob:; connect-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'")
	noSniff(h)
}

func noSniff(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}
