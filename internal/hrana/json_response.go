package hrana

import "github.com/turso-opt/turso-opt/internal/exec"

func decodeJSONPipelineResp(data []byte, resp *PipelineResp) error {
	*resp = PipelineResp{}
	r := jsonReader{data: data}
	have := false
	for name, ok := r.object(); ok; name, ok = r.next() {
		switch string(name) {
		case "baton":
			resp.Baton = r.text()
		case "base_url":
			resp.BaseURL = r.text()
		case "results":
			have = true
			resp.Results = make([]StreamResult, 0, 2) // an execute and what follows it
			for ok := r.array(); ok; ok = r.element() {
				resp.Results = append(resp.Results, StreamResult{})
				r.streamResult(&resp.Results[len(resp.Results)-1])
			}
		default:
			r.skip()
		}
	}
	if !have {
		r.fail("an answer without results")
	}
	return r.end()
}

func (r *jsonReader) streamResult(res *StreamResult) {
	var kind []byte
	for name, ok := r.object(); ok; name, ok = r.next() {
		switch string(name) {
		case "type":
			kind = r.plainText()
		case "response":
			if !r.null() {
				r.streamResponse(res)
			}
		case "error":
			res.Err = r.error()
		default:
			r.skip()
		}
	}
	switch string(kind) {
	case "ok":
		if res.Err = nil; res.Type == 0 {
			r.fail("a result without a response")
		}
	case "error":
		if res.Err == nil {
			r.fail("an error that says nothing")
		}
		*res = StreamResult{Err: res.Err}
	default:
		r.unknown("a result", kind)
	}
}

func (r *jsonReader) streamResponse(res *StreamResult) {
	late, have := -1, false
	for name, ok := r.object(); ok; name, ok = r.next() {
		switch string(name) {
		case "type":
			kind := r.plainText()
			if res.Type = requestType(kind); res.Type == 0 {
				r.unknown("a response", kind)
			}
		case "result":
			if have = true; res.Type != 0 {
				r.streamResultOf(res)
			} else {
				late = r.later()
			}
		case "is_autocommit":
			res.IsAutocommit = r.bool()
		default:
			r.skip()
		}
	}
	switch res.Type {
	case 0:
		r.fail("a response without a type")
	case Execute, BatchRequest, Describe:
		if !have {
			r.fail("a response without a result")
		}
	}
	if late >= 0 {
		r.revisit(late, func() { r.streamResultOf(res) })
	}
}

// streamResultOf reads the result of a response whose type is known.
func (r *jsonReader) streamResultOf(res *StreamResult) {
	switch res.Type {
	case Execute:
		res.Stmt = r.result()
	case BatchRequest:
		res.Batch = r.batchResult()
	case Describe:
		res.Describe = r.describeInfo()
	default:
		r.skip()
	}
}

func (r *jsonReader) batchResult() *BatchResult {
	b := new(BatchResult)
	have := false
	for name, ok := r.object(); ok; name, ok = r.next() {
		switch string(name) {
		case "step_results":
			have, b.Steps = true, nil
			for ok := r.array(); ok; ok = r.element() {
				var res *exec.Result
				if !r.null() {
					res = r.result()
				}
				b.Steps = append(b.Steps, res)
			}
		case "step_errors":
			b.Errors = r.stepErrors()
		case "replication_index":
			b.ReplicationIndex = r.unsigned()
		default:
			r.skip()
		}
	}
	if !have {
		r.fail("a batch's result without those of its steps")
	}
	return b
}

// stepErrors reads the errors of a batch's steps, without the nulls after the
// last: most batches have none at all.
func (r *jsonReader) stepErrors() (errs []*Error) {
	steps := 0
	for ok := r.array(); ok; ok = r.element() {
		if steps++; r.null() {
			continue
		}
		if n := steps - len(errs); n > 1 {
			errs = append(errs, make([]*Error, n-1)...)
		}
		errs = append(errs, r.error())
	}
	return errs
}

func (r *jsonReader) describeInfo() *DescribeInfo {
	d := new(DescribeInfo)
	for name, ok := r.object(); ok; name, ok = r.next() {
		switch string(name) {
		case "params":
			d.Params = nil
			for ok := r.array(); ok; ok = r.element() {
				param, have := "", false
				for name, ok := r.object(); ok; name, ok = r.next() {
					if string(name) == "name" {
						param, have = r.text(), true
					} else {
						r.skip()
					}
				}
				if !have {
					r.fail("a parameter without a name")
				}
				d.Params = append(d.Params, param)
			}
		case "cols":
			d.Cols = r.cols()
		case "is_explain":
			d.IsExplain = r.bool()
		case "is_readonly":
			d.IsReadonly = r.bool()
		default:
			r.skip()
		}
	}
	return d
}

// error reads an error; nil for null.
func (r *jsonReader) error() *Error {
	if r.null() {
		return nil
	}
	e := new(Error)
	have := false
	for name, ok := r.object(); ok; name, ok = r.next() {
		switch string(name) {
		case "message":
			e.Message, have = r.text(), true
		case "code":
			e.Code = r.text()
		case "extended_code":
			e.ExtendedCode = r.text()
		default:
			r.skip()
		}
	}
	if !have {
		r.fail("an error without a message")
	}
	return e
}

func requestType(name []byte) RequestType {
	switch string(name) {
	case "close":
		return Close
	case "execute":
		return Execute
	case "batch":
		return BatchRequest
	case "sequence":
		return Sequence
	case "describe":
		return Describe
	case "store_sql":
		return StoreSQL
	case "close_sql":
		return CloseSQL
	case "get_autocommit":
		return GetAutocommit
	}
	return 0
}

func (t RequestType) String() string {
	names := [...]string{"", "close", "execute", "batch", "sequence", "describe", "store_sql", "close_sql", "get_autocommit"}
	if int(t) < len(names) {
		return names[t]
	}
	return ""
}
