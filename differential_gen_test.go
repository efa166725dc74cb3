package tursoopt_test

import (
	"database/sql"
	"fmt"
	"math"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// A genStmt is one generated statement.
type genStmt struct {
	text string // with a ¶ for each argument
	args []any
	// plain: an INSERT that sets last_insert_rowid() wherever it succeeds.
	plain bool
	// dml: it changes rows, so that the number of rows affected is its own.
	dml bool
	// asks: it calls last_insert_rowid(), changes() or total_changes().
	asks bool
	// total: among them total_changes().
	total bool
	// unordered: SQLite does not promise an order of its rows.
	unordered bool
	// notFinite: an argument is an infinity or NaN.
	notFinite bool
	// alone: not in a script. sqld reads all of it before it runs anything, a local
	// SQLite does not, so that a syntax error leaves other things behind.
	alone bool
	// rollsBack: where it fails it ends the transaction.
	rollsBack bool
}

// A genStep is one thing that a program does.
type genStep struct {
	act   string // run, begin, commit, rollback, pin or unpin
	stmts []genStmt
	// style is how parameters are written: "?", "?N" or ":n".
	style           string
	query, prepared bool
	onPinned        bool
}

func (s *genStep) String() string {
	pinned := ""
	if s.onPinned {
		pinned = " pinned"
	}
	if s.act != "run" {
		return s.act + pinned
	}
	text, args := s.write(0, len(s.stmts))
	how := "exec"
	if s.query {
		how = "query"
	}
	if s.prepared {
		how += " prepared"
	}
	return fmt.Sprintf("%s%s %q %q", how, pinned, text, fmt.Sprint(args))
}

// write gives the text and arguments of some of the step's statements.
func (s *genStep) write(from, to int) (text string, args []any) {
	var b strings.Builder
	total := 0
	for _, st := range s.stmts[:from] {
		total += len(st.args)
	}
	for i, st := range s.stmts[from:to] {
		if i > 0 {
			b.WriteString("; ")
		}
		n := 0
		for piece := range strings.SplitAfterSeq(st.text, "¶") {
			before, isParam := strings.CutSuffix(piece, "¶")
			b.WriteString(before)
			if !isParam {
				continue
			}
			n++
			total++
			switch s.style {
			case "?N":
				fmt.Fprintf(&b, "?%d", n)
				args = append(args, st.args[n-1])
			case ":n":
				name := fmt.Sprintf("p%d", total)
				b.WriteString(":@$"[total%3:total%3+1] + name)
				args = append(args, sql.Named(name, st.args[n-1]))
			default:
				b.WriteString("?")
				args = append(args, st.args[n-1])
			}
		}
	}
	return b.String(), args
}

// any of a step's statements.
func (s *genStep) any(is func(*genStmt) bool) bool {
	for i := range s.stmts {
		if is(&s.stmts[i]) {
			return true
		}
	}
	return false
}

// genSchema is there when a program begins; it may drop any of it.
var genSchema = []string{
	"CREATE TABLE t1 (id INTEGER PRIMARY KEY, a, b TEXT UNIQUE, c REAL, d BLOB, at DATETIME)",
	"CREATE TABLE t2 (k TEXT PRIMARY KEY, v INTEGER NOT NULL CHECK (v < 1000)) WITHOUT ROWID",
	"CREATE TABLE t3 (id INTEGER PRIMARY KEY AUTOINCREMENT, t1 INTEGER REFERENCES t1 (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, n NUMERIC)",
	"CREATE TABLE t4 (i INT, s TEXT, z ANY) STRICT",
	"CREATE TABLE t6 (id INTEGER PRIMARY KEY, x, y)",
	"CREATE VIEW v1 AS SELECT id, a, b FROM t1 WHERE a IS NOT NULL",
	"CREATE INDEX i1 ON t1 (a)",
	"CREATE TRIGGER r1 AFTER DELETE ON t1 BEGIN INSERT INTO t2 VALUES ('del' || old.id, 1) ON CONFLICT DO UPDATE SET v = v + 1; END",
	"CREATE TRIGGER r2 INSTEAD OF INSERT ON v1 BEGIN INSERT INTO t1 (a, b) VALUES (new.a, new.b); END",
	"CREATE TRIGGER r3 BEFORE INSERT ON t3 WHEN new.n = 13 BEGIN SELECT RAISE(ABORT, 'thirteen'); END",
}

// genDrop makes any database empty that genSchema and the statements below have
// filled; the child goes before its parent.
var genDrop = []string{
	"DROP VIEW IF EXISTS v1", "DROP TABLE IF EXISTS t6", "DROP TABLE IF EXISTS t5", "DROP TABLE IF EXISTS t4", "DROP TABLE IF EXISTS t3", "DROP TABLE IF EXISTS t2", "DROP TABLE IF EXISTS t1",
}

// genValues are arguments that everybody stores alike. Floats have few digits, as
// SQLite's versions write others differently; blobs are UTF-8, as sqld refuses to
// send a text that a function has made of others.
var genValues = []any{
	nil, int64(0), int64(1), int64(2), int64(3), int64(5), int64(13), int64(-1), int64(999), int64(1000), int64(math.MaxInt64), int64(math.MinInt64),
	0.5, -1.25, 3.0, 1e10, 0.001, "", "a", "b", "A", "é", "日本\U0001F600", "a\x00b", "it's", "0123", "12", "1.5", "x'00'", `{"a":1}`,
	"2024-01-02 03:04:05", "2024-01-02T03:04:05.678Z", []byte{}, []byte{0, 127}, []byte("a"), true, false,
	time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.UTC), time.Date(1969, 7, 20, 20, 17, 0, 0, time.FixedZone("", -4*3600)),
}

// genOdd are arguments that not everybody takes, for statements that leave
// nothing behind.
var genOdd = []any{math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64}

var (
	conflicts = []string{"", "", "", "OR IGNORE ", "OR REPLACE ", "OR ABORT ", "OR FAIL ", "OR ROLLBACK "}
	small     = rapid.SampledFrom([]any{int64(1), int64(2), int64(3), int64(4), int64(5), int64(9)})
)

// A template is a kind of statement and how often it is drawn.
type template struct {
	weight int
	make   func(t *rapid.T) genStmt
}

// fixed is a statement of constant text; each ¶ gets any value.
func fixed(weight int, s genStmt, texts ...string) template {
	return template{weight, func(t *rapid.T) genStmt {
		s := s
		s.text = rapid.SampledFrom(texts).Draw(t, "text")
		for range strings.Count(s.text, "¶") {
			s.args = append(s.args, rapid.SampledFrom(genValues).Draw(t, "value"))
		}
		return s
	}}
}

// withReturning adds a RETURNING clause to some.
func withReturning(t template, clause string) template {
	return template{t.weight, func(r *rapid.T) genStmt {
		s := t.make(r)
		if rapid.IntRange(0, 4).Draw(r, "returning") == 0 {
			s.text, s.unordered = s.text+" RETURNING "+clause, true
		}
		return s
	}}
}

var genTemplates = []template{
	withReturning(fixed(10, genStmt{plain: true, dml: true}, "INSERT INTO t1 (a, b, c, d, at) VALUES (¶, ¶, ¶, ¶, ¶)"), "id, a, typeof(b)"),
	withReturning(template{8, func(t *rapid.T) genStmt {
		verb := rapid.SampledFrom(conflicts).Draw(t, "conflict")
		s := genStmt{text: "INSERT " + verb + "INTO t1 (id, a, b) VALUES (¶, ¶, ¶)", dml: true, rollsBack: verb == "OR ROLLBACK "}
		for range rapid.IntRange(0, 2).Draw(t, "more") {
			s.text += ", (¶, ¶, ¶)"
		}
		for i := range strings.Count(s.text, "¶") {
			values := rapid.SampledFrom(genValues)
			if i%3 == 0 {
				values = small
			}
			s.args = append(s.args, values.Draw(t, "value"))
		}
		return s
	}}, "*"),
	withReturning(fixed(5, genStmt{dml: true},
		"INSERT INTO t1 (b, a) VALUES (¶, ¶) ON CONFLICT (b) DO UPDATE SET a = excluded.a",
		"INSERT INTO t1 (b, a) VALUES (¶, ¶) ON CONFLICT (b) DO UPDATE SET a = excluded.a WHERE a IS NOT excluded.a",
		"INSERT INTO t1 (b, a) VALUES (¶, ¶), (¶, 4) ON CONFLICT DO NOTHING",
		"INSERT INTO t1 (a) SELECT a FROM t1 WHERE id < ¶"), "id, b"),
	fixed(4, genStmt{dml: true}, "INSERT INTO t2 VALUES (¶, ¶)", "REPLACE INTO t2 VALUES (¶, ¶)", "INSERT OR IGNORE INTO t2 VALUES (¶, ¶), ('k', 1)",
		"INSERT INTO t2 VALUES (¶, 1) ON CONFLICT DO UPDATE SET v = v + 1"),
	fixed(4, genStmt{dml: true, plain: true}, "INSERT INTO t3 (t1, n) VALUES (¶, ¶)", "INSERT INTO t3 (n) VALUES (¶)", "INSERT INTO t3 DEFAULT VALUES",
		"INSERT INTO t3 (t1, n) VALUES (1, ¶)", "INSERT INTO t3 (t1, n) VALUES (2, 2)"),
	fixed(2, genStmt{dml: true, plain: true}, "INSERT INTO t4 VALUES (¶, ¶, ¶)"),
	fixed(2, genStmt{dml: true}, "INSERT INTO v1 (a, b) VALUES (¶, ¶)", "INSERT INTO v1 (a) VALUES (¶)", "UPDATE v1 SET a = ¶"),
	withReturning(fixed(6, genStmt{dml: true}, "UPDATE t1 SET a = ¶, c = ¶ WHERE id = 1", "UPDATE t1 SET a = ¶ WHERE id > ¶",
		"UPDATE OR IGNORE t1 SET b = ¶ WHERE id > 1", "UPDATE t1 SET id = id + 1 WHERE id = 2", "UPDATE t1 SET b = 'a' WHERE b IS NULL"), "id, b, a"),
	fixed(3, genStmt{dml: true}, "UPDATE t2 SET v = v + ¶", "UPDATE OR REPLACE t2 SET k = ¶ WHERE v = 1"),
	withReturning(fixed(3, genStmt{dml: true}, "DELETE FROM t1 WHERE id = 1", "DELETE FROM t1 WHERE id > ¶", "DELETE FROM t1 WHERE a = ¶",
		"DELETE FROM t1 WHERE b IS NOT NULL"), "*"),
	fixed(2, genStmt{dml: true}, "DELETE FROM t2", "DELETE FROM t3 WHERE n > ¶"),

	fixed(10, genStmt{}, "SELECT * FROM t1 ORDER BY id", "SELECT id, typeof(a), a = ¶ FROM t1 WHERE a IS NOT ¶ ORDER BY id",
		"SELECT a AS x, b FROM t1 ORDER BY id LIMIT ¶", "SELECT count(*), sum(id), min(a), max(b) FROM t1", "SELECT * FROM v1 ORDER BY id"),
	fixed(4, genStmt{}, "SELECT * FROM t2 ORDER BY k", "SELECT * FROM t3 ORDER BY id", "SELECT rowid, * FROM t4 ORDER BY rowid",
		"SELECT t1.id, t3.n FROM t1 LEFT JOIN t3 ON t3.t1 = t1.id ORDER BY 1, 2", "SELECT name, seq FROM sqlite_sequence"),
	fixed(5, genStmt{}, "SELECT ¶ AS x, typeof(¶)", "SELECT ¶, ¶ || ¶", "VALUES (¶, ¶), (3, 4)", "SELECT length(¶), upper(¶), hex(¶)", "SELECT abs(¶)",
		"SELECT ¶ + ¶, ¶ * 2", "SELECT json_extract(¶, '$.a')", "SELECT CASE WHEN ¶ THEN ¶ END WHERE ¶ IS NOT NULL",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) SELECT i, ¶ FROM n"),
	{2, func(t *rapid.T) genStmt {
		s := genStmt{text: rapid.SampledFrom([]string{"SELECT ¶, typeof(¶)", "SELECT ¶ = ¶, 'x' AS y", "SELECT ¶ > 1, ¶"}).Draw(t, "text"), notFinite: true}
		for range 2 {
			s.args = append(s.args, rapid.SampledFrom(genOdd).Draw(t, "odd"))
		}
		return s
	}},
	fixed(3, genStmt{}, "SELECT * FROM nowhere", "SELECT nope FROM t1", "INSERT INTO t1 (nope) VALUES (1)", "SELECT nofunc(1)",
		"INSERT INTO t1 VALUES (1)", "DROP TABLE nowhere", "INSERT INTO sqlite_master VALUES (1)", "UPDATE nowhere SET x = ¶"),
	fixed(1, genStmt{alone: true}, "SELEC 1", "SELECT 1 +", "SELECT * FROM t1 WHERE", "SELECT (1", "INSERT t1 VALUES (1)"),
	fixed(6, genStmt{asks: true}, "SELECT last_insert_rowid()", "SELECT changes()", "SELECT last_insert_rowid() AS x, changes() + 1"),
	fixed(1, genStmt{asks: true, total: true}, "SELECT total_changes()"),
	fixed(2, genStmt{asks: true, dml: true, plain: true}, "INSERT INTO t6 (x) VALUES (last_insert_rowid())", "INSERT INTO t6 (x, y) VALUES (changes(), ¶)",
		"INSERT INTO t6 (x, y) VALUES (last_insert_rowid(), changes())"),
	fixed(1, genStmt{asks: true}, "SELECT * FROM t6 ORDER BY id", "SELECT x, last_insert_rowid() FROM t6 WHERE id = last_insert_rowid()"),
	fixed(1, genStmt{}, "PRAGMA table_info(t3)", "PRAGMA foreign_keys"),
	fixed(3, genStmt{}, "CREATE TABLE t2 (k TEXT PRIMARY KEY, v INTEGER)", "CREATE TABLE IF NOT EXISTS t2 (k TEXT PRIMARY KEY, v INTEGER)", "DROP TABLE IF EXISTS t2",
		"ALTER TABLE t1 ADD COLUMN e DEFAULT 5", "DROP VIEW v1", "CREATE VIEW v1 AS SELECT id, b AS a, a AS b FROM t1", "CREATE UNIQUE INDEX i2 ON t1 (c)",
		"DROP INDEX IF EXISTS i2", "CREATE TABLE t5 AS SELECT * FROM t1", "DROP TABLE t5", "DROP TABLE t4", "DROP TRIGGER IF EXISTS r1"),
}

var genStmts = rapid.Custom(func(t *rapid.T) genStmt {
	total := 0
	for _, tpl := range genTemplates {
		total += tpl.weight
	}
	n := rapid.IntRange(0, total-1).Draw(t, "template")
	for _, tpl := range genTemplates {
		if n -= tpl.weight; n < 0 {
			return tpl.make(t)
		}
	}
	panic("unreachable")
})

// genTxTexts control a transaction by text: on a pinned connection, and
// savepoints in any transaction.
var genTxTexts = []string{"BEGIN", "BEGIN IMMEDIATE", "COMMIT", "END", "ROLLBACK", "SAVEPOINT s", "RELEASE s", "ROLLBACK TO s", "BEGIN DEFERRED TRANSACTION"}

var genSteps = rapid.Custom(func(t *rapid.T) genStep {
	s := genStep{act: "run", style: rapid.SampledFrom([]string{"?", "?", "?N", ":n"}).Draw(t, "style"), onPinned: rapid.Bool().Draw(t, "pinned")}
	switch n := rapid.IntRange(0, 99).Draw(t, "act"); {
	case n < 8:
		s.act = "begin"
	case n < 18:
		s.act = rapid.SampledFrom([]string{"commit", "commit", "rollback"}).Draw(t, "end")
	case n < 24:
		s.act = "pin"
	case n < 28:
		s.act = "unpin"
	case n < 38:
		s.stmts = []genStmt{{text: rapid.SampledFrom(genTxTexts).Draw(t, "control")}}
		s.onPinned = true
	case n < 48:
		s.stmts = rapid.SliceOfN(genStmts.Filter(func(s genStmt) bool { return !s.notFinite && !s.alone }), 2, 3).Draw(t, "script")
		s.query = rapid.IntRange(0, 3).Draw(t, "query") == 0
	default:
		s.stmts = []genStmt{genStmts.Draw(t, "stmt")}
		s.prepared = rapid.IntRange(0, 3).Draw(t, "prepared") == 0
		reads := !s.stmts[0].dml || strings.Contains(s.stmts[0].text, "RETURNING")
		s.query = reads != (rapid.IntRange(0, 9).Draw(t, "other way") == 0)
	}
	if s.act != "run" {
		return genStep{act: s.act, onPinned: s.onPinned}
	}
	return s
})
