package storage

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nes-run/nes"
)

const (
	maxKey     = 1024 // bytes
	maxElement = 255  // bytes, of what lies between two slashes
)

// ReservedPrefix begins names that implementations keep for themselves. No element of a key begins with it.
const ReservedPrefix = ".nes-"

// ValidateKey answers CodeInvalid, and says why, for what is not a key: a key is
// valid UTF-8 of 1 to 1024 bytes without control characters; its elements, between slashes,
// have 1 to 255 bytes, are not "." or "..", and do not begin with ".nes-".
func ValidateKey(key string) error {
	if why := flaw(key); why != "" {
		return nes.Errorf(nes.CodeInvalid, "%.80q is not a key: it %s", key, why)
	}
	return nil
}

func flaw(key string) string {
	switch {
	case key == "":
		return "is empty"
	case len(key) > maxKey:
		return "has more than 1024 bytes"
	case !utf8.ValidString(key):
		return "is not valid UTF-8"
	case strings.ContainsFunc(key, unicode.IsControl):
		return "has a control character"
	}
	for element := range strings.SplitSeq(key, "/") {
		switch {
		case element == "":
			return "begins or ends with a slash or has two in a row"
		case element == "." || element == "..":
			return `has "." or ".." between slashes`
		case len(element) > maxElement:
			return "has more than 255 bytes between slashes"
		case strings.HasPrefix(element, ReservedPrefix):
			return `has a name that begins with ".nes-", which is reserved`
		}
	}
	return ""
}

// DefaultType is the media type of what is not known better.
const DefaultType = "application/octet-stream"

// TypeByName is the media type of a key, by the extension of its name. It is the same on every machine.
func TypeByName(key string) string {
	name := strings.ToLower(key[strings.LastIndexByte(key, '/')+1:])
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return DefaultType
	}
	switch name[dot:] {
	case ".ipynb":
		return "application/x-ipynb+json"
	case ".json", ".map":
		return "application/json"
	case ".jsonl", ".ndjson":
		return "application/x-ndjson"
	case ".txt", ".log", ".md", ".py", ".r", ".sql", ".yaml", ".yml", ".toml":
		return "text/plain; charset=utf-8"
	case ".csv":
		return "text/csv; charset=utf-8"
	case ".html", ".htm":
		return "text/html; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".png":
		return "image/png"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".gif":
		return "image/gif"
	case ".svg":
		return "image/svg+xml"
	case ".webp":
		return "image/webp"
	case ".pdf":
		return "application/pdf"
	case ".parquet":
		return "application/vnd.apache.parquet"
	case ".zip":
		return "application/zip"
	case ".gz":
		return "application/gzip"
	case ".zst":
		return "application/zstd"
	}
	return DefaultType
}
