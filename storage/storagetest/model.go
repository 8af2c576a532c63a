package storagetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
	"github.com/nes-run/nes/storage"
)

// model is what a bucket should hold, in the plainest form.
type model struct {
	t       *testing.T
	b       storage.Bucket
	rand    *rand.Rand
	objects map[string]storage.Object
	texts   map[string]string
}

// likeAModel does some hundred random things to a bucket whose keys are often
// within each other, and compares it with a map after each.
func likeAModel(t *testing.T, b storage.Bucket) {
	const seed = 20260304
	m := &model{t: t, b: b, rand: rand.New(rand.NewPCG(seed, seed)), objects: map[string]storage.Object{}, texts: map[string]string{}}
	for step := range 400 {
		key := m.key()
		switch m.rand.IntN(6) {
		case 0, 1:
			m.put(key, fmt.Sprint("step ", step), nil)
		case 2:
			m.put(key, fmt.Sprint("step ", step), storage.CreateOnly())
		case 3:
			known := m.objects[m.key()].Generation
			m.put(key, fmt.Sprint("step ", step), &known)
		case 4:
			require.NoError(t, b.Delete(t.Context(), key))
			delete(m.objects, key)
			delete(m.texts, key)
		case 5:
			m.requireList()
		}
		m.requireObject(key)
	}
	for key := range maps.Clone(m.objects) {
		require.NoError(t, b.Delete(t.Context(), key))
	}
	requireEmpty(t, b)
}

// key makes a key of one to three elements, out of a few.
func (m *model) key() string {
	elements := []string{"a", "a-", "a0", "b", "한"}
	var parts []string
	for range 1 + m.rand.IntN(3) {
		parts = append(parts, elements[m.rand.IntN(len(elements))])
	}
	return strings.Join(parts, "/")
}

func (m *model) put(key, text string, only *int64) {
	m.t.Helper()
	o, err := m.b.Put(m.t.Context(), key, strings.NewReader(text), storage.PutOptions{IfGeneration: only})
	old := m.objects[key]
	if only != nil && *only != old.Generation {
		requireCode(m.t, nes.CodeConflict, err)
		return
	}
	require.NoError(m.t, err)
	require.NotEqual(m.t, old.Generation, o.Generation)
	m.objects[key], m.texts[key] = o, text
}

func (m *model) requireObject(key string) {
	m.t.Helper()
	want, there := m.objects[key]
	o, err := m.b.Stat(m.t.Context(), key)
	if !there {
		requireCode(m.t, nes.CodeNotFound, err)
		return
	}
	require.NoError(m.t, err)
	require.Equal(m.t, want, o)
	require.Equal(m.t, m.texts[key], get(m.t, m.b, key))
}

// requireList lists with a random prefix, delimiter and size of pages.
func (m *model) requireList() {
	m.t.Helper()
	prefix := m.key()
	o := storage.ListOptions{
		Prefix: strings.ToValidUTF8(prefix[:m.rand.IntN(len(prefix)+1)], ""), Delimiter: []string{"", "/", "-", "a"}[m.rand.IntN(4)], Limit: 1 + m.rand.IntN(5),
	}
	var objects, prefixes []string
	for _, key := range slices.Sorted(maps.Keys(m.objects)) {
		rest, ok := strings.CutPrefix(key, o.Prefix)
		if !ok {
			continue
		}
		if i := strings.Index(rest, o.Delimiter); o.Delimiter != "" && i >= 0 {
			prefixes = append(prefixes, o.Prefix+rest[:i+len(o.Delimiter)])
		} else {
			objects = append(objects, key)
		}
	}
	seen, folded := keys(m.t, m.b, o)
	require.Equal(m.t, objects, seen, "%+v", o)
	require.Equal(m.t, slices.Compact(prefixes), folded, "%+v", o)
}
