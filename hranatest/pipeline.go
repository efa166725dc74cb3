package hranatest

import (
	"net/http"

	"github.com/turso-opt/turso-opt/internal/hrana"
)

// pipeline answers POST /v2/pipeline and its kin.
func (s *Server) pipeline(w http.ResponseWriter, r *http.Request, body []byte, e endpoint) error {
	var req hrana.PipelineReq
	if err := hrana.DecodePipelineReq(e.encoding, body, &req); err != nil {
		return undecodable(e.encoding, err)
	}
	ctx := r.Context()
	st, err := s.streams.acquire(ctx, req.Baton)
	if err != nil {
		return err
	}
	resp := hrana.PipelineResp{BaseURL: s.baseURL(), Results: make([]hrana.StreamResult, 0, len(req.Requests))}
	for i := range req.Requests {
		if err = s.opts.Profile.admits(&req.Requests[i]); err != nil {
			break
		}
		var res hrana.StreamResult
		if res, err = s.serve(ctx, st, &req.Requests[i], e.version); err != nil {
			break
		}
		resp.Results = append(resp.Results, res)
	}
	if err != nil {
		s.streams.drop(st)
		return err
	}
	if s.opts.NullBatons && st.stateless() {
		s.streams.closeConn(st)
	}
	resp.Baton = s.streams.release(st)
	out, err := hrana.AppendPipelineResp(nil, e.encoding, &resp)
	if err != nil {
		return internal(err.Error())
	}
	s.write(w, r, http.StatusOK, contentTypeOf(e.encoding), out)
	return nil
}
