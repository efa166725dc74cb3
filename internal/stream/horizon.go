package stream

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/hranahttp"
)

// A horizon is how far the database's replication has got, as far as answers have
// told. sqld's replicas serve reads from what has arrived there and hand writes
// on to the primary, so that a read may be older than a write of the same client,
// unless it says which index it wants to see. On a primary none of it matters,
// and nothing is sent for it.
//
// Turso Cloud's index must not be interpreted. Only sqld offers protobuf, so
// where that is spoken the index is a number that grows, until the primary
// restarts: then it goes back, with all rows kept, and a replica that is asked
// for an index that it had before does not answer.
type horizon struct {
	// seen is the highest index that an answer has told.
	seen atomic.Uint64
	// reached is the highest that the server is known to serve reads from. To ask
	// for more may take for ever.
	reached atomic.Uint64
	role    atomic.Uint32
	asking  atomic.Bool // the primary is being asked whether seen is still true
}

// The roles of a server.
const (
	unknownRole uint32 = iota
	primaryRole
	replicaRole
)

// arrives is how long a read waits for what its client has seen to arrive at a
// replica before the primary is asked whether it is still there. If it is, the
// replica is behind, and the read is sent again with the same wish; if not, or if
// the primary cannot be asked, without.
var arrives = 3 * time.Second

// asked is what a read asks to see, or what has been seen when a write is sent. In
// a transaction the primary answers.
func (h *horizon) asked(level hranahttp.Level, class exec.Class, p *Plan) uint64 {
	if level != hranahttp.V3Protobuf || class == exec.Read && (p.Guard || p.Begin != "") {
		return 0
	}
	return h.seen.Load()
}

// forget is for a server that may have restarted.
func (h *horizon) forget() {
	h.seen.Store(0)
	h.reached.Store(0)
}

func raise(n *atomic.Uint64, to uint64) {
	for {
		if old := n.Load(); to <= old || n.CompareAndSwap(old, to) {
			return
		}
	}
}

// wire is the level that a request is sent at, which may be another than its
// stream's: sqld takes a baton in any. In protobuf the answer to a batch does not
// tell the index, in JSON it does.
func (h *horizon) wire(level hranahttp.Level, reqs []hrana.StreamReq) hranahttp.Level {
	if level != hranahttp.V3Protobuf || h.role.Load() != replicaRole {
		return level
	}
	for i := range reqs {
		if reqs[i].Type == hrana.BatchRequest {
			return hranahttp.V3JSON
		}
	}
	return level
}

// learn takes from answers what they tell of the index; before it is known what
// the server speaks, too. asked is what a read wanted to see, or what had been seen
// when a write was sent. untold: a replica has not told the index that a write has
// led to.
func (h *horizon) learn(class exec.Class, asked uint64, results []hrana.StreamResult) (untold bool) {
	told := uint64(0)
	for i := range results {
		switch r := &results[i]; {
		case r.Stmt != nil:
			told = max(told, r.Stmt.ReplicationIndex)
		case r.Batch != nil:
			told = max(told, r.Batch.ReplicationIndex)
		}
	}
	h.learnRoles(class, results)
	role := h.role.Load()
	switch {
	case told > 0 && told < asked:
		h.forget() // the primary has restarted
	case class == exec.Read:
		raise(&h.reached, max(asked, told))
	case role == primaryRole:
		raise(&h.reached, told)
	}
	raise(&h.seen, told)
	return class == exec.Write && role == replicaRole && told == 0
}

// learnRole tells a primary, which counts the rows that it writes, from a replica,
// which has nothing to say of a write but its outcome.
func (h *horizon) learnRole(class exec.Class, r *exec.Result) {
	switch {
	case class == exec.Read || r == nil || r.RowsAffected == 0:
	case r.RowsWritten > 0:
		h.setRole(primaryRole)
	case r.ServerTime == 0:
		h.setRole(replicaRole)
	}
}

// learnRoles is learnRole of all answers to a request.
func (h *horizon) learnRoles(class exec.Class, results []hrana.StreamResult) {
	for i := range results {
		switch r := &results[i]; {
		case r.Stmt != nil:
			h.learnRole(class, r.Stmt)
		case r.Batch != nil:
			for _, step := range r.Batch.Steps {
				h.learnRole(class, step)
			}
		}
	}
}

func (h *horizon) setRole(role uint32) {
	if h.role.Load() != role {
		h.role.Store(role)
	}
}

// pipelineRead sends a read that wants to see index.
func (p *Pool) pipelineRead(ctx context.Context, s *Stream, req *hrana.PipelineReq, index uint64, expect hranahttp.Expect) (*hranahttp.Reply, error) {
	level := p.horizon.wire(s.level, req.Requests)
	if index <= p.horizon.reached.Load() {
		return p.client.Pipeline(ctx, s.ep, level, req, expect)
	}
	bounded, cancel := context.WithTimeout(ctx, arrives)
	defer cancel()
	reply, err := p.client.Pipeline(bounded, s.ep, level, req, expect)
	switch {
	case err == nil || bounded.Err() == nil:
	case ctx.Err() == nil:
		p.client.Doubt(s.ep) // a dead connection does not answer either
		s.behind = p.confirmed(ctx, index)
	case p.horizon.asking.CompareAndSwap(false, true):
		// Callers who never wait that long must not wait for ever, all of them.
		if !p.client.Go(func(ctx context.Context) {
			defer p.horizon.asking.Store(false)
			if !p.confirmed(ctx, index) {
				p.horizon.forget()
			}
		}) {
			p.horizon.asking.Store(false)
		}
	}
	return reply, err
}

// confirmed asks the primary whether its index is as high as what has been seen.
func (p *Pool) confirmed(ctx context.Context, index uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, arrives)
	defer cancel()
	results, err := p.primaryIndex(ctx)
	return err == nil && results[0].Stmt != nil && results[0].Stmt.ReplicationIndex >= index
}

// arrive waits until what has been seen has arrived at the server, for reads that
// cannot be cut off while they wait for it.
func (p *Pool) arrive(ctx context.Context, level hranahttp.Level, plan *Plan) {
	if p.horizon.asked(level, exec.Read, plan) > p.horizon.reached.Load() {
		_, _ = p.Do(ctx, &exec.Request{Class: exec.Read, Stmts: []exec.Stmt{{SQL: "SELECT 1", Note: new(exec.Note)}}})
	}
}

// askIndex asks for the index that a write has led to, which its answer has not
// told.
func (p *Pool) askIndex(ctx context.Context) {
	if results, err := p.primaryIndex(ctx); err == nil {
		p.horizon.learn(exec.Write, 0, results)
	}
}

// primaryIndex is a primary's answer, which tells its index: a replica hands a
// BEGIN on.
func (p *Pool) primaryIndex(ctx context.Context) ([]hrana.StreamResult, error) {
	ctx = p.client.Trace().About(ctx, 0, 0)
	begin, rollback := hrana.Stmt{SQL: "BEGIN"}, hrana.Stmt{SQL: "ROLLBACK"}
	reply, err := p.client.Pipeline(ctx, p.client.Home(), hranahttp.V3Protobuf, &hrana.PipelineReq{Requests: []hrana.StreamReq{
		{Type: hrana.Execute, Stmt: begin}, {Type: hrana.Execute, Stmt: rollback}, {Type: hrana.Close}}}, hranahttp.Expect{})
	if err != nil {
		return nil, err
	}
	return reply.Results, nil
}
