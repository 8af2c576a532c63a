package executor

import (
	"encoding/base64"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

func TestSecretsInTheLog(t *testing.T) {
	t.Parallel()
	const value = `Kanarien/vogel+"<> 7`
	m := newMasker([]string{value, "line one of it\nline two of it"})
	for name, text := range map[string]string{
		"plain": value, "json": `Kanarien/vogel+\"`, "address": url.QueryEscape(value), "path": url.PathEscape(value),
		"base64": base64.StdEncoding.EncodeToString([]byte(value)), "for addresses": base64.URLEncoding.EncodeToString([]byte(value)), "line": "line two of it",
	} {
		got := string(m.pass([]byte("a "+text+" b\n"))) + string(m.rest())
		if name == "json" {
			require.Equal(t, "a "+text+" b\n", got, "a part of it is none")
			continue
		}
		require.Equal(t, "a *** b\n", got, name)
	}
	for before := range 6 {
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("u", before) + value + ":tail"))
		require.Contains(t, string(m.mask([]byte(text))), masked, before)
	}
	require.Nil(t, newMasker(nil), "a run without secrets pays nothing")
}

// TestSecretsInPieces: however the text is cut, nothing of a value is written, and nothing else is lost.
func TestSecretsInPieces(t *testing.T) {
	t.Parallel()
	values := []string{"hunter2", "hunter2-and-more", "aabaab", "xaax"}
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var text strings.Builder
		for range 1 + r.IntN(8) {
			text.WriteString(append(values, "hun", "ter", "a", "x", "\n", "-and")[r.IntN(len(values)+6)])
		}
		m, whole := newMasker(values), newMasker(values)
		var got strings.Builder
		for rest := text.String(); rest != ""; {
			n := min(len(rest), 1+r.IntN(5))
			got.Write(m.pass([]byte(rest[:n])))
			rest = rest[n:]
		}
		got.Write(m.rest())
		for _, v := range values {
			require.NotContains(t, got.String(), v, text.String())
		}
		if !strings.ContainsAny(text.String(), "2bx") { // nothing in it is a secret
			require.Equal(t, text.String(), got.String())
			require.Equal(t, text.String(), string(whole.mask([]byte(text.String()))))
		}
	}
}

func TestTheLogHoldsBackNoMoreThanItMust(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "log")
	f, err := os.Create(name)
	require.NoError(t, err)
	l := newBoundedLog(f, r, newMasker([]string{"hunter2"}))
	for _, piece := range []string{"one\nhun", "ter2 two ", "hunt"} {
		_, err := w.WriteString(piece)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	l.finish(logWait)
	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, "one\n*** two hunt", string(raw))
	require.Equal(t, string(raw), l.Last())
}

func TestSecretsThatCannotBeMaskedStartNothing(t *testing.T) {
	t.Setenv("TEST_LONG", "long enough")
	t.Setenv("TEST_SHORT", "qzj")
	values, err := secretsOf([]string{"TEST_LONG"})
	require.NoError(t, err)
	require.Equal(t, []string{"long enough"}, values)
	for _, name := range []string{"TEST_SHORT", "TEST_ABSENT"} {
		_, err := secretsOf([]string{"TEST_LONG", name})
		require.Equal(t, nes.ReasonAdmissionRejected, nes.ReasonOf(err))
		require.ErrorContains(t, err, name)
		require.NotContains(t, err.Error(), "qzj")
	}
}
