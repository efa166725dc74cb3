package tursoopt_test

// A rule allows a difference that is meant. Its name is the one that it has in
// docs/semantics.md.
type rule struct {
	name  string
	parts []string // error, code, columns, rows, id, n
	holds func(c *comparison) bool
}

var rules = []rule{
	{"infinite and NaN arguments", []string{"error"}, func(c *comparison) bool {
		// JSON has none, and libsql-client-go passes them to encoding/json.
		return c.target.base && c.step.any(func(s *genStmt) bool { return s.notFinite })
	}},
	{"infinities in JSON", []string{"error"}, func(c *comparison) bool {
		return c.target.json && !c.target.base && c.step.any(func(s *genStmt) bool { return s.notFinite })
	}},
	{"a local SQLite counts what its driver asks for", []string{"id", "n"}, func(c *comparison) bool {
		// Its driver gives the connection's last count after any statement, sets the
		// last row id back before each, and has no sums for scripts.
		return c.target.file && (len(c.step.stmts) > 1 || !c.step.stmts[0].dml)
	}},
	{"a local SQLite tells the row id of plain inserts", []string{"id"}, func(c *comparison) bool {
		return c.target.file && !(c.step.stmts[0].plain && c.got.n > 0)
	}},
	{"a local SQLite remembers the session before", []string{"rows"}, func(c *comparison) bool {
		// Its connection is one that others have used, and its driver sets the row id
		// back before each statement.
		return c.target.file && c.step.any(func(s *genStmt) bool { return s.asks })
	}},
	{"total_changes()", []string{"rows"}, func(c *comparison) bool {
		// It counts since the stream was opened, which is since the last transaction
		// or the second statement of a session.
		return c.target.base && c.step.any(func(s *genStmt) bool { return s.total })
	}},
	{"a transaction that SQLite has ended", []string{"code", "error"}, func(c *comparison) bool {
		// OR ROLLBACK. The native client refuses what comes after it, fails Commit with
		// ErrTxLost, and takes Rollback for done; the others send either and hear that
		// there is no transaction.
		return c.p.ended && (c.step.act == "commit" || c.step.act == "rollback") && c.got.err != nil
	}},
	{"names of columns with an infinite argument", []string{"columns"}, func(c *comparison) bool {
		return c.target.file && c.step.any(func(s *genStmt) bool { return s.notFinite })
	}},
}

// rule is the one that allows a part to differ.
func (c *comparison) rule(part string) *rule {
	for i := range rules {
		r := &rules[i]
		for _, p := range r.parts {
			if p == part && r.holds(c) {
				return r
			}
		}
	}
	return nil
}
