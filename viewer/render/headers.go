package render

import "net/http"

// SandboxHeaders makes a response that carries bytes of a notebook harmless, however it is opened: it
// has no origin, runs no script, loads nothing, and is never taken for another type.
func SandboxHeaders(h http.Header) {
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'")
	connect(h, "()")
	noSniff(h)
}

// FrameHeaders are those of a document of WriteFrame: in an origin of its own, cut off from the application, its
// storage and the network. A chart runs our own bundle and no other script; any other frame runs what is written in it. direct says that the
// document is opened by itself and not in a page, whose policy would keep it where it is: then it runs nothing.
func FrameHeaders(h http.Header, kind Frames, direct bool) {
	sandbox, script, origins := "sandbox allow-scripts", "'unsafe-inline' 'unsafe-eval'", "()"
	if kind.Chart() {
		script, origins = "'self'", "(response-origin)"
	}
	if direct {
		sandbox, script = "sandbox", "'none'"
	}
	h.Set("Content-Security-Policy", sandbox+"; default-src 'none'; script-src "+script+"; style-src 'unsafe-inline'; "+
		"img-src data: blob:; font-src data:; media-src data: blob:; worker-src blob:; connect-src 'none'; base-uri 'none'; form-action 'none'; "+
		"frame-ancestors 'self'; webrtc 'block'")
	connect(h, origins)
	noSniff(h)
}

// PageHeaders are those of a response with a page that stands alone (see Renderer.Page): its own policy, and a sandbox.
func PageHeaders(h http.Header) {
	h.Set("Content-Security-Policy", "sandbox allow-scripts; "+string(pagePolicy)+"; frame-ancestors 'self'; webrtc 'block'")
	connect(h, "()")
	noSniff(h)
}

// connect says to which origins the document may open a connection at all. Browsers that know it also leave out those
// connections that no other policy speaks of: ones that are opened ahead of a request which is refused later.
func connect(h http.Header, origins string) {
	h.Set("Connection-Allowlist", origins)
	h.Set("X-DNS-Prefetch-Control", "off")
}

func noSniff(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}
