package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

func TestPaceSlowsDownWithAgeAndCrowd(t *testing.T) {
	t.Parallel()
	launched := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		age   time.Duration
		crowd int
		want  int // ms
	}{
		{0, 1, 200}, {4 * time.Second, 10, 200}, {5 * time.Second, 1, 1000}, {time.Hour, 50, 1000},
		{0, 50, 1000}, {time.Hour, 100, 2000}, {0, 400, 8000}, {time.Hour, 500, 10_000}, {time.Hour, 20_000, 10_000},
	} {
		c := NewController(Options{Now: func() time.Time { return launched.Add(tt.age) }})
		s := &seat{launchedAt: launched}
		for i := range tt.crowd {
			c.desk.seats[Ref{nes.RunID(fmt.Sprint(i)), 1}] = s
		}
		require.Equal(t, tt.want, c.Reception().pace(s), "%+v", tt)
	}
}

func TestKeyIsMadeOnceAndForItsOwnerAlone(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	keys := make([]Key, 16)
	var makers sync.WaitGroup
	for i := range keys {
		makers.Go(func() { keys[i], _ = LoadKey(file) })
	}
	makers.Wait()
	for _, k := range keys {
		require.Len(t, k, keySize)
		require.Equal(t, keys[0], k, "two makers made two keys")
	}
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	entries, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing half done is left")
	other, err := LoadKey(filepath.Join(t.TempDir(), "key"))
	require.NoError(t, err)
	require.NotEqual(t, keys[0], other)
}

func TestKeyThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		prepare func(file string) error
		want    string
	}{
		"empty":        {func(f string) error { return os.WriteFile(f, nil, 0o600) }, "has 0 bytes, not 32: delete it when no run is under way"},
		"short":        {func(f string) error { return os.WriteFile(f, make([]byte, 31), 0o600) }, "has 31 bytes"},
		"long":         {func(f string) error { return os.WriteFile(f, make([]byte, 33), 0o600) }, "has 33 bytes"},
		"a directory":  {func(f string) error { return os.Mkdir(f, 0o700) }, "is a directory"},
		"no directory": {func(f string) error { return os.Remove(filepath.Dir(f)) }, "no such file or directory"},
	} {
		file := filepath.Join(t.TempDir(), "sub", "key")
		require.NoError(t, os.Mkdir(filepath.Dir(file), 0o700))
		require.NoError(t, tt.prepare(file), name)
		_, err := LoadKey(file)
		require.ErrorContains(t, err, tt.want, name)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	one, two := Key(make([]byte, keySize)), Key(append(make([]byte, keySize-1), 1))
	ref := Ref{"0193-run", 1}
	token := one.Token(ref)
	require.Equal(t, token, one.Token(ref), "a server that came back makes the same one")
	require.True(t, tokenFits(token, HashToken(token)))
	for _, other := range []string{one.Token(Ref{"0193-run", 2}), one.Token(Ref{"0193-ru", 1}), two.Token(ref), "", token + "x", HashToken(token)} {
		require.False(t, tokenFits(other, HashToken(token)))
	}
	require.False(t, tokenFits("", ""), "an attempt without a token lets nobody in")
}
