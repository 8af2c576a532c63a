package gcs

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	gcs "cloud.google.com/go/storage"
	"google.golang.org/api/iterator"

	"github.com/nes-run/nes/storage"
)

const pageSize = 1000 // the most the store gives at once

// List lists keys: see [storage.Bucket]. The mark between pages is the last name given.
func (b *Bucket) List(ctx context.Context, o storage.ListOptions) (storage.Page, error) {
	if err := ctx.Err(); err != nil {
		return storage.Page{}, b.fault(ctx, "list", o.Prefix, err)
	}
	if !utf8.ValidString(o.Prefix) || len(b.prefix)+len(o.Prefix) > maxName {
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
		if e.Generation == 0 {
			page.Prefixes = append(page.Prefixes, e.Key)
		} else {
			page.Objects = append(page.Objects, e)
		}
	}
	return page, nil
}

// entries are the next objects and prefixes in order, more of them than the limit where there are more;
// a prefix has generation 0.
func (b *Bucket) entries(ctx context.Context, o storage.ListOptions) ([]storage.Object, error) {
	query := &gcs.Query{Prefix: b.prefix + o.Prefix, Projection: gcs.ProjectionNoACL}
	if o.After != "" {
		query.StartOffset = b.prefix + o.After // which it gives again
	}
	if len(o.Delimiter) == 1 { // longer ones are not folded by every server
		query.Delimiter = o.Delimiter
	}
	if err := query.SetAttrSelection([]string{"Name", "Size", "Generation", "Updated"}); err != nil {
		return nil, err
	}
	pager := iterator.NewPager(b.bucket.Retryer(b.retry()...).Objects(ctx, query), min(o.Limit+2, pageSize), "")
	var entries []storage.Object
	for {
		var found []*gcs.ObjectAttrs
		next, err := pager.NextPage(&found)
		if err != nil {
			return nil, err
		}
		for _, a := range found {
			if e := b.entry(a, o); e.Key > o.After {
				entries = append(entries, e)
			}
		}
		slices.SortFunc(entries, func(x, y storage.Object) int { return strings.Compare(x.Key, y.Key) })
		entries = slices.CompactFunc(entries, func(x, y storage.Object) bool { return x.Key == y.Key })
		if next == "" || len(entries) > o.Limit {
			return entries, nil
		}
	}
}

// entry is an object, or the prefix that it is folded into.
func (b *Bucket) entry(a *gcs.ObjectAttrs, o storage.ListOptions) storage.Object {
	if a.Prefix != "" {
		return storage.Object{Key: strings.TrimPrefix(a.Prefix, b.prefix)}
	}
	e := b.described(a)
	e.ContentType = ""
	if o.Delimiter != "" {
		if i := strings.Index(e.Key[len(o.Prefix):], o.Delimiter); i >= 0 {
			return storage.Object{Key: e.Key[:len(o.Prefix)+i+len(o.Delimiter)]}
		}
	}
	return e
}
