package bench

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/netem"
)

// A seenText counts how often some SQL texts pass on their way to the server, whoever
// sends them and however: as a request of its own, as a step of a batch, by a number
// under which it was stored.
type seenText struct {
	texts   []string
	count   atomic.Int64
	unknown atomic.Int64 // requests that could not be read
}

// watchFor has a network look for texts.
func watchFor(p *netem.Proxy, texts []string) *seenText {
	s := &seenText{texts: texts}
	p.Inspect(s.look)
	return s
}

func (s *seenText) total() int {
	if s == nil {
		return 0
	}
	return int(s.count.Load())
}

func (s *seenText) look(target string, body []byte) {
	enc := hrana.JSON
	if strings.Contains(target, "-protobuf/") {
		enc = hrana.Protobuf
	}
	switch {
	case strings.HasSuffix(target, "/pipeline"):
		var req hrana.PipelineReq
		if hrana.DecodePipelineReq(enc, body, &req) != nil {
			s.unknown.Add(1)
			return
		}
		s.pipeline(&req)
	case strings.HasSuffix(target, "/cursor"):
		var req hrana.CursorReq
		if hrana.DecodeCursorReq(enc, body, &req) != nil {
			s.unknown.Add(1)
			return
		}
		s.batch(&req.Batch, nil)
	}
}

func (s *seenText) pipeline(req *hrana.PipelineReq) {
	stored := map[int32]string{}
	for i := range req.Requests {
		switch r := &req.Requests[i]; r.Type {
		case hrana.StoreSQL:
			stored[r.SQLID] = r.SQL
		case hrana.Execute:
			s.statement(&r.Stmt, stored)
		case hrana.BatchRequest:
			s.batch(&r.Batch, stored)
		}
	}
}

func (s *seenText) batch(b *hrana.Batch, stored map[int32]string) {
	for i := range b.Steps {
		s.statement(&b.Steps[i].Stmt, stored)
	}
}

func (s *seenText) statement(st *hrana.Stmt, stored map[int32]string) {
	sql := st.SQL
	if st.HasSQLID {
		sql = stored[st.SQLID]
	}
	if slices.Contains(s.texts, strings.TrimSpace(sql)) {
		s.count.Add(1)
	}
}
