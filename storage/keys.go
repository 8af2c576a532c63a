package storage

import (
	"fmt"
	"path"
	"strings"
	"time"

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

// CleanKey makes a path safe as a part of a key: no empty, "." or ".." elements, no control characters or backslashes.
func CleanKey(p string) string {
	p = strings.Map(func(c rune) rune {
		if c < 0x20 || c == 0x7f || c == '\\' || c == '\uFFFD' {
			return '_'
		}
		return c
	}, strings.ToValidUTF8(p, "_"))
	return strings.TrimPrefix(path.Clean("/"+p), "/")
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
