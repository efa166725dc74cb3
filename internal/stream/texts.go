package stream

import (
	"sync/atomic"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
)

// Where several callers share a request most steps have one of a few texts, and a
// text can be sent once: store_sql gives it a number on the stream, by which the
// steps name it, and close_sql takes the number back in the same request.
const (
	// sqld stores 50 texts of 5,000 bytes on a stream.
	maxTexts    = 50
	maxTextSize = 5000
	// minTextSaved is what a text must save to be worth two requests of a pipeline.
	// Measured on sqld; see BenchmarkTexts.
	minTextSaved = 1 << 10
)

// texts sends the texts of shared batches once.
type texts struct {
	off   atomic.Bool   // the server has refused to store one
	saved atomic.Uint64 // bytes of texts that were not sent again
}

// shared is a plan's requests between those that store its texts and those that
// forget them.
type shared struct {
	reqs        []hrana.StreamReq
	stored, own int // how many store a text, and how many after them are the plan's
}

// share returns the requests to send for those of a plan. The plan must be one
// that is run again statement by statement if its batch fails as a whole, as it
// does where the server does not store a text.
func (t *texts) share(p *Plan, c *compiled) shared {
	if p.Shape != Independent && p.Shape != Transaction || !c.v3 || t.off.Load() || len(c.reqs) == 0 || c.reqs[0].Type != hrana.BatchRequest {
		return shared{reqs: c.reqs}
	}
	steps := c.reqs[0].Batch.Steps
	saved := make(map[string]int, 8)
	for i := range steps {
		if text := steps[i].Stmt.SQL; len(text) <= maxTextSize {
			if n, ok := saved[text]; ok {
				saved[text] = n + len(text)
			} else {
				saved[text] = 0
			}
		}
	}
	var stores, forgets []hrana.StreamReq
	ids := make(map[string]int32, 4)
	for i := range steps {
		s := &steps[i].Stmt
		if saved[s.SQL] < minTextSaved {
			continue
		}
		id, ok := ids[s.SQL]
		if !ok {
			if len(ids) == maxTexts {
				continue
			}
			id = int32(len(ids) + 1)
			ids[s.SQL] = id
			t.saved.Add(uint64(saved[s.SQL]))
			stores = append(stores, hrana.StreamReq{Type: hrana.StoreSQL, SQLID: id, SQL: s.SQL})
			forgets = append(forgets, hrana.StreamReq{Type: hrana.CloseSQL, SQLID: id})
		}
		s.SQL, s.SQLID, s.HasSQLID = "", id, true
	}
	if len(stores) == 0 {
		return shared{reqs: c.reqs}
	}
	if p.Close {
		forgets = nil // the stream forgets them itself
	}
	reqs := make([]hrana.StreamReq, 0, len(stores)+len(c.reqs)+len(forgets))
	reqs = append(append(append(reqs, stores...), c.reqs...), forgets...)
	return shared{reqs: reqs, stored: len(stores), own: len(c.reqs)}
}

// results are those of the plan's own requests.
func (t *texts) results(sent *shared, results []hrana.StreamResult) ([]hrana.StreamResult, *exec.Error) {
	if sent.stored == 0 {
		return results, nil
	}
	if len(results) != len(sent.reqs) {
		return nil, badReply("with another number of results than asked for")
	}
	for i := range sent.stored {
		if results[i].Err != nil {
			t.off.Store(true)
		}
	}
	return results[sent.stored : sent.stored+sent.own], nil
}
