package tursoopt

import (
	"sync"
	"sync/atomic"
)

// maxSchemas is how many copies of schemas the Connectors of a Shared have at most,
// each of which takes a third of a megabyte.
const maxSchemas = 256

// sharedSchemas are the caches that have a copy of their database's schema.
type sharedSchemas struct {
	clock atomic.Uint64

	mu     sync.Mutex
	loaded map[*readCache]struct{}
}

// use is called when a cache asks its copy.
func (s *sharedSchemas) use(rc *readCache) { rc.schema.used.Store(s.clock.Add(1)) }

// add is called when a cache has a copy. If there are too many the one goes that was
// asked longest ago; it is made again when it is needed.
func (s *sharedSchemas) add(rc *readCache) {
	s.use(rc)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loaded == nil {
		s.loaded = map[*readCache]struct{}{}
	}
	s.loaded[rc] = struct{}{}
	for len(s.loaded) > maxSchemas {
		var oldest *readCache
		for c := range s.loaded {
			if oldest == nil || c.schema.used.Load() < oldest.schema.used.Load() {
				oldest = c
			}
		}
		delete(s.loaded, oldest)
		oldest.unload()
	}
}

func (s *sharedSchemas) remove(rc *readCache) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.loaded, rc)
}

// count is how many there are.
func (s *sharedSchemas) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.loaded)
}
