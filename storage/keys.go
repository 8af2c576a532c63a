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
//	runs/<yyyy-mm-dd>/<run id>/<attempt>/{journal/<offset>.jsonl, input.ipynb, index.json, blobs/<sha256>, log.txt, outputs/..., intent.json, verdict.json}
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
	return path.Join("notebooks", CleanKey(where), day(r.CreatedAt), fmt.Sprintf("%s.%d.ipynb", r.ID, attempt))
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
	p = strings.TrimPrefix(path.Clean("/"+p), "/")
	elements := strings.Split(p, "/")
	for i, e := range elements {
		if strings.HasPrefix(e, ReservedPrefix) {
			e = "_" + e
		}
		elements[i] = shorten(e)
	}
	return fit(strings.Join(elements, "/"))
}

// shorten cuts an element of a path to its longest size, between characters.
func shorten(e string) string {
	if len(e) <= maxElement {
		return e
	}
	mark := digest(e)
	cut := maxElement - len(mark)
	for !utf8.RuneStart(e[cut]) {
		cut--
	}
	return e[:cut] + mark
}

// roomInKey is kept free in a cleaned path for what NES writes around it.
const roomInKey = 124

// fit cuts a path of short elements to what a key has room for, between elements.
func fit(p string) string {
	if len(p) <= maxKey-roomInKey {
		return p
	}
	mark := "/" + digest(p)
	return p[:strings.LastIndexByte(p[:maxKey-roomInKey-len(mark)+1], '/')] + mark
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "~" + hex.EncodeToString(sum[:8])
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
