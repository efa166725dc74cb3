package hranatest

import (
	"net/http"
	"strings"

	"github.com/turso-opt/turso-opt/internal/hrana"
)

// What Turso Cloud does differently is from serverless/PROTOCOL.md, and what
// tursodb does from cli/sync_server.rs, both of tursodatabase/turso.

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

// notFound is the body of a 404.
func (p Profile) notFound() (contentType, text string) {
	if p == V2 {
		return "text/plain", "Not Found"
	}
	return "", ""
}

// honoursWantRows: sqld sends the rows whether they are wanted or not.
func (p Profile) honoursWantRows() bool { return p != Sqld }

// replacesStored: a text that is stored under an id in use takes its place.
func (p Profile) replacesStored() bool { return p == Cloud }

// readsAhead: a batch does not begin if one of its texts is not SQL.
func (p Profile) readsAhead() bool { return p != V2 }

// failsSkipped: a step that was skipped counts as failed.
func (p Profile) failsSkipped() bool { return p != V2 }

// admits refuses a pipeline as a whole, before any of it is executed.
func (p Profile) admits(requests []hrana.StreamReq) error {
	for i := range requests {
		switch t := requests[i].Type; {
		case p == Cloud && t == hrana.Close && i < len(requests)-1:
			return misuse("a close request must be the last of its pipeline")
		case p == V2 && t != hrana.Execute && t != hrana.BatchRequest:
			return misuse("unknown variant, expected `execute` or `batch`")
		}
	}
	return nil
}

// failure is f in the profile's words.
func (p Profile) failure(f *failure, codes bool) *failure {
	switch {
	case p == V2 && strings.HasPrefix(f.message, "unknown variant"), p == V2 && f.undecodable:
		return &failure{
			status:  http.StatusInternalServerError,
			message: "Internal Server Error: Failed to parse pipeline request: " + f.message,
		}
	case p != Cloud:
		return f
	}
	switch f {
	case errStreamGone:
		if codes {
			return gone("STREAM_EXPIRED", "stream expired: it was idle for too long; an open transaction was rolled back")
		}
	case errStreamLost:
		if codes {
			return gone("STREAM_LOST", "stream lost: its server is gone; an open transaction was rolled back")
		}
	case errBatonInvalid, errBatonReused:
	default:
		told := *f
		told.json, told.code = true, ""
		return &told
	}
	told := &failure{status: http.StatusNotFound, json: true, message: "stream not found: " + f.message}
	if codes {
		told.code = "STREAM_NOT_FOUND"
	}
	return told
}

func gone(code, message string) *failure {
	return &failure{status: http.StatusGone, json: true, message: message, code: code}
}

// refusal is r in the profile's words.
func (p Profile) refusal(r *refusal) *hrana.Error {
	if r == nil {
		return nil
	}
	told := hrana.Error(*r)
	if p == Cloud {
		told.Message = strings.TrimPrefix(told.Message, "SQLite error: ")
		if r == errNoStmt {
			told.Code = "SQL_PARSE_ERROR"
		}
	}
	return &told
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
