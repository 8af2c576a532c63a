package problem_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/api/problem"
)

func TestErrorsCrossTheWireUnchanged(t *testing.T) {
	t.Parallel()
	for _, code := range problem.Codes() {
		t.Run(string(code.Code), func(t *testing.T) {
			t.Parallel()
			sent := &nes.Error{
				Code: code.Code, Message: "what went wrong", Reason: nes.ReasonParameterError,
				Problems: []nes.Problem{{Field: "a", Message: "b"}}, Err: errors.New("secret"),
			}
			d := problem.From(fmt.Errorf("wrapped: %w", sent))
			require.Equal(t, code.Status, d.Status)
			require.Equal(t, code.Title, d.Title)
			w := httptest.NewRecorder()
			w.Header().Set("Content-Type", problem.ContentType+"; charset=utf-8")
			w.WriteHeader(d.Status)
			require.NoError(t, json.NewEncoder(w).Encode(d))
			require.NotContains(t, w.Body.String(), "secret")

			got, ok := errors.AsType[*nes.Error](problem.Read(w.Result()))
			require.True(t, ok)
			require.Equal(t, code.Code, got.Code)
			if code.Code == nes.CodeInternal {
				require.NotContains(t, got.Message, "what went wrong")
				return
			}
			require.Equal(t, &nes.Error{Code: code.Code, Message: "what went wrong", Reason: sent.Reason, Problems: sent.Problems}, got)
		})
	}
}

func TestEveryCodeHasARow(t *testing.T) {
	t.Parallel()
	codes := []nes.Code{
		nes.CodeInvalid, nes.CodeNotFound, nes.CodeConflict, nes.CodeKeyReused, nes.CodeUnauthorized, nes.CodeForbidden,
		nes.CodeTooLarge, nes.CodeUnprocessable, nes.CodeUnavailable, nes.CodeBusy, nes.CodeInternal,
	}
	require.Len(t, problem.Codes(), len(codes))
	for _, c := range codes {
		require.NotEmpty(t, problem.From(&nes.Error{Code: c}).Title, c)
	}
	require.Equal(t, 500, problem.Status("invented"))
	require.Equal(t, 500, problem.From(errors.New("plain")).Status)
	require.NotContains(t, problem.From(errors.New("plain")).Detail, "plain")
	require.NotContains(t, problem.From(&nes.Error{Code: "invented", Message: "plain"}).Detail, "plain")
}

func TestWhatProxiesAnswer(t *testing.T) {
	t.Parallel()
	for status, code := range map[int]nes.Code{
		502: nes.CodeUnavailable, 503: nes.CodeUnavailable, 504: nes.CodeUnavailable, 429: nes.CodeBusy, 401: nes.CodeUnauthorized,
		404: nes.CodeNotFound, 413: nes.CodeTooLarge, 422: nes.CodeUnprocessable, 418: nes.CodeInvalid, 500: nes.CodeInternal, 599: nes.CodeInternal,
	} {
		for _, kind := range []string{"text/html", problem.ContentType} {
			w := httptest.NewRecorder()
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = w.WriteString("<html>")
			require.Equal(t, code, nes.CodeOf(problem.Read(w.Result())), status)
		}
	}
}
