package stream

// lookAtSchema has a stream's SQLite connection look at the schema again.
//
// sqld takes a result's columns from the statement as it was compiled, with the
// schema that the connection knew; SQLite finds only when the statement runs
// that there is another, and compiles it anew. After DDL by anybody, the first
// SELECT * on a stream that was open before would give new rows under old
// columns, fewer or more of them than there are. Whatever runs first makes the
// connection know the new schema, so this is a step before the statements.
const lookAtSchema = "SELECT 0 FROM sqlite_schema LIMIT 0"

// A look says whether the schema has to be looked at, for one request.
type look struct {
	due bool
	new bool   // the stream is yet to be opened, and begins with a look
	now uint64 // the pool's count of changes before it
}

// look decides for a plan: what others have used is not trusted, what this process
// has changed is known, and a * depends on everybody.
func (s *Stream) look(p *Plan) look {
	l := look{new: s.baton == "", now: s.pool.schema.Load()}
	l.due = !l.new && p.givesRows() && (s.stale || s.schema != l.now || p.star())
	return l
}

// done notes that the request has been answered.
func (l look) done(s *Stream) {
	if l.due || l.new {
		s.schema, s.stale = l.now, false
	}
}

// givesRows tells whether somebody will look at a plan's columns.
func (p *Plan) givesRows() bool {
	for i := range p.Stmts {
		if p.Stmts[i].WantRows {
			return true
		}
	}
	return false
}

func (p *Plan) star() bool {
	for i := range p.Stmts {
		if p.Stmts[i].Star {
			return true
		}
	}
	return false
}
