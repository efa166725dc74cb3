package sqltext

import "github.com/turso-opt/turso-opt/internal/exec"

// insert decides what an INSERT does to last_insert_rowid(). It sets it for
// certain if it inserts listed values and no clause lets it do nothing.
func (s *Stmt) insert(h *head, withed bool) {
	s.Returning = h.find("RETURNING")
	s.Rowid = exec.RowidAlways
	if withed {
		s.Rowid = exec.RowidMaybe
	}
	if h.accept("OR") {
		if h.is("IGNORE") {
			s.Rowid = exec.RowidMaybe
		}
		h.name()
	}
	h.accept("INTO")
	h.name()
	if h.peek() == dot {
		h.skip()
		h.name()
	}
	if h.accept("AS") {
		h.name()
	}
	h.parens()
	switch {
	case h.accept("DEFAULT"):
		if !h.accept("VALUES") {
			s.Rowid = exec.RowidMaybe
		}
		s.fixedRowid = !s.Returning
		return
	case h.accept("VALUES"):
		h.parens()
		// Nothing or RETURNING may follow a single row that is surely inserted.
		s.fixedRowid = len(h.toks) == 0
	default:
		s.Rowid, s.fixedRowid = exec.RowidMaybe, false
		return
	}
	for h.peek() == comma {
		h.skip()
		if !h.parens() {
			break
		}
	}
	if len(h.toks) > 0 && !h.is("RETURNING") {
		s.Rowid = exec.RowidMaybe
	}
}
