package hrana

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// In StreamRequest and StreamResponse the members have the numbers of their
// RequestTypes, from Close to GetAutocommit.

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

// request appends a StreamRequest message.
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
		w.int32(1, r.SQLID)
		w.text(2, r.SQL)
	case CloseSQL:
		w.int32(1, r.SQLID)
	}
	w.close(member)
	w.close(body)
}

// decodeProtoPipelineReq leaves the Type of a request that it does not know at
// 0. sqld, too, refuses such a request not before those in front of it have
// been executed.
func decodeProtoPipelineReq(data []byte, req *PipelineReq) error {
	*req = PipelineReq{}
	f := protoFields{rest: data}
	req.Requests = slices.Grow(req.Requests, f.count(2))
	for f.next() {
		switch f.num {
		case 1:
			req.Baton = f.text()
		case 2:
			i := len(req.Requests)
			req.Requests = append(req.Requests, StreamReq{})
			if err := protoStreamReq(f.message(), &req.Requests[i]); err != nil {
				f.fail(fmt.Errorf("request %d: %w", i, err))
			}
		}
	}
	return inMessage("protobuf PipelineReqBody", f.err)
}

func protoStreamReq(b []byte, r *StreamReq) error {
	f := protoFields{rest: b}
	for f.next() {
		if f.num > protowire.Number(GetAutocommit) {
			continue
		}
		*r = StreamReq{Type: RequestType(f.num)}
		f.fail(protoRequestBody(f.message(), r))
	}
	return inMessage("StreamRequest", f.err)
}

// protoRequestBody decodes the member that r.Type names.
func protoRequestBody(b []byte, r *StreamReq) error {
	var sql protoSQL
	f := protoFields{rest: b}
	switch r.Type {
	case Execute:
		stmt := f.only(1)
		f.fail(protoStmt(stmt, &r.Stmt))
	case BatchRequest:
		batch := f.only(1)
		f.fail(protoBatch(batch, &r.Batch))
	case Sequence, Describe:
		for f.next() {
			sql.field(&f, 1, 2)
		}
		f.fail(sql.check())
		r.SQL, r.SQLID, r.HasSQLID = sql.text, sql.id, sql.hasID
	case StoreSQL, CloseSQL:
		for f.next() {
			sql.field(&f, 2, 1)
		}
		r.SQL, r.SQLID = sql.text, sql.id
	}
	return f.err
}

func appendProtoPipelineResp(dst []byte, resp *PipelineResp) ([]byte, error) {
	w := protoWriter{b: dst}
	w.someText(1, resp.Baton)
	w.someText(2, resp.BaseURL)
	for i := range resp.Results {
		w.result(&resp.Results[i])
		if w.err != nil {
			w.err = fmt.Errorf("result %d: %w", i, w.err)
			break
		}
	}
	return w.end(dst, "PipelineRespBody")
}

// result appends a StreamResult message.
func (w *protoWriter) result(r *StreamResult) {
	body := w.begin(3)
	defer w.close(body)
	if r.Err != nil {
		w.error(2, r.Err)
		return
	}
	if err := r.incomplete(); err != nil {
		w.fail(err)
		return
	}
	response := w.begin(1)
	member := w.begin(protowire.Number(r.Type))
	switch r.Type {
	case Execute:
		w.stmtResult(1, r.Stmt)
	case BatchRequest:
		w.batchResult(1, r.Batch)
	case Describe:
		w.describeResult(1, r.Describe)
	case GetAutocommit:
		if r.IsAutocommit {
			w.uint64(1, 1)
		}
	}
	w.close(member)
	w.close(response)
}

// incomplete tells what a result that is no error lacks.
func (r *StreamResult) incomplete() error {
	switch {
	case r.Type < Close || r.Type > GetAutocommit:
		return inMessage("StreamResponse", errNoType)
	case r.Type == Execute && r.Stmt == nil,
		r.Type == BatchRequest && r.Batch == nil,
		r.Type == Describe && r.Describe == nil:
		return fmt.Errorf("StreamResponse: member %d has no result", r.Type)
	}
	return nil
}

func decodeProtoPipelineResp(data []byte, resp *PipelineResp) error {
	*resp = PipelineResp{}
	gaps := maxStepGaps + len(data)
	f := protoFields{rest: data}
	resp.Results = slices.Grow(resp.Results, f.count(3))
	for f.next() {
		switch f.num {
		case 1:
			resp.Baton = f.text()
		case 2:
			resp.BaseURL = f.text()
		case 3:
			i := len(resp.Results)
			resp.Results = append(resp.Results, StreamResult{})
			if err := protoStreamResult(f.message(), &resp.Results[i], &gaps); err != nil {
				f.fail(fmt.Errorf("result %d: %w", i, err))
			}
		}
	}
	return inMessage("protobuf PipelineRespBody", f.err)
}

func protoStreamResult(b []byte, r *StreamResult, gaps *int) error {
	f := protoFields{rest: b}
	for f.next() {
		var err error
		switch f.num {
		case 1:
			*r = StreamResult{}
			err = protoStreamResponse(f.message(), r, gaps)
		case 2:
			*r = StreamResult{}
			r.Err, err = protoError(f.message())
		}
		f.fail(err)
	}
	switch {
	case f.err != nil:
		return f.err
	case r.Err != nil:
		return nil
	}
	return r.incomplete()
}

func protoStreamResponse(b []byte, r *StreamResult, gaps *int) error {
	f := protoFields{rest: b}
	for f.next() {
		if f.num > protowire.Number(GetAutocommit) {
			continue
		}
		*r = StreamResult{Type: RequestType(f.num)}
		member := protoFields{rest: f.message()}
		for member.next() {
			if member.num != 1 {
				continue
			}
			var err error
			switch r.Type {
			case Execute:
				r.Stmt, err = protoStmtResult(member.message())
			case BatchRequest:
				r.Batch, err = protoBatchResult(member.message(), gaps)
			case Describe:
				r.Describe, err = protoDescribeResult(member.message())
			case GetAutocommit:
				r.IsAutocommit = member.bool()
			}
			member.fail(err)
		}
		f.fail(member.err)
	}
	return f.err
}
