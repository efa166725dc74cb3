package tursoopt

import (
	"database/sql/driver"
	"strings"

	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// A baseTxState is what is known of the transaction on a base's connection, from the
// texts that have run there: nobody else tells.
type baseTxState struct {
	begun bool     // by a BEGIN
	saves []string // the savepoints that are open, the outermost first
	// unsure: it may be open or not.
	unsure bool
}

func (t *baseTxState) open() bool { return t.begun || len(t.saves) > 0 || t.unsure }

// after takes notice of a text that has run, or has failed with err.
func (t *baseTxState) after(text *sqltext.Text, err error) {
	switch {
	case err == driver.ErrSkip:
		return
	case err == nil:
	case ends(text) && strings.Contains(err.Error(), "no transaction is active"): // SQLite's words
		*t = baseTxState{}
		return
	default:
		// An error may have rolled back (OR ROLLBACK, a full disk, an interrupt), or
		// may not.
		t.unsure = t.unsure || t.open() || text.TxControl
		return
	}
	if !text.TxControl {
		return
	}
	for i := range text.Stmts {
		t.step(&text.Stmts[i])
	}
	if len(text.Stmts) > 1 && t.open() {
		t.unsure = true // a base may run a script in a transaction of its own
	}
}

// ends tells whether a text is one COMMIT or ROLLBACK.
func ends(t *sqltext.Text) bool { return t.Kind() == sqltext.Commit || t.Kind() == sqltext.Rollback }

func (t *baseTxState) step(s *sqltext.Stmt) {
	switch s.Kind {
	case sqltext.Begin: // which fails where one is open
		*t = baseTxState{begun: true}
	case sqltext.Commit, sqltext.Rollback:
		*t = baseTxState{}
	case sqltext.Savepoint:
		name, ok := savepointName(s.SQL)
		t.saves = append(t.saves, name)
		t.unsure = t.unsure || !ok
	case sqltext.Release, sqltext.RollbackTo:
		name, ok := savepointName(s.SQL)
		i := len(t.saves) - 1
		for i >= 0 && t.saves[i] != name {
			i--
		}
		if !ok || i < 0 {
			t.unsure = true
			return
		}
		if s.Kind == sqltext.RollbackTo {
			i++
		}
		t.saves = t.saves[:i]
	}
}

// savepointName is the name at the end of a statement; ok is false if it is written in a
// way that takes more to read.
func savepointName(sql string) (name string, ok bool) {
	words := strings.Fields(sql)
	name = strings.ToLower(words[len(words)-1])
	return name, len(words) > 1 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}
