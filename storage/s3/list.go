package s3

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/minio/minio-go/v7"

	"github.com/nes-run/nes/storage"
)

const (
	pageSize = 1000 // the most the store gives at once
	highest  = "\U0010FFFF"
)

// List lists keys: see [storage.Bucket]. The mark between pages is the last name given. Generations are not told.
func (b *Bucket) List(ctx context.Context, o storage.ListOptions) (storage.Page, error) {
	if err := ctx.Err(); err != nil {
		return storage.Page{}, b.fault(ctx, "list", o.Prefix, err)
	}
	if !utf8.ValidString(o.Prefix) || strings.HasPrefix(o.Prefix, "/") || len(b.prefix)+len(o.Prefix) > maxName {
		return storage.Page{}, nil // no key begins so
	}
	o.Limit = cmp.Or(o.Limit, pageSize)
	entries, err := b.entries(ctx, o)
	if err != nil {
		return storage.Page{}, b.fault(ctx, "list", o.Prefix, err)
	}
	var page storage.Page
	if len(entries) > o.Limit {
		entries = entries[:o.Limit]
		page.Next = entries[o.Limit-1].Key
	}
	for _, e := range entries {
		if e.folded {
			page.Prefixes = append(page.Prefixes, e.Key)
		} else {
			page.Objects = append(page.Objects, e.Object)
		}
	}
	return page, nil
}

// entry is an object, or a prefix that objects are folded into.
type entry struct {
	storage.Object
	folded bool
}

// entries are the next objects and prefixes in order, more of them than the limit where there are more.
func (b *Bucket) entries(ctx context.Context, o storage.ListOptions) ([]entry, error) {
	after, delimiter := "", ""
	if o.After != "" {
		after = b.prefix + o.After
		if o.Delimiter != "" && strings.HasSuffix(o.After, o.Delimiter) {
			after += highest // behind all that was folded
		}
	}
	if o.Delimiter == "/" { // others are not folded by every server
		delimiter = o.Delimiter
	}
	var entries []entry
	for token := ""; ; {
		found, err := b.page(ctx, b.prefix+o.Prefix, after, token, delimiter, min(o.Limit+2, pageSize))
		if err != nil {
			return nil, err
		}
		for _, p := range found.CommonPrefixes {
			entries = append(entries, entry{storage.Object{Key: strings.TrimPrefix(p.Prefix, b.prefix)}, true})
		}
		for _, i := range found.Contents {
			entries = append(entries, b.entry(i, o))
		}
		entries = slices.DeleteFunc(entries, func(e entry) bool { return e.Key <= o.After })
		slices.SortFunc(entries, func(x, y entry) int { return strings.Compare(x.Key, y.Key) })
		entries = slices.CompactFunc(entries, func(x, y entry) bool { return x.Key == y.Key })
		token = found.NextContinuationToken
		if !found.IsTruncated || token == "" || len(entries) > o.Limit {
			return entries, nil
		}
	}
}

// entry is an object, or the prefix that it is folded into.
func (b *Bucket) entry(i minio.ObjectInfo, o storage.ListOptions) entry {
	key := strings.TrimPrefix(i.Key, b.prefix)
	if o.Delimiter != "" {
		if at := strings.Index(key[len(o.Prefix):], o.Delimiter); at >= 0 {
			return entry{storage.Object{Key: key[:len(o.Prefix)+at+len(o.Delimiter)]}, true}
		}
	}
	return entry{storage.Object{Key: key, Size: i.Size, Modified: i.LastModified.UTC().Truncate(time.Second)}, false}
}

// page asks for one page, and does not wait for it any longer than ctx lasts.
func (b *Bucket) page(ctx context.Context, prefix, after, token, delimiter string, most int) (minio.ListBucketV2Result, error) {
	type answer struct {
		page minio.ListBucketV2Result
		err  error
	}
	var found minio.ListBucketV2Result
	err := b.again(ctx, func(ctx context.Context) error {
		answered := make(chan answer, 1)
		go func() {
			page, err := b.client.ListObjectsV2(b.name, prefix, after, token, delimiter, most)
			answered <- answer{page, err}
		}()
		select {
		case a := <-answered:
			found = a.page
			return a.err
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return found, err
}
