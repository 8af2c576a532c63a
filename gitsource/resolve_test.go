package gitsource

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/stretchr/testify/require"

	"github.com/nes-run/nes"
)

func commitID(c string) string { return strings.Repeat(c, 40) }

// TestResolveTable: which ref, commit and path an address means, by the refs that the server has.
func TestResolveTable(t *testing.T) {
	t.Parallel()
	adv := newAdvertisement()
	adv.heads["main"] = tip{commitID("1"), commitID("1")}
	adv.heads["feature"] = tip{commitID("2"), commitID("2")}
	adv.heads["feature/new"] = tip{commitID("3"), commitID("3")}
	adv.heads["both"] = tip{commitID("4"), commitID("4")}
	adv.heads["abcdef1"] = tip{commitID("5"), commitID("5")}
	adv.tags["both"] = tip{commitID("6"), commitID("7")}
	adv.tags["v1"] = tip{commitID("8"), commitID("9")}
	adv.head = adv.heads["main"]
	for _, c := range []struct {
		name, refPath, ref string
		space              Space
		wantRef, wantPath  string
		commit, asks       string
	}{
		{"default", "", "", SpaceAny, "", "x.ipynb", "1", "1"},
		{"HEAD", "", "HEAD", SpaceAny, "HEAD", "x.ipynb", "1", "1"},
		{"branch", "", "feature", SpaceAny, "feature", "x.ipynb", "2", "2"},
		{"the longest ref wins", "feature/new/a.ipynb", "", SpaceAny, "feature/new", "a.ipynb", "3", "3"},
		{"the path may go on", "feature/old/a.ipynb", "", SpaceAny, "feature", "old/a.ipynb", "2", "2"},
		{"a branch before a tag", "", "both", SpaceAny, "both", "x.ipynb", "4", "4"},
		{"the tag where it is meant", "", "both", SpaceTag, "both", "x.ipynb", "7", "6"},
		{"the branch where it is meant", "both/a.ipynb", "", SpaceBranch, "both", "a.ipynb", "4", "4"},
		{"a tag means its commit", "v1/d/a.ipynb", "", SpaceAny, "v1", "d/a.ipynb", "9", "8"},
		{"a branch that looks like a commit", "", "abcdef1", SpaceAny, "abcdef1", "x.ipynb", "5", "5"},
		{"a commit at a tip", "", commitID("3"), SpaceCommit, commitID("3"), "x.ipynb", "3", "3"},
		{"an abbreviated commit at a tip", "2222222/a.ipynb", "", SpaceAny, "2222222", "a.ipynb", "2", "2"},
		{"a commit behind a tag", "", commitID("9"), SpaceAny, commitID("9"), "x.ipynb", "9", "8"},
		{"capital digits", "", strings.ToUpper("abcdef1"), SpaceBranch, "", "", "", ""},
		{"no such branch", "", "none", SpaceBranch, "", "", "", ""},
		{"a tag is no branch", "", "v1", SpaceBranch, "", "", "", ""},
		{"a branch is no tag", "", "main", SpaceTag, "", "", "", ""},
		{"a commit is no branch", "", commitID("1"), SpaceBranch, "", "", "", ""},
		{"a branch is no commit", "", "main", SpaceCommit, "", "", "", ""},
		{"no ref begins it", "nothing/of/it.ipynb", "", SpaceAny, "", "", "", ""},
		{"a ref and no path", "main", "", SpaceAny, "", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := Address{Kind: KindGit, Repository: "h/a", CloneURL: "https://h/a.git", RefPath: c.refPath, Ref: c.ref, Space: c.space}
			if c.refPath == "" {
				a.Path = "x.ipynb"
			}
			r, err := resolve(a, adv, 10)
			if c.commit == "" {
				require.Equal(t, nes.ReasonSourceNotFound, nes.ReasonOf(err), "%+v", r)
				return
			}
			require.NoError(t, err)
			require.Equal(t, [4]string{c.wantRef, c.wantPath, "", commitID(c.commit)}, [4]string{r.Ref, r.Path, r.RefPath, r.Commit})
			require.Equal(t, []try{{Wants: []string{commitID(c.asks)}, Depth: 1}}, r.tries)
			require.Equal(t, "https://h/a.git", r.url)
		})
	}
}

func TestResolveSaysWhatThereIs(t *testing.T) {
	t.Parallel()
	adv := newAdvertisement()
	_, err := resolve(Address{Repository: "h/a"}, adv, 1)
	require.ErrorContains(t, err, "is empty: push a commit first")
	adv.heads["develop"] = tip{commitID("1"), commitID("1")}
	adv.tags["develop-1"] = tip{commitID("2"), commitID("2")}
	for _, c := range []struct {
		a    Address
		says string
	}{
		{Address{Repository: "h/a"}, "the repository h/a has no default branch: name one"},
		{Address{Repository: "h/a", Ref: "devlop"}, `there is no branch, tag or commit "devlop" in h/a (nearest: develop`},
		{Address{Repository: "h/a", Ref: "devlop", Space: SpaceTag}, `there is no tag "devlop"`},
		{Address{Repository: "h/a", Ref: "devlop", Space: SpaceBranch}, `there is no branch "devlop"`},
		{Address{Repository: "h/a", Ref: "xyz", Space: SpaceCommit}, `there is no commit "xyz"`},
		{Address{Repository: "h/a", RefPath: "devel/sub/a.ipynb"}, `there is no branch, tag or commit "devel" in h/a`},
	} {
		_, err := resolve(c.a, adv, 1)
		require.ErrorContains(t, err, c.says)
	}
	require.Empty(t, hint("nearest", nil))
	require.Equal(t, " (nearest: a, b)", hint("nearest", []string{"a", "b"}))
}

// TestReachAtEveryBorder: the first and last address of each special block is refused, and their neighbours outside are not.
func TestReachAtEveryBorder(t *testing.T) {
	t.Parallel()
	var reach Reach
	blocks := append([]netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("127.0.0.0/8"),
		netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff00::/8"),
	}, special...)
	inside := func(ip netip.Addr) bool {
		for _, b := range blocks {
			if b.Contains(ip) {
				return true
			}
		}
		return false
	}
	for _, b := range blocks {
		first, last := b.Masked().Addr(), lastOf(b)
		require.Error(t, reach.Check(first), "%s", first)
		require.Error(t, reach.Check(last), "%s", last)
		for _, ip := range []netip.Addr{first.Prev(), last.Next()} {
			if ip.IsValid() && !inside(ip) {
				require.NoError(t, reach.Check(ip), "%s next to %s", ip, b)
			}
		}
		if first.Is4() {
			require.Error(t, reach.Check(netip.AddrFrom16(first.As16())), "%s mapped into IPv6", first)
		}
		named := Reach{AllowCIDRs: []netip.Prefix{b}}
		require.NoError(t, named.Check(first))
		require.NoError(t, named.Check(last))
	}
	for _, public := range []string{"1.1.1.1", "8.8.8.8", "140.82.112.3", "2606:4700::1111", "::ffff:1.1.1.1", "2a00:1450::1"} {
		require.NoError(t, reach.Check(netip.MustParseAddr(public)), public)
	}
	require.Error(t, reach.Check(netip.Addr{}), "no address at all")
	require.Error(t, reach.Check(netip.MustParseAddr("2606:4700::1%eth0")), "an address with a zone is of this network")
	own := Reach{AllowLoopback: true}
	require.NoError(t, own.Check(netip.MustParseAddr("127.3.2.1")))
	require.NoError(t, own.Check(netip.MustParseAddr("::1")))
	require.Error(t, own.Check(netip.MustParseAddr("10.0.0.1")))
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}

func packHeader(word string, n uint32) []byte {
	b := append([]byte(word), 0, 0, 0, 2, 0, 0, 0, 0)
	binary.BigEndian.PutUint32(b[8:], n)
	return b
}

func TestCheckPackHeader(t *testing.T) {
	t.Parallel()
	r, err := checkPackHeader(io.MultiReader(bytes.NewReader(packHeader("PACK", 7)), strings.NewReader("rest")), 7)
	require.NoError(t, err)
	whole, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, append(packHeader("PACK", 7), "rest"...), whole, "nothing of the pack is lost")
	_, err = checkPackHeader(bytes.NewReader(packHeader("PACK", 8)), 7)
	require.ErrorIs(t, err, errLimit)
	_, err = checkPackHeader(bytes.NewReader(packHeader("PACK", 1<<32-1)), 7)
	require.ErrorIs(t, err, errLimit, "the count has no sign")
	_, err = checkPackHeader(bytes.NewReader(packHeader("KCAP", 1)), 7)
	require.ErrorIs(t, err, errNotGit)
	_, err = checkPackHeader(bytes.NewReader(packHeader("PACK", 1)[:11]), 7)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestSkipToPack(t *testing.T) {
	t.Parallel()
	line := func(s string) string { return fmt.Sprintf("%04x%s", len(s)+4, s) }
	shallow := line("shallow " + commitID("1") + "\n")
	for name, c := range map[string]struct {
		answer string
		ok     bool
	}{
		"plain":             {line("NAK\n") + "rest", true},
		"shallow":           {shallow + "0000" + line("NAK\n") + "rest", true},
		"unshallow":         {line("unshallow "+commitID("1")) + "0000" + line("NAK") + "rest", true},
		"ACK":               {line("ACK " + commitID("1") + "\n"), false},
		"nothing":           {"", false},
		"only shallow":      {shallow + "0000", false},
		"an error":          {line("ERR upload-pack: not our ref"), false},
		"no packets":        {"<html>", false},
		"a packet cut":      {"00ffshallow", false},
		"a pack without it": {"PACK....", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := strings.NewReader(c.answer)
			err := skipToPack(r)
			require.Equal(t, c.ok, err == nil, "%v", err)
			if c.ok {
				rest, err := io.ReadAll(r)
				require.NoError(t, err)
				require.Equal(t, "rest", string(rest), "not one byte of the pack is read")
			}
		})
	}
	require.ErrorAs(t, skipToPack(strings.NewReader(line("ERR not our ref"))), new(*pktline.ErrorLine))
}

// FuzzReceive gives a fetch whatever a server may send.
func FuzzReceive(f *testing.F) {
	f.Add([]byte("0008NAK\n" + string(packHeader("PACK", 0))))
	f.Add([]byte("0035shallow 1111111111111111111111111111111111111111\n00000008NAK\n0011\x01PACK\x00\x00\x00\x02\x00\x00\x00\x01"))
	f.Add([]byte("0009ERR x"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		for _, caps := range []map[string]string{{}, {"side-band-64k": "", "shallow": ""}} {
			store, err := newStore(t.TempDir())
			require.NoError(t, err)
			err = receive(t.Context(), replay(answer), try{Wants: []string{commitID("1")}, Depth: 1}, caps, store, Limits{Pack: 1 << 16, Objects: 100}.withDefaults())
			require.NoError(t, store.Close())
			if err != nil {
				require.NotEmpty(t, nes.ReasonOf(classify("h/a", err)))
			}
		}
	})
}
