package sqltext

import (
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/ncruces/go-sqlite3"
)

// oracleSchema has a table of each sort that a statement here tells apart, with
// names that are keywords.
const oracleSchema = `
CREATE TABLE t(id INTEGER PRIMARY KEY, a, b TEXT, n NUMERIC, "end" INT DEFAULT 5);
CREATE TABLE u(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE changes(a, b UNIQUE);
CREATE TABLE scratch(x);
CREATE INDEX ta ON t(a);
CREATE VIEW w AS SELECT a, b, n FROM t;
CREATE TRIGGER wi INSTEAD OF INSERT ON w BEGIN INSERT INTO t(a, b) VALUES (new.a, new.b); END;
CREATE TRIGGER wd INSTEAD OF DELETE ON w BEGIN DELETE FROM t WHERE a IS old.a; END;
INSERT INTO t(a, b, n) VALUES (1, 'one', 1), (2, '2', 2.5), (NULL, NULL, NULL), ('x', 'X', 'x'), (x'00ff', 'it''s', -1);
INSERT INTO u VALUES ('one', 1), ('two', 2);
INSERT INTO changes VALUES (1, 2), (3, 4);
WITH RECURSIVE r(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM r LIMIT 10) INSERT INTO scratch SELECT x FROM r;
`

// An oracle is SQLite itself, which is asked what a text is.
type oracle struct {
	*sqlite3.Conn
	// actions are what the statement prepared last would do.
	actions []sqlite3.AuthorizerActionCode
}

func newOracle(t testing.TB) *oracle {
	t.Helper()
	c, err := sqlite3.Open(":memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := c.Exec(oracleSchema); err != nil {
		t.Fatal(err)
	}
	o := &oracle{Conn: c}
	c.Limit(sqlite3.LIMIT_LENGTH, 1<<20)
	err = c.SetAuthorizer(func(action sqlite3.AuthorizerActionCode, name, arg, _, _ string) sqlite3.AuthorizerReturnCode {
		o.actions = append(o.actions, action)
		// Some PRAGMAs work while they are prepared, and would change the oracle.
		form := readingPragmas[strings.ToLower(name)]
		if action == sqlite3.AUTH_PRAGMA && (form == 0 || form&argument == 0 && arg != "") {
			return sqlite3.AUTH_DENY
		}
		return sqlite3.AUTH_OK
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// prepare prepares a text's first statement; it is nil if there is none.
func (o *oracle) prepare(sql string) (*sqlite3.Stmt, string, error) {
	o.actions = o.actions[:0]
	return o.Prepare(sql)
}

func (o *oracle) did(actions ...sqlite3.AuthorizerActionCode) bool {
	return slices.ContainsFunc(o.actions, func(a sqlite3.AuthorizerActionCode) bool { return slices.Contains(actions, a) })
}

// blank reports whether SQLite sees no statement in a text.
func (o *oracle) blank(sql string) bool {
	stmt, tail, err := o.Prepare(sql)
	stmt.Close()
	return err == nil && stmt == nil && tail == ""
}

// offset is where part, a substring in memory, begins in sql.
func offset(sql, part string) int {
	return int(uintptr(unsafe.Pointer(unsafe.StringData(part))) - uintptr(unsafe.Pointer(unsafe.StringData(sql))))
}

// compare holds what Parse says of a text against SQLite, and returns how many
// statements SQLite has prepared. Texts with a NUL byte are none of SQLite's.
func (o *oracle) compare(t testing.TB, sql string) (prepared int) {
	t.Helper()
	text := Parse(sql)
	at := 0
	for i := 0; ; i++ {
		stmt, tail, err := o.prepare(sql[at:])
		if err == nil && stmt == nil {
			if i != len(text.Stmts) {
				t.Fatalf("%q: SQLite sees %d statements, we see %d", sql, i, len(text.Stmts))
			}
			return prepared
		}
		if i == len(text.Stmts) {
			t.Fatalf("%q: we see %d statements, SQLite another one in %q (%v)", sql, i, sql[at:], err)
		}
		s := &text.Stmts[i]
		start := offset(sql, s.SQL)
		end := start + len(s.SQL)
		if err != nil {
			at = end // where SQLite gives up is no boundary
			continue
		}
		prepared++
		stop := len(sql) - len(tail)
		rest, semicolon := strings.CutSuffix(sql[end:stop], ";")
		if start < at || end > stop || !o.blank(sql[at:start]) || !o.blank(rest) || !semicolon && tail != "" {
			t.Errorf("%q: statement %d is %q, SQLite has %q", sql, i, s.SQL, sql[at:stop])
		}
		o.actions = nil
		again, _, err := o.prepare(s.SQL)
		if err != nil {
			t.Fatalf("%q: statement %d alone: %v", sql, i, err)
		}
		o.comparePrepared(t, s, again)
		again.Close()
		stmt.Close()
		at = stop
	}
}

// comparePrepared holds what is said of a statement against what SQLite says.
func (o *oracle) comparePrepared(t testing.TB, s *Stmt, stmt *sqlite3.Stmt) {
	t.Helper()
	if got := stmt.BindCount(); got != len(s.Params) {
		t.Errorf("%q: SQLite has %d parameters, we have %v", s.SQL, got, s.Params)
		return
	}
	for i, p := range s.Params {
		if got := stmt.BindName(i + 1); got != p.Name || p.Index != i+1 {
			t.Errorf("%q: SQLite calls parameter %d %q, we have %+v", s.SQL, i+1, got, p)
		}
	}
	if s.ReadOnly && !stmt.ReadOnly() && !callsItselfWriting(s) {
		t.Errorf("%q: we say it only reads, SQLite says it writes", s.SQL)
	}
	if s.ReadOnly && s.Stateful {
		t.Errorf("%q leaves state, and only reads", s.SQL)
	}
	if rows := stmt.ColumnCount() > 0; rows != s.Returning && (s.Kind == Insert || s.Kind == Replace || s.Kind == Update || s.Kind == Delete) {
		t.Errorf("%q has rows: %v, RETURNING: %v", s.SQL, rows, s.Returning)
	}
	o.compareKind(t, s)
}

// callsItselfWriting tells of statements that sqlite3_stmt_readonly knows by
// what they could do in another form: EXPLAIN has the answer of what it
// explains, PRAGMA journal_mode that of a change of the mode.
func callsItselfWriting(s *Stmt) bool {
	return s.Kind == Explain || s.Kind == Pragma && strings.Contains(strings.ToLower(s.SQL), "journal_mode")
}

// defining are actions that only one kind of statement asks for.
var defining = map[sqlite3.AuthorizerActionCode][]Kind{
	sqlite3.AUTH_TRANSACTION: {Begin, Commit, Rollback},
	sqlite3.AUTH_SAVEPOINT:   {Savepoint, Release, RollbackTo},
	sqlite3.AUTH_PRAGMA:      {Pragma},
	sqlite3.AUTH_ATTACH:      {Attach},
	sqlite3.AUTH_DETACH:      {Detach},
	sqlite3.AUTH_ALTER_TABLE: {Alter},
	sqlite3.AUTH_ANALYZE:     {Analyze},
	sqlite3.AUTH_REINDEX:     {Reindex, Create}, // CREATE INDEX fills it
}

var (
	creates = []sqlite3.AuthorizerActionCode{
		sqlite3.AUTH_CREATE_INDEX, sqlite3.AUTH_CREATE_TABLE, sqlite3.AUTH_CREATE_TRIGGER, sqlite3.AUTH_CREATE_VIEW,
		sqlite3.AUTH_CREATE_TEMP_INDEX, sqlite3.AUTH_CREATE_TEMP_TABLE, sqlite3.AUTH_CREATE_TEMP_TRIGGER,
		sqlite3.AUTH_CREATE_TEMP_VIEW, sqlite3.AUTH_CREATE_VTABLE,
	}
	createsTemp = []sqlite3.AuthorizerActionCode{
		sqlite3.AUTH_CREATE_TEMP_INDEX, sqlite3.AUTH_CREATE_TEMP_TABLE, sqlite3.AUTH_CREATE_TEMP_TRIGGER,
		sqlite3.AUTH_CREATE_TEMP_VIEW,
	}
	drops = []sqlite3.AuthorizerActionCode{
		sqlite3.AUTH_DROP_INDEX, sqlite3.AUTH_DROP_TABLE, sqlite3.AUTH_DROP_TRIGGER, sqlite3.AUTH_DROP_VIEW,
		sqlite3.AUTH_DROP_TEMP_INDEX, sqlite3.AUTH_DROP_TEMP_TABLE, sqlite3.AUTH_DROP_TEMP_TRIGGER,
		sqlite3.AUTH_DROP_TEMP_VIEW, sqlite3.AUTH_DROP_VTABLE,
	}
	writes = append(append([]sqlite3.AuthorizerActionCode{
		sqlite3.AUTH_INSERT, sqlite3.AUTH_UPDATE, sqlite3.AUTH_DELETE,
	}, creates...), drops...)
)

// compareKind holds a statement's kind against the actions that its preparation
// has asked for.
func (o *oracle) compareKind(t testing.TB, s *Stmt) {
	t.Helper()
	if s.Kind == Explain {
		return
	}
	ok := s.Kind != Unknown && s.Kind != Empty
	for action, kinds := range defining {
		ok = ok && (!o.did(action) || slices.Contains(kinds, s.Kind))
	}
	switch s.Kind {
	case Select, Values:
		ok = ok && !o.did(writes...)
	case Insert, Replace:
		ok = ok && o.did(sqlite3.AUTH_INSERT)
	case Update:
		ok = ok && o.did(sqlite3.AUTH_UPDATE)
	case Delete:
		ok = ok && o.did(sqlite3.AUTH_DELETE)
	case Pragma:
		ok = ok && o.did(sqlite3.AUTH_PRAGMA)
	case Begin, Commit, Rollback:
		ok = ok && o.did(sqlite3.AUTH_TRANSACTION)
	case Savepoint, Release, RollbackTo:
		ok = ok && o.did(sqlite3.AUTH_SAVEPOINT)
	case Attach:
		ok = ok && o.did(sqlite3.AUTH_ATTACH)
	case Detach:
		ok = ok && o.did(sqlite3.AUTH_DETACH)
	case Create:
		ok = ok && (len(o.actions) == 0 || o.did(creates...)) // or IF NOT EXISTS
	case Drop:
		ok = ok && (len(o.actions) == 0 || o.did(drops...))
	case Alter:
		ok = ok && o.did(sqlite3.AUTH_ALTER_TABLE)
	}
	if !ok {
		t.Errorf("%q is %v to us, to SQLite it is actions %v", s.SQL, s.Kind, o.actions)
	}
	if !s.Stateful && o.did(createsTemp...) {
		t.Errorf("%q makes something temporary, and leaves no state", s.SQL)
	}
}
