package hrana

import "github.com/turso-opt/turso-opt/internal/exec"

func decodeJSONPipelineReq(data []byte, req *PipelineReq) error {
	*req = PipelineReq{}
	r := jsonReader{data: data}
	have := false
	for name, ok := r.object(); ok; name, ok = r.next() {
		switch string(name) {
		case "baton":
			req.Baton = r.text()
		case "requests":
			have, req.Requests = true, nil
			for ok := r.array(); ok; ok = r.element() {
				req.Requests = append(req.Requests, StreamReq{})
				r.streamReq(&req.Requests[len(req.Requests)-1])
			}
		default:
			r.skip()
		}
	}
	if !have {
		r.fail("a pipeline without requests")
	}
	return r.end()
}

func decodeJSONCursorReq(data []byte, req *CursorReq) error {
	*req = CursorReq{}
	r := jsonReader{data: data}
	have := false
	for name, ok := r.object(); ok; name, ok = r.next() {
		switch string(name) {
		case "baton":
			req.Baton = r.text()
		case "batch":
			have = true
			r.batch(&req.Batch)
		default:
			r.skip()
		}
	}
	if !have {
		r.fail("a cursor without a batch")
	}
	return r.end()
}

// streamReq reads one request. No two requests mean different things by one
// name, so the order of the fields does not matter.
func (r *jsonReader) streamReq(req *StreamReq) {
	var haveSQL, haveStmt, haveBatch bool
	for name, ok := r.object(); ok; name, ok = r.next() {
		switch string(name) {
		case "type":
			kind := r.plainText()
			if req.Type = requestType(kind); req.Type == 0 {
				r.unknown("a request", kind)
			}
		case "stmt":
			haveStmt = true
			r.stmt(&req.Stmt)
		case "batch":
			haveBatch = true
			r.batch(&req.Batch)
		case "sql":
			if !r.null() {
				req.SQL, haveSQL = r.text(), true
			}
		case "sql_id":
			if !r.null() {
				req.SQLID, req.HasSQLID = small[int32](r), true
			}
		default:
			r.skip()
		}
	}
	missing := false
	switch req.Type {
	case 0:
		r.fail("a request without a type")
	case Execute:
		missing = !haveStmt
	case BatchRequest:
		missing = !haveBatch
	case Sequence, Describe:
		r.oneSQL(haveSQL, req.HasSQLID)
	case StoreSQL:
		missing = !haveSQL || !req.HasSQLID
		req.HasSQLID = false // nothing stands for the text here
	case CloseSQL:
		missing = !req.HasSQLID
		req.HasSQLID = false
	}
	if missing {
		r.fail("a request of type %s without what it is about", req.Type)
	}
}

func (r *jsonReader) oneSQL(text, id bool) {
	if text == id {
		r.fail("exactly one of sql and sql_id was expected")
	}
}

func (r *jsonReader) stmt(s *Stmt) {
	*s = Stmt{WantRows: true}
	haveSQL := false
	for name, ok := r.object(); ok; name, ok = r.next() {
		switch string(name) {
		case "sql":
			if !r.null() {
				s.SQL, haveSQL = r.text(), true
			}
		case "sql_id":
			if !r.null() {
				s.SQLID, s.HasSQLID = small[int32](r), true
			}
		case "args":
			s.Args = nil
			for ok := r.array(); ok; ok = r.element() {
				s.Args = append(s.Args, r.argument())
			}
		case "named_args":
			s.Named = nil
			for ok := r.array(); ok; ok = r.element() {
				s.Named = append(s.Named, r.namedArg())
			}
		case "want_rows":
			s.WantRows = r.null() || r.bool()
		case "replication_index":
			s.ReplicationIndex = r.unsigned()
		default:
			r.skip()
		}
	}
	r.oneSQL(haveSQL, s.HasSQLID)
}

func (r *jsonReader) namedArg() (a NamedArg) {
	haveName, haveValue := false, false
	for name, ok := r.object(); ok; name, ok = r.next() {
		switch string(name) {
		case "name":
			a.Name, haveName = string(r.plainText()), true
		case "value":
			a.Value, haveValue = r.argument(), true
		default:
			r.skip()
		}
	}
	if !haveName || !haveValue {
		r.fail("an argument without its name or value")
	}
	return a
}

// argument reads an SQLite value of a request. Like sqld it takes no null for a
// float.
func (r *jsonReader) argument() exec.Value {
	v := r.value()
	out := exec.Value{Kind: v.kind}
	switch v.kind {
	case exec.Integer:
		out.Int = r.valueInt(v)
	case exec.Float:
		if v.raw == nil {
			r.fail("a float value is null")
		} else {
			out.Float = r.valueFloat(v)
		}
	case exec.Text:
		if v.escaped {
			v.raw = appendText(nil, v.raw, true)
		}
		out.Text = string(v.raw)
	case exec.Blob:
		out.Blob = r.appendBlob(nil, v.raw)
	}
	return out
}

func (r *jsonReader) batch(b *Batch) {
	*b = Batch{}
	have := false
	for name, ok := r.object(); ok; name, ok = r.next() {
		switch string(name) {
		case "steps":
			have, b.Steps = true, nil
			for ok := r.array(); ok; ok = r.element() {
				b.Steps = append(b.Steps, BatchStep{})
				r.batchStep(&b.Steps[len(b.Steps)-1])
			}
		case "replication_index":
			b.ReplicationIndex = r.unsigned()
		default:
			r.skip()
		}
	}
	if !have {
		r.fail("a batch without steps")
	}
}

func (r *jsonReader) batchStep(step *BatchStep) {
	have := false
	for name, ok := r.object(); ok; name, ok = r.next() {
		switch string(name) {
		case "condition":
			if !r.null() {
				step.Cond = r.cond(1)
			}
		case "stmt":
			have = true
			r.stmt(&step.Stmt)
		default:
			r.skip()
		}
	}
	if !have {
		r.fail("a step without a statement")
	}
}

func (r *jsonReader) cond(depth int) *Cond {
	c := new(Cond)
	if depth > maxCondDepth {
		r.fail("a condition is nested more than %d deep", maxCondDepth)
	}
	haveStep, haveOne, haveList := false, false, false
	var one, list []*Cond
	for name, ok := r.object(); ok; name, ok = r.next() {
		switch string(name) {
		case "type":
			kind := r.plainText()
			if c.Type = condType(kind); c.Type == 0 {
				r.unknown("a condition", kind)
			}
		case "step":
			c.Step, haveStep = small[uint32](r), true
		case "cond":
			one, haveOne = []*Cond{r.cond(depth + 1)}, true
		case "conds":
			list, haveList = nil, true
			for ok := r.array(); ok; ok = r.element() {
				list = append(list, r.cond(depth+1))
			}
		default:
			r.skip()
		}
	}
	have := true
	switch c.Type {
	case 0:
		r.fail("a condition without a type")
	case CondOK, CondError:
		have = haveStep
	case CondNot:
		c.Conds, have = one, haveOne
	case CondAnd, CondOr:
		c.Conds, have = list, haveList
	}
	if !have {
		r.fail("a condition without what it is about")
	}
	return c
}

func condType(name []byte) CondType {
	switch string(name) {
	case "ok":
		return CondOK
	case "error":
		return CondError
	case "not":
		return CondNot
	case "and":
		return CondAnd
	case "or":
		return CondOr
	case "is_autocommit":
		return CondIsAutocommit
	}
	return 0
}
