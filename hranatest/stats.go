package hranatest

import (
	"maps"
	"sync"
)

// Stats is what a Server has seen and holds.
type Stats struct {
	// Requests counts the requests by path, without the prefix. All paths that
	// the server does not know are one, "".
	Requests map[string]int64
	// Streams and Connections are the Hrana streams and the network connections
	// that are open now.
	Streams, Connections int
	// Accepted is how many connections clients have opened.
	Accepted int64
	// Opened is how many streams have been opened.
	Opened int64
	// Statements is how many statements have been executed, those that failed
	// included; those that were skipped or refused unread are not.
	Statements int64
}

// Total is the number of all requests.
func (s Stats) Total() (n int64) {
	for _, count := range s.Requests {
		n += count
	}
	return n
}

// Pipelines is the number of requests for a pipeline, in any version.
func (s Stats) Pipelines() int64 {
	return s.Requests["/v2/pipeline"] + s.Requests["/v3/pipeline"] + s.Requests["/v3-protobuf/pipeline"]
}

type counters struct {
	mu       sync.Mutex
	requests map[string]int64
	open     int
	accepted int64
}

func (c *counters) request(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[path]++
}

func (c *counters) connection(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open += n
	if n > 0 {
		c.accepted++
	}
}

// Stats is a snapshot; Requests is the caller's.
func (s *Server) Stats() Stats {
	st := Stats{
		Streams:    s.streams.count(),
		Opened:     s.streams.opened.Load(),
		Statements: s.engine.statements.Load(),
	}
	s.counters.mu.Lock()
	defer s.counters.mu.Unlock()
	st.Requests = maps.Clone(s.counters.requests)
	st.Connections, st.Accepted = s.counters.open, s.counters.accepted
	return st
}
