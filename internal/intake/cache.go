package intake

import (
	"container/list"
	"sync"
)

// looked is what a look into a bundle found.
type looked struct {
	notebook []byte
	sha256   string // of the archive
	notes    []string
}

// cache keeps the notebooks that were looked at last, up to a number of bytes.
type cache struct {
	mu    sync.Mutex
	most  int64
	size  int64
	order *list.List // of *cached, the newest first
	byKey map[string]*list.Element
}

type cached struct {
	key   string
	value looked
}

// overhead is about what an entry costs beside its notebook.
const overhead = 1 << 10

func newCache(most int64) cache {
	return cache{most: most, order: list.New(), byKey: map[string]*list.Element{}}
}

func (c *cache) get(key string) (looked, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byKey[key]
	if !ok {
		return looked{}, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).value, true
}

func (c *cache) put(key string, v looked) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byKey[key]; ok || cost(v) > c.most/2 {
		return
	}
	c.byKey[key] = c.order.PushFront(&cached{key, v})
	for c.size += cost(v); c.size > c.most; {
		oldest := c.order.Remove(c.order.Back()).(*cached)
		delete(c.byKey, oldest.key)
		c.size -= cost(oldest.value)
	}
}

func cost(v looked) int64 { return int64(len(v.notebook)) + overhead }
