package stream

import "github.com/turso-opt/turso-opt/internal/hrana"

// refreshSchema has a stream's SQLite connection look at the schema again.
//
// sqld takes a result's columns from the statement as it was compiled, with the
// schema that the connection knew; SQLite finds only when the statement runs
// that there is another, and compiles it anew. After DDL by anybody, the first
// SELECT * on a stream that was open before would give new rows under old
// columns, fewer or more of them than there are. Whatever runs first makes the
// connection know the new schema, so this runs first on a stream that was used
// before by somebody else.
var refreshSchema = hrana.StreamReq{Type: hrana.Execute, Stmt: hrana.Stmt{SQL: "SELECT 1 FROM sqlite_schema LIMIT 0"}}

// givesRows tells whether somebody will look at a plan's columns.
func (p *Plan) givesRows() bool {
	for i := range p.Stmts {
		if p.Stmts[i].WantRows {
			return true
		}
	}
	return false
}
