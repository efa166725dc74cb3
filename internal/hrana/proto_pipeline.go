package hrana

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

func appendProtoPipelineReq(dst []byte, req *PipelineReq) ([]byte, error) {
	w := protoWriter{b: dst}
	w.someText(1, req.Baton)
	for i := range req.Requests {
		w.request(&req.Requests[i])
		if w.err != nil {
			w.err = fmt.Errorf("request %d: %w", i, w.err)
			break
		}
	}
	return w.end(dst, "PipelineReqBody")
}

// request appends a StreamRequest message. Its members have the numbers of
// their RequestType.
func (w *protoWriter) request(r *StreamReq) {
	if r.Type < Close || r.Type > GetAutocommit {
		w.fail(fmt.Errorf("StreamRequest: type %d", r.Type))
		return
	}
	body := w.begin(2)
	member := w.begin(protowire.Number(r.Type))
	switch r.Type {
	case Execute:
		w.stmt(1, &r.Stmt)
	case BatchRequest:
		w.batch(1, &r.Batch)
	case Sequence, Describe:
		w.sql(1, 2, r.SQL, r.SQLID, r.HasSQLID)
	case StoreSQL:
		w.uint64(1, uint64(r.SQLID))
		w.text(2, r.SQL)
	case CloseSQL:
		w.uint64(1, uint64(r.SQLID))
	}
	w.close(member)
	w.close(body)
}

func decodeProtoPipelineResp(data []byte, resp *PipelineResp) error {
	*resp = PipelineResp{}
	results, gaps := 0, maxStepGaps+len(data)
	f := protoFields{rest: data}
	for f.next() {
		if f.num == 3 {
			results++
		}
	}
	if f.err == nil && results > 0 {
		resp.Results = make([]StreamResult, 0, results)
	}
	f.rest = data
	for f.next() {
		switch f.num {
		case 1:
			resp.Baton = f.text()
		case 2:
			resp.BaseURL = f.text()
		case 3:
			resp.Results = append(resp.Results, StreamResult{})
			if err := protoStreamResult(f.message(), &resp.Results[len(resp.Results)-1], &gaps); err != nil {
				f.fail(fmt.Errorf("result %d: %w", len(resp.Results)-1, err))
			}
		}
	}
	return inMessage("protobuf PipelineRespBody", f.err)
}

func protoStreamResult(b []byte, r *StreamResult, gaps *int) error {
	f := protoFields{rest: b}
	for f.next() {
		switch f.num {
		case 1:
			*r = StreamResult{}
			f.fail(protoStreamResponse(f.message(), r, gaps))
		case 2:
			*r = StreamResult{}
			var err error
			r.Err, err = protoError(f.message())
			f.fail(err)
		}
	}
	if f.err == nil && r.Type == 0 && r.Err == nil {
		f.err = fmt.Errorf("neither a response nor an error")
	}
	return f.err
}

// protoStreamResponse decodes a StreamResponse message, whose members have the
// numbers of their RequestType.
func protoStreamResponse(b []byte, r *StreamResult, gaps *int) error {
	f := protoFields{rest: b}
	for f.next() {
		if f.num > protowire.Number(GetAutocommit) {
			continue
		}
		body := protoFields{rest: f.message()}
		*r = StreamResult{Type: RequestType(f.num)}
		var whole bool // the response has all that its type promises
		for body.next() {
			if body.num != 1 {
				continue
			}
			var err error
			switch r.Type {
			case Execute:
				r.Stmt, err = protoStmtResult(body.message())
			case BatchRequest:
				r.Batch, err = protoBatchResult(body.message(), gaps)
			case Describe:
				r.Describe, err = protoDescribeResult(body.message())
			case GetAutocommit:
				r.IsAutocommit = body.bool()
			}
			body.fail(err)
			whole = true
		}
		f.fail(body.err)
		switch {
		case whole, r.Type == Close, r.Type == Sequence, r.Type == StoreSQL, r.Type == CloseSQL, r.Type == GetAutocommit:
		default:
			f.fail(fmt.Errorf("StreamResponse: member %d without its result", f.num))
		}
	}
	if f.err == nil && r.Type == 0 {
		f.err = fmt.Errorf("StreamResponse: its type is missing or unknown")
	}
	return f.err
}
