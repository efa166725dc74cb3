package sqltext

// A scanner reads a text's tokens statement by statement.
type scanner struct {
	sql  string
	pos  int
	nul  int // where the first NUL byte is, or -1
	open bool
}

// token is the next token that is not white space or a comment.
//
// SQLite's text ends at a NUL byte, sqld refuses one. Here the NUL and all that
// follows are one illegal token: it stays in the statement, so that the server
// gets what the caller wrote and decides.
func (sc *scanner) token() token {
	for {
		text := sc.sql
		if sc.nul >= 0 {
			text = text[:sc.nul]
		}
		t := next(text, sc.pos)
		if t.class == end && sc.pos < len(sc.sql) {
			t = token{start: sc.pos, end: len(sc.sql), class: illegal, open: true}
			sc.nul = -1
		}
		sc.pos = t.end
		sc.open = sc.open || t.open
		if t.class != space {
			return t
		}
	}
}

// statement appends the tokens of the next statement, without its semicolon. It
// appends none for an empty one, and reports whether the text goes on.
//
// A CREATE TRIGGER has semicolons inside: it ends with the END that follows a
// semicolon directly. The END of a CASE never does, and neither does a column
// that is called "end".
func (sc *scanner) statement(toks []token) ([]token, bool) {
	trigger := false
	for {
		t := sc.token()
		switch t.class {
		case end:
			for len(toks) > 0 && toks[len(toks)-1].class == semi {
				toks = toks[:len(toks)-1] // of a trigger that does not end
			}
			return toks, false
		case semi:
			if !trigger {
				return toks, true
			}
		case word:
			switch {
			case trigger: // whatever its name is: CREATE TRIGGER trigger is valid
				trigger = toks[len(toks)-1].class != semi || !fold(sc.sql[t.start:t.end], "END")
			case len(toks) <= 5 && fold(sc.sql[t.start:t.end], "TRIGGER"):
				trigger = createTrigger(sc.sql, toks)
			}
		}
		toks = append(toks, t)
	}
}

// createTrigger reports whether toks and the word TRIGGER begin a trigger's
// definition.
func createTrigger(sql string, toks []token) bool {
	h := head{sql: sql, toks: toks}
	if h.accept("EXPLAIN") && h.accept("QUERY") {
		h.accept("PLAN")
	}
	if !h.accept("CREATE") {
		return false
	}
	_ = h.accept("TEMP") || h.accept("TEMPORARY")
	return len(h.toks) == 0
}
