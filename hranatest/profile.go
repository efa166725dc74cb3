package hranatest

import (
	"net/http"

	"github.com/turso-opt/turso-opt/internal/hrana"
)

// honoursWantRows: sqld sends the rows whether they are wanted or not.
func (p Profile) honoursWantRows() bool { return p != Sqld }

// serves reports whether the profile has an endpoint.
func (p Profile) serves(e endpoint) bool {
	switch p {
	case Cloud:
		return e.encoding == hrana.JSON
	case V2:
		return e.version == 2
	}
	return true
}

// shows reports whether the profile has a page.
func (p Profile) shows(page string) bool {
	switch p {
	case Cloud:
		return page != "/v3-protobuf"
	case V2:
		return false
	}
	return true
}

// failure is f in the profile's words.
func (p Profile) failure(f *failure) *failure {
	if p == Cloud && f == errStreamGone {
		return &failure{status: http.StatusNotFound, json: true, message: "stream not found: it has expired"}
	}
	return f
}

// admits refuses the requests of a pipeline that the profile does not know.
func (p Profile) admits(req *hrana.StreamReq) error {
	if p == V2 && req.Type != hrana.Execute && req.Type != hrana.BatchRequest {
		return internal("unsupported request type")
	}
	return nil
}

// replicationIndex is what an answer says of the database's state.
func (s *Server) replicationIndex() uint64 {
	n := s.engine.index.Load()
	switch s.opts.Profile {
	case Cloud:
		// Nobody may make anything of it, so it goes up and down.
		return n*0x9E3779B97F4A7C15>>16 | 1
	case V2:
		return 0
	}
	return n
}
