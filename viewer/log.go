package viewer

import (
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/viewer/render"
)

// logPiece is how much of a log one page shows, in bytes.
const logPiece = 512 << 10

type logPage struct {
	page
	Run     nes.Run
	Badge   badge
	Attempt int
	Text    template.HTML
	Cursor  int64 // where this piece begins
	Next    int64
	More    bool // there is more at once
	Ended   bool
}

// logPage shows the text log, a piece at a time. With part=text it answers with the piece alone.
func (v *viewer) logPage(w http.ResponseWriter, r *http.Request) error {
	run, err := v.allowed(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	attempt, err := attemptOf(run, q.Get("attempt"))
	if err != nil {
		return err
	}
	p := logPage{page: v.page(r, "Log of "+runName(run)), Run: run, Badge: badgeOf(run), Attempt: attempt, Ended: run.Ended()}
	p.Cursor, _ = strconv.ParseInt(q.Get("cursor"), 10, 64)
	if p.Next = p.Cursor; attempt > 0 && p.Cursor >= 0 {
		piece, err := v.Records.Log(r.Context(), &run, attempt, p.Cursor, logPiece)
		if err != nil && nes.CodeOf(err) != nes.CodeNotFound {
			return err
		}
		if err == nil {
			p.Text, p.Next, p.Ended = render.Terminal(piece.Text), piece.Next, piece.Ended
			p.More = len(piece.Text) >= logPiece/2 && !(piece.Ended && piece.Text == "")
		}
	}
	if q.Get("part") == "text" {
		return v.show(w, r, http.StatusOK, "piece", p)
	}
	p.Title = strings.TrimSpace(p.Title)
	return v.show(w, r, http.StatusOK, "log.html", p)
}
