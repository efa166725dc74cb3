package tursoopt_test

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
)

// What a name or a value means is SQLite's to say: names in any case and quoted, keys
// of all types and collations, rows that are displaced, moved or touched by other
// tables.
const meaningSchema = `
CREATE TABLE t (id INTEGER PRIMARY KEY, n, u TEXT UNIQUE, f REAL);
CREATE TABLE keyed (k TEXT COLLATE NOCASE PRIMARY KEY, n);
CREATE TABLE trimmed (k TEXT COLLATE RTRIM PRIMARY KEY, n) WITHOUT ROWID;
CREATE TABLE pair (a INT, b BLOB, n, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE anything (k PRIMARY KEY, n);
CREATE TABLE "Odd ""Name" ("Id" INTEGER PRIMARY KEY, n);
CREATE TABLE owner (id INTEGER PRIMARY KEY, n INT UNIQUE);
CREATE TABLE nulled (id INTEGER PRIMARY KEY, o INT REFERENCES owner(id) ON DELETE SET NULL ON UPDATE CASCADE);
CREATE TABLE defaulted (id INTEGER PRIMARY KEY, o INT DEFAULT 1 REFERENCES owner(n) ON DELETE SET DEFAULT ON UPDATE SET DEFAULT DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE selfish (id INTEGER PRIMARY KEY, n, up INT REFERENCES selfish(id) ON DELETE CASCADE);
CREATE TRIGGER again AFTER UPDATE OF n ON selfish WHEN new.n < 5 BEGIN UPDATE selfish SET n = new.n + 1 WHERE id = new.id + 1; END;
CREATE TABLE made (id INTEGER PRIMARY KEY, n, twice AS (n * 2) STORED, CHECK (n IS NULL OR n <> 13));
CREATE UNIQUE INDEX part ON made (n) WHERE n > 3;
CREATE VIEW seen AS SELECT id, n FROM t UNION ALL SELECT id, n FROM made;
CREATE TRIGGER puts INSTEAD OF INSERT ON seen BEGIN INSERT INTO keyed VALUES (new.id, new.n) ON CONFLICT DO UPDATE SET n = excluded.n; END;
CREATE TRIGGER turns INSTEAD OF UPDATE ON seen BEGIN UPDATE made SET n = new.n WHERE id = old.id; END;
CREATE TRIGGER takes INSTEAD OF DELETE ON seen BEGIN DELETE FROM t WHERE id = old.id; END;
INSERT INTO t VALUES (1, 1, 'a', 1), (2, 2, 'A', 2), (3, 3, '1', 3), (4, 4, '2', 4);
INSERT INTO keyed VALUES ('a', 1), ('1', 2), ('2', 3), ('3', 4);
INSERT INTO trimmed SELECT * FROM keyed;
INSERT INTO anything SELECT id, n FROM t;
INSERT INTO pair SELECT id, id, n FROM t;
INSERT INTO "Odd ""Name" SELECT id, n FROM t;
INSERT INTO owner SELECT id, n FROM t;
INSERT INTO nulled SELECT id, n FROM t;
INSERT INTO defaulted SELECT id, n FROM t;
INSERT INTO selfish SELECT id, n, nullif(id - 1, 0) FROM t;
INSERT INTO made(id, n) SELECT id, n FROM t;
`

// meaningReads are texts with one argument or none.
var meaningReads = []string{
	"SELECT n FROM t WHERE id = ?", "SELECT n FROM main.t WHERE rowid = ?", "SELECT n FROM T WHERE _ROWID_ = ?", "SELECT n FROM [t] WHERE \"oid\" = ?",
	"SELECT n, u FROM t INDEXED BY sqlite_autoindex_t_1 WHERE u = ?", "SELECT f, typeof(f) FROM t WHERE f = ?", "SELECT n FROM t WHERE +id = ?",
	"SELECT n FROM t WHERE id IN (?, 3)", "SELECT n FROM t WHERE id = ? LIMIT 1 -- said so", "SELECT * FROM t LIMIT 2", "SELECT \"no column\", n FROM t WHERE id = ?",
	"SELECT n FROM keyed WHERE k = ?", "SELECT n FROM trimmed WHERE k = ?", "SELECT n FROM pair WHERE a = ? AND b = ?1", "SELECT k, n FROM anything WHERE k = ?",
	"SELECT n FROM \"odd \"\"name\" WHERE id = ?", "SELECT n FROM owner WHERE id = ?", "SELECT o FROM nulled WHERE id = ?", "SELECT o FROM defaulted WHERE id = ?",
	"SELECT n FROM selfish WHERE id = ?", "SELECT n, twice FROM made WHERE id = ?", "SELECT n FROM made INDEXED BY part WHERE n = ? AND n > 3", "SELECT n FROM seen WHERE id = ?",
	"WITH RECURSIVE up(i) AS (SELECT ? UNION SELECT s.up FROM selfish s JOIN up ON s.id = up.i WHERE s.up IS NOT NULL) SELECT i FROM up",
	"SELECT id FROM t EXCEPT SELECT id FROM made", "SELECT id, sum(n) OVER (ORDER BY id) FROM t", "SELECT count(*) FROM selfish", "SELECT group_concat(k || n) FROM keyed",
}

// meaningWrites are texts with two arguments, of which the first is mostly a key, one,
// or none.
var meaningWrites = []string{
	"UPDATE t SET n = ?2 WHERE id = ?1", "UPDATE T SET N = ?2 WHERE ROWID = ?1", "UPDATE main.\"t\" SET n = ?2 WHERE [oid] = ?1", "UPDATE t SET id = ?2 WHERE id = ?1",
	"UPDATE t SET f = ?2 WHERE id = ?1", "UPDATE t SET u = ?2 WHERE id = ?1", "UPDATE OR REPLACE t SET u = ?2 WHERE id = ?1", "UPDATE OR IGNORE t SET u = ?2, n = 1 WHERE id = ?1",
	"INSERT INTO t(id, n) VALUES (?1, ?2)", "INSERT OR REPLACE INTO t(id, u) VALUES (?1, ?2)", "REPLACE INTO t(u, n) VALUES (?1, ?2)", "INSERT INTO t(n, u) VALUES (?1, ?2)",
	"INSERT INTO t(id, n) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET n = excluded.n", "INSERT INTO t(id, u) VALUES (?1, ?2) ON CONFLICT (u) DO UPDATE SET n = 7",
	"INSERT INTO t DEFAULT VALUES", "INSERT INTO t(id, n) SELECT ?1, ?2 WHERE true", "DELETE FROM t WHERE id = ?1 -- and why", "DELETE FROM t WHERE id = ?1 OR u = ?2", "DELETE FROM t WHERE id = (SELECT ?1)",
	"INSERT INTO keyed VALUES (?1, ?2)", "REPLACE INTO keyed VALUES (?1, ?2)", "UPDATE keyed SET n = ?2 WHERE k = ?1", "DELETE FROM keyed WHERE k LIKE ?1",
	"REPLACE INTO trimmed VALUES (?1, ?2)", "UPDATE trimmed SET n = ?2 WHERE k = ?1", "REPLACE INTO pair VALUES (?1, ?1, ?2)", "UPDATE pair SET n = ?2 WHERE a = ?1", "DELETE FROM pair WHERE b = ?1",
	"REPLACE INTO anything VALUES (?1, ?2)", "UPDATE anything SET n = ?2 WHERE k = ?1", "UPDATE anything SET k = ?2 WHERE k = ?1",
	"REPLACE INTO \"Odd \"\"Name\" VALUES (?1, ?2)", "UPDATE [odd \"name] SET n = ?2 WHERE \"Id\" = ?1",
	"REPLACE INTO owner VALUES (?1, ?2)", "UPDATE owner SET id = ?2 WHERE id = ?1", "UPDATE owner SET n = ?2 WHERE id = ?1", "DELETE FROM owner WHERE id = ?1",
	"INSERT OR IGNORE INTO nulled VALUES (?1, ?2)", "INSERT OR IGNORE INTO defaulted VALUES (?1, ?2)", "REPLACE INTO selfish VALUES (?1, ?2, ?1 - 1)", "UPDATE selfish SET n = ?2 WHERE id = ?1", "DELETE FROM selfish WHERE id = ?1",
	"REPLACE INTO made(id, n) VALUES (?1, ?2)", "UPDATE OR REPLACE made SET n = ?2 WHERE id = ?1", "INSERT INTO seen VALUES (?1, ?2)", "UPDATE seen SET n = ?2 WHERE id = ?1", "DELETE FROM seen WHERE id = ?1",
	"UPDATE t SET n = ?2 WHERE id = ?1 RETURNING n", "DELETE FROM owner WHERE id = ?1 RETURNING *", "UPDATE t SET n = o.n FROM owner o WHERE o.id = t.id AND t.id = ?1",
	"UPDATE t SET n = ?2 WHERE id = coalesce(?1, 2)", "UPDATE t SET n = ?2 WHERE id = CAST(?1 AS INTEGER)", "UPDATE t SET n = ?2 WHERE id = ?1 + 0", "UPDATE t SET n = ?2 WHERE id BETWEEN ?1 AND ?1",
}

// meaning is a value that may be a key: the same number in all the types there are.
func meaning(r *rand.Rand) any {
	n := int64(1 + r.IntN(5))
	switch r.IntN(24) {
	default:
		return n
	case 10, 11:
		return float64(n)
	case 12, 13:
		return fmt.Sprint(n)
	case 14:
		return fmt.Sprint(n) + ".0"
	case 15:
		return []byte(fmt.Sprint(n))
	case 16:
		return n == 1
	case 17:
		return nil
	case 18:
		return []any{math.Copysign(0, -1), 0.0, int64(0)}[n%3]
	case 19:
		return []any{int64(math.MaxInt64), float64(math.MaxInt64), int64(math.MinInt64), float64(1 << 53), int64(1<<53 + 1)}[n%5]
	case 20:
		return []any{math.Inf(1), math.Inf(-1), math.NaN()}[n%3]
	case 21, 22:
		return []any{"a", "A", "a ", "A  ", "ä", "Ä"}[r.IntN(6)]
	case 23:
		return time.Unix(n, 0)
	}
}

// A statementRunner sends a write some way.
type statementRunner struct {
	db *sql.DB
	r  *rand.Rand
}

func (s *statementRunner) run(ctx context.Context, query string, args []any) {
	in := func(opts tursoopt.TxOptions, end func(*sql.Tx) error, more ...string) {
		tx, err := tursoopt.BeginTx(ctx, s.db, opts)
		if err != nil {
			return
		}
		for _, q := range append([]string{}, more...) {
			_, _ = tx.ExecContext(ctx, q)
		}
		_, _ = tx.ExecContext(ctx, query, args...)
		if len(more) > 0 && s.r.IntN(2) == 0 {
			_, _ = tx.ExecContext(ctx, "ROLLBACK TO s")
		}
		_ = end(tx)
	}
	switch s.r.IntN(9) {
	case 0:
		if rows, err := s.db.QueryContext(ctx, query, args...); err == nil {
			for rows.Next() {
			}
			_ = rows.Close()
		}
	case 1:
		in(tursoopt.TxOptions{}, (*sql.Tx).Commit)
	case 2:
		in(tursoopt.TxOptions{Pipelined: true}, (*sql.Tx).Commit)
	case 3:
		in(tursoopt.TxOptions{}, (*sql.Tx).Commit, "UPDATE t SET n = 5 WHERE id = 4", "SAVEPOINT s")
	case 4:
		in(tursoopt.TxOptions{Lock: tursoopt.TxImmediate}, (*sql.Tx).Rollback)
	case 5: // by name
		for i := range args {
			name := string(rune('a' + i))
			query = strings.ReplaceAll(query, fmt.Sprint("?", i+1), ":"+name)
			args[i] = sql.Named(name, args[i])
		}
		_, _ = s.db.ExecContext(ctx, query, args...)
	case 6: // on a connection whose settings have it mean something else
		if c, err := s.db.Conn(ctx); err == nil {
			_, _ = c.ExecContext(ctx, []string{"PRAGMA foreign_keys = off", "PRAGMA defer_foreign_keys = on", "PRAGMA recursive_triggers = on"}[s.r.IntN(3)])
			_, _ = c.ExecContext(ctx, query, args...)
			_ = c.Close()
		}
	default:
		_, _ = s.db.ExecContext(ctx, query, args...)
	}
}

// After any write, of whatever kind and by whatever way, what the cache answers is
// what the database has; with a write that fails as well.
func TestCachedAnswersMeanWhatSQLiteMeans(t *testing.T) {
	writes := 4 * len(meaningWrites)
	if testing.Short() {
		writes = 2 * len(meaningWrites)
	}
	inModesBeside(t, cacheModes[:1], func(t *testing.T, e *env) {
		ctx := context.Background()
		db, direct := e.cached(t), e.open(t)
		mustExec(t, db, meaningSchema)
		r := rand.New(rand.NewPCG(5, 11))
		s := &statementRunner{db, r}
		type read struct {
			query string
			args  []any
		}
		var reads []read
		for i := range len(meaningReads) {
			q := read{query: meaningReads[i]}
			if strings.Contains(q.query, "?") {
				q.args = []any{meaning(r)}
			}
			reads = append(reads, q)
		}
		fresh := &tursoopt.Batch{Independent: true}
		for _, q := range reads {
			fresh.Queue(q.query, q.args...)
		}
		changed := 0
		var last []string
		for n := range writes {
			w := meaningWrites[n%len(meaningWrites)]
			args := argsFor(w, r)
			s.run(ctx, w, slices.Clone(args))
			now := batchAnswers(t, direct, fresh)
			if !slices.Equal(now, last) {
				changed++
			}
			last = now
			if err := tursoopt.LearnSchema(ctx, db); err != nil {
				t.Fatal(err)
			}
			for i, q := range reads {
				if got := queryAnswer(db, q.query, q.args...); got != now[i] {
					t.Fatalf("after %s %v\n%s %v\nis    %s\ngives %s", w, args, q.query, q.args, now[i], got)
				}
			}
			tursoopt.CacheWait(db)
		}
		st := cacheStats(t, db)
		t.Logf("%d writes, %d of which changed something that is read; %d reads, %+v", writes, changed, writes*len(reads), st.CacheTally)
		if changed < writes/6 || st.Hits < uint64(writes*len(reads))/3 {
			t.Errorf("too little was tried: %d changes, %+v", changed, st.CacheTally)
		}
	})
}

// argsFor are values for the parameters that a text has.
func argsFor(query string, r *rand.Rand) (args []any) {
	for n := 1; strings.Contains(query, fmt.Sprint("?", n)); n++ {
		args = append(args, meaning(r))
	}
	return args
}

// batchAnswers are what the queries of a batch give.
func batchAnswers(t *testing.T, db *sql.DB, b *tursoopt.Batch) (all []string) {
	t.Helper()
	res, err := tursoopt.SendBatch(context.Background(), db, b)
	if err != nil {
		t.Fatal(err)
	}
	for range b.Len() {
		rows, err := res.Query()
		if err != nil {
			all = append(all, answer(nil, err))
			continue
		}
		all = append(all, answer(rows, nil))
	}
	_ = res.Close() // an error in it is an answer, too
	return all
}

// queryAnswer is what a query gives.
func queryAnswer(db *sql.DB, query string, args ...any) string {
	rows, err := db.Query(query, args...)
	if err != nil {
		return answer(nil, err)
	}
	return answer(rows, nil)
}

// resultRows are those of a query, or of one in a batch.
type resultRows interface {
	Columns() ([]string, error)
	Next() bool
	Scan(into ...any) error
	Err() error
	Close() error
}

// answer is what a query gives, as text.
func answer(rows resultRows, err error) string {
	if err != nil {
		return "an error"
	}
	defer rows.Close()
	var b strings.Builder
	names, _ := rows.Columns()
	for rows.Next() {
		into, at := make([]any, len(names)), make([]any, len(names))
		for i := range into {
			at[i] = &into[i]
		}
		if err := rows.Scan(at...); err != nil {
			return err.Error()
		}
		fmt.Fprintf(&b, "%#v;", into)
	}
	if err := rows.Err(); err != nil {
		return "an error"
	}
	return b.String()
}
