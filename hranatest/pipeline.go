package hranatest

import (
	"net/http"

	"github.com/turso-opt/turso-opt/internal/hrana"
)

// pipeline answers POST /v2/pipeline and its kin.
func (s *Server) pipeline(w http.ResponseWriter, r *http.Request, body []byte, e endpoint, readOnly bool) error {
	var req hrana.PipelineReq
	if err := hrana.DecodePipelineReq(e.encoding, body, &req); err != nil {
		return undecodable(e.encoding, err)
	}
	if err := s.opts.Profile.admits(req.Requests); err != nil {
		return err
	}
	st, err := s.streams.acquire(r.Context(), req.Baton)
	if err != nil {
		return err
	}
	released := false
	defer func() {
		if !released {
			s.streams.drop(st)
		}
	}()
	c := call{Server: s, ctx: r.Context(), stream: st, version: e.version, readOnly: readOnly}
	resp := hrana.PipelineResp{BaseURL: s.baseURL()}
	if resp.Results, err = c.serveAll(req.Requests); err != nil {
		return err
	}
	if s.opts.NullBatons && st.stateless() {
		s.streams.closeConn(st)
	}
	released = true
	resp.Baton = s.streams.release(st)
	out, err := hrana.AppendPipelineResp(nil, e.encoding, &resp)
	if err != nil {
		return internal(err.Error())
	}
	s.write(w, r, http.StatusOK, contentTypeOf(e.encoding), out)
	return nil
}

// serveAll answers the requests of a pipeline. One that is not executed as it
// was asked for does not stop those after it, but an error does.
func (c *call) serveAll(requests []hrana.StreamReq) ([]hrana.StreamResult, error) {
	results := make([]hrana.StreamResult, 0, len(requests))
	for i := range requests {
		res, err := c.serve(&requests[i])
		if err != nil {
			return nil, err
		}
		if c.ctx.Err() != nil {
			// Nobody is there to be answered, and nothing more is begun.
			return nil, internal(c.ctx.Err().Error())
		}
		results = append(results, res)
	}
	return results, nil
}
