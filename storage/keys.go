package storage

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nes-run/nes"
)

// Keys, readable by people (design, section 6):
//
//	notebooks/<host>/<org>/<repo>/<notebook path without .ipynb>/<yyyy-mm-dd>/<run id>.<attempt>.ipynb
//	runs/<yyyy-mm-dd>/<run id>/<attempt>/{journal/<offset>.jsonl, input.ipynb, index.json, blobs/<sha256>, log.txt, outputs/..., verdict.json}
//	sources/<repository hash>/<commit>.tar.zst
//
// The date is the UTC day of submission, so that every key of a run is known from its record.

// NotebookKey is where the executed notebook of an attempt is stored, once.
func NotebookKey(r *nes.Run, attempt int) string {
	where := "unknown"
	if r.Source != nil {
		where = path.Join(r.Source.Repository, strings.TrimSuffix(r.Source.Path, ".ipynb"))
	}
	if r.Spec.OutputPath != "" {
		where = strings.TrimSuffix(r.Spec.OutputPath, ".ipynb")
	}
	return fmt.Sprintf("notebooks/%s/%s/%s.%d.ipynb", CleanKey(where), day(r.CreatedAt), r.ID, attempt)
}

// AttemptPrefix is the prefix, with its last slash, of everything else of an attempt.
func AttemptPrefix(r *nes.Run, attempt int) string {
	return fmt.Sprintf("runs/%s/%s/%d/", day(r.CreatedAt), r.ID, attempt)
}

// JournalKey is the chunk of an attempt's journal that begins at offset. Names sort by offset.
func JournalKey(r *nes.Run, attempt int, offset int64) string {
	return fmt.Sprintf("%sjournal/%016d.jsonl", AttemptPrefix(r, attempt), offset)
}

// BundleKey is the archive of a repository's tree at a commit.
func BundleKey(repositoryHash, commit string) string {
	return fmt.Sprintf("sources/%s/%s.tar.zst", repositoryHash, commit)
}

// UploadKey is the archive of a working tree that somebody sent.
func UploadKey(sha256 string) string { return "sources/uploads/" + sha256 + ".tar.zst" }

// CleanKey makes a path safe as a part of a key: it has no empty, "." or ".." elements, no control
// characters or backslashes, and nothing too long; what is cut gets a digest of the whole, so that different paths stay different.
func CleanKey(p string) string {
	p = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == '\\' || c == unicode.ReplacementChar {
			return '_'
		}
		return c
	}, strings.ToValidUTF8(p, "_"))
	elements := strings.Split(strings.TrimPrefix(path.Clean("/"+p), "/"), "/")
	for i, e := range elements {
		if strings.HasPrefix(e, ReservedPrefix) {
			e = "_" + e
		}
		elements[i] = shorten(e, maxElement)
	}
	return strings.TrimRight(shorten(strings.Join(elements, "/"), maxKey-roomInKey), "/")
}

// roomInKey is kept free in a cleaned path for what NES writes around it.
const roomInKey = 124

// shorten cuts s to n bytes at most, between characters.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	mark := "~" + hex.EncodeToString(sum[:8])
	cut := n - len(mark)
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strings.TrimRight(s[:cut], "/") + mark
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
