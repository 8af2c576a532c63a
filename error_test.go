package nes_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

func TestCodeOf(t *testing.T) {
	t.Parallel()
	conflict := nes.Errorf(nes.CodeConflict, "run %s has ended", "x")
	tests := []struct {
		err  error
		want nes.Code
	}{
		{nil, ""},
		{io.EOF, nes.CodeInternal},
		{conflict, nes.CodeConflict},
		{fmt.Errorf("cancel: %w", conflict), nes.CodeConflict},
		{&nes.Error{Code: nes.CodeUnavailable, Message: "store", Err: conflict}, nes.CodeUnavailable},
		{errors.Join(io.EOF, conflict), nes.CodeConflict},
	}
	for _, test := range tests {
		require.Equal(t, test.want, nes.CodeOf(test.err), "%v", test.err)
	}
}

func TestErrorfKeepsItsCause(t *testing.T) {
	t.Parallel()
	err := nes.Errorf(nes.CodeUnavailable, "read the ledger: %w", io.ErrUnexpectedEOF)
	require.EqualError(t, err, "read the ledger: unexpected EOF")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	hidden := &nes.Error{Code: nes.CodeUnavailable, Message: "read the ledger", Err: io.ErrUnexpectedEOF}
	require.ErrorIs(t, hidden, io.ErrUnexpectedEOF)
	require.EqualError(t, hidden, "read the ledger", "a cause is logged, not shown")
	require.NoError(t, errors.Unwrap(nes.Errorf(nes.CodeInvalid, "plain")))
}

func TestReasonOf(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("fetch: %w", nes.Fail(nes.ReasonSourceNotFound, "no branch %q", "main"))
	require.Equal(t, nes.ReasonSourceNotFound, nes.ReasonOf(err))
	require.Equal(t, nes.CodeUnprocessable, nes.CodeOf(err))
	require.EqualError(t, err, `fetch: no branch "main"`)
	require.Equal(t, nes.ReasonInternal, nes.ReasonOf(io.EOF))
	require.Equal(t, nes.ReasonInternal, nes.ReasonOf(nes.Errorf(nes.CodeConflict, "x")))
}

func TestInvalidListsEverything(t *testing.T) {
	t.Parallel()
	require.NoError(t, nes.Invalid(nil))
	problems := []nes.Problem{{Field: "timeout", Message: "write 90s"}, {Field: "parameters.a b", Message: "is no name"}, {Field: "x", Message: "y"}}
	require.EqualError(t, nes.Invalid(problems[:1]), "timeout: write 90s")
	err := nes.Invalid(problems)
	require.EqualError(t, err, "timeout: write 90s (and 2 more)")
	e, ok := errors.AsType[*nes.Error](err)
	require.True(t, ok)
	require.Equal(t, problems, e.Problems)
	require.Equal(t, nes.CodeInvalid, e.Code)
}
