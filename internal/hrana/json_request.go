package hrana

import (
	"errors"
	"fmt"
)

// Requests leave out what they do not need: in sqld and by the specification a
// missing field is as good as a null.

func appendJSONPipelineReq(dst []byte, req *PipelineReq) ([]byte, error) {
	w := jsonWriter{b: dst}
	w.raw("{")
	w.baton(req.Baton)
	w.raw(`"requests":[`)
	for i := range req.Requests {
		w.separate(i)
		w.streamReq(&req.Requests[i])
		if w.err != nil {
			break
		}
	}
	w.raw("]}")
	return w.end(dst)
}

func (w *jsonWriter) baton(baton string) {
	if baton != "" {
		w.raw(`"baton":`)
		w.text(baton)
		w.raw(",")
	}
}

func (w *jsonWriter) streamReq(req *StreamReq) {
	name := req.Type.String()
	if name == "" {
		w.fail(fmt.Errorf("a request of type %d", req.Type))
		return
	}
	w.raw(`{"type":"`)
	w.raw(name)
	w.raw(`"`)
	switch req.Type {
	case Execute:
		w.raw(`,"stmt":`)
		w.stmt(&req.Stmt)
	case BatchRequest:
		w.raw(`,"batch":`)
		w.batch(&req.Batch)
	case Sequence, Describe:
		w.raw(",")
		w.sql(req.SQL, req.SQLID, req.HasSQLID)
	case StoreSQL:
		w.raw(",")
		w.sql("", req.SQLID, true)
		w.raw(",")
		w.sql(req.SQL, 0, false)
	case CloseSQL:
		w.raw(",")
		w.sql("", req.SQLID, true)
	}
	w.raw("}")
}

// sql appends the field of a text, or of the number that stands for it.
func (w *jsonWriter) sql(sql string, id int32, hasID bool) {
	if hasID {
		w.raw(`"sql_id":`)
		w.int(int64(id))
		return
	}
	w.raw(`"sql":`)
	w.text(sql)
}

func (w *jsonWriter) stmt(s *Stmt) {
	w.raw("{")
	w.sql(s.SQL, s.SQLID, s.HasSQLID)
	if len(s.Args) > 0 {
		w.raw(`,"args":[`)
		for i := range s.Args {
			w.separate(i)
			if w.value(&s.Args[i]); w.err != nil {
				w.err = fmt.Errorf("argument %d: %w", i+1, w.err)
				return
			}
		}
		w.raw("]")
	}
	if len(s.Named) > 0 {
		w.raw(`,"named_args":[`)
		for i := range s.Named {
			w.separate(i)
			w.raw(`{"name":`)
			w.text(s.Named[i].Name)
			w.raw(`,"value":`)
			w.value(&s.Named[i].Value)
			w.raw("}")
			if w.err != nil {
				w.err = fmt.Errorf("argument %q: %w", s.Named[i].Name, w.err)
				return
			}
		}
		w.raw("]")
	}
	// Rows are wanted where nothing is said.
	if !s.WantRows {
		w.raw(`,"want_rows":false`)
	}
	w.replicationIndex(s.ReplicationIndex)
	w.raw("}")
}

// replicationIndex appends the field in the form that holds all 64 bits in
// every JSON implementation; sqld reads it as a number too.
func (w *jsonWriter) replicationIndex(index uint64) {
	if index != 0 {
		w.raw(`,"replication_index":"`)
		w.uint(index)
		w.raw(`"`)
	}
}

func (w *jsonWriter) batch(b *Batch) {
	w.raw(`{"steps":[`)
	for i := range b.Steps {
		step := &b.Steps[i]
		w.separate(i)
		w.raw("{")
		if step.Cond != nil {
			w.raw(`"condition":`)
			w.cond(step.Cond, 1)
			w.raw(",")
		}
		w.raw(`"stmt":`)
		w.stmt(&step.Stmt)
		w.raw("}")
		if w.err != nil {
			w.err = fmt.Errorf("step %d: %w", i, w.err)
			return
		}
	}
	w.raw("]")
	w.replicationIndex(b.ReplicationIndex)
	w.raw("}")
}

func (w *jsonWriter) cond(c *Cond, depth int) {
	if c == nil || depth > maxCondDepth {
		w.fail(errors.New("a condition that is nil or nested too deep"))
		return
	}
	switch c.Type {
	case CondOK, CondError:
		if c.Type == CondOK {
			w.raw(`{"type":"ok","step":`)
		} else {
			w.raw(`{"type":"error","step":`)
		}
		w.uint(uint64(c.Step))
	case CondNot:
		if len(c.Conds) != 1 {
			w.fail(fmt.Errorf("a condition not of %d conditions", len(c.Conds)))
			return
		}
		w.raw(`{"type":"not","cond":`)
		w.cond(c.Conds[0], depth+1)
	case CondAnd, CondOr:
		if c.Type == CondAnd {
			w.raw(`{"type":"and","conds":[`)
		} else {
			w.raw(`{"type":"or","conds":[`)
		}
		for i := range c.Conds {
			w.separate(i)
			if w.cond(c.Conds[i], depth+1); w.err != nil {
				return
			}
		}
		w.raw("]")
	case CondIsAutocommit:
		w.raw(`{"type":"is_autocommit"`)
	default:
		w.fail(fmt.Errorf("a condition of type %d", c.Type))
	}
	w.raw("}")
}
