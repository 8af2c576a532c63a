package gitsource

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/stretchr/testify/require"
)

// packets writes lines as Git sends them; an empty one is a flush.
func packets(lines ...string) *bytes.Buffer {
	var b bytes.Buffer
	for _, l := range lines {
		if l == "" {
			b.WriteString("0000")
			continue
		}
		fmt.Fprintf(&b, "%04x%s", len(l)+4, l)
	}
	return &b
}

func id(c string) string { return strings.Repeat(c, 40) }

func TestReadAdvertisement(t *testing.T) {
	t.Parallel()
	lines := []string{
		id("a") + " HEAD\x00multi_ack side-band-64k ofs-delta shallow symref=HEAD:refs/heads/feature/main symref=refs/remotes/x:refs/heads/y agent=git/2.39\n",
		id("a") + " refs/heads/feature/main\n", id("b") + " refs/heads/old\n", id("c") + " refs/pull/7/head\n", id("d") + " refs/pull/8/head\n",
		id("e") + " refs/tags/v1\n", id("f") + " refs/tags/v1^{}\n", id("b") + " refs/tags/light\n", "",
	}
	for name, prefix := range map[string][]string{"http": {"# service=git-upload-pack\n", ""}, "ssh": nil, "version 1": {"version 1\n"}} {
		a, err := readAdvertisement(packets(append(prefix, lines...)...), id("d"))
		require.NoError(t, err, name)
		require.Equal(t, map[string]tip{"feature/main": {id("a"), id("a")}, "old": {id("b"), id("b")}}, a.heads)
		require.Equal(t, map[string]tip{"v1": {id("e"), id("f")}, "light": {id("b"), id("b")}}, a.tags)
		require.Equal(t, tip{id("a"), id("a")}, a.head)
		require.Equal(t, "feature/main", a.headName)
		require.Equal(t, tip{id("d"), id("d")}, a.other, "of other refs, only the one that was asked for is kept")
		require.Contains(t, a.caps, "shallow")
		require.Equal(t, "git/2.39", a.caps["agent"])
		require.False(t, a.gives())
		require.Equal(t, []string{id("a"), id("b"), id("e")}, a.everything())

		found, ok := a.tipOf(func(c string) bool { return c == id("f") })
		require.True(t, ok)
		require.Equal(t, id("e"), found.hash, "a tag is asked for by its own id")
		_, ok = a.tipOf(func(c string) bool { return c == id("c") })
		require.False(t, ok)
	}
}

func TestReadAdvertisementRefuses(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]string{
		"cut":             {id("a") + " HEAD\x00x\n"},
		"no hash":         {"hello world\n", ""},
		"short hash":      {"abc refs/heads/main\n", ""},
		"upper case hash": {id("A") + " refs/heads/main\n", ""},
		"no name":         {id("a") + "\n", ""},
	} {
		_, err := readAdvertisement(packets(lines...), "")
		require.Error(t, err, name)
	}
}

func TestEncodeRequest(t *testing.T) {
	t.Parallel()
	b, err := encodeRequest(try{Wants: []string{id("a"), id("b")}, Depth: 3}, map[string]string{"side-band-64k": "", "shallow": "", "thin-pack": "", "multi_ack": ""})
	require.NoError(t, err)
	var lines []string
	for s := pktline.NewScanner(bytes.NewReader(b)); s.Scan(); {
		lines = append(lines, string(s.Bytes()))
	}
	require.Equal(t, []string{
		"want " + id("a") + " agent=git/nes side-band-64k shallow\n", "want " + id("b") + "\n", "deepen 3\n", "", "done\n",
	}, lines, "what is not of use is not asked for: a thin pack could not be read")
	b, err = encodeRequest(try{Wants: []string{id("a")}, Depth: 3}, nil)
	require.NoError(t, err)
	require.NotContains(t, string(b), "deepen", "a server that cannot is not asked")
}
