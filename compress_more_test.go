package tursoopt_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/frame"
)

// A bare base has what a driver must have, and nothing more.
type bareBase struct{ driver.Connector }

func (b bareBase) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := b.Connector.Connect(ctx)
	return bareConn{c}, err
}

type bareConn struct{ driver.Conn }

func (c bareConn) Prepare(query string) (driver.Stmt, error) {
	s, err := c.Conn.Prepare(query)
	return bareStmt{s}, err
}

type bareStmt struct{ driver.Stmt }

// Whatever driver is wrapped, values are compressed on their way to it and are
// themselves again on their way back.
func TestCompressThroughWrap(t *testing.T) {
	for _, bare := range []bool{false, true} {
		for _, cache := range []int64{0, 1 << 20} {
			t.Run(fmt.Sprintf("bare=%v,cache=%d", bare, cache), func(t *testing.T) {
				file := sqliteFile(t)
				base := file
				if bare {
					base = bareBase{file}
				}
				c, err := tursoopt.Wrap(base, &tursoopt.Config{CompressColumns: []string{"docs.body", "docs.raw"}, Cache: cache})
				if err != nil {
					t.Fatal(err)
				}
				db, plain := sql.OpenDB(c), sql.OpenDB(file)
				defer db.Close()
				defer plain.Close()
				for _, db := range []*sql.DB{db, plain} {
					db.SetMaxOpenConns(1)
				}
				mustExec(t, db, compressDocs)
				blob, like := append([]byte{0, 0xff}, packable...), []byte(frame.Magic+"and more")
				const insert = "INSERT INTO docs (id, body, raw) VALUES (?, ?, ?)"
				mustExec(t, db, insert, 1, packable, blob)
				s, err := db.Prepare(insert)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.Exec(2, packable, blob); err != nil {
					t.Fatal(err)
				}
				_ = s.Close()
				tx, err := db.Begin()
				if err != nil {
					t.Fatal(err)
				}
				mustExec(t, tx, insert, 3, packable, blob)
				if err := tx.Commit(); err != nil {
					t.Fatal(err)
				}
				var b tursoopt.Batch
				b.Queue(insert, 4, packable, blob)
				if err := batchError(t, db, &b); err != nil {
					t.Fatal(err)
				}
				rows := func(yield func([]any, error) bool) { yield([]any{5, packable, blob}, nil) }
				if _, err := tursoopt.BulkInsert(t.Context(), db, "docs", []string{"id", "body", "raw"}, rows); err != nil {
					t.Fatal(err)
				}
				mustExec(t, plain, insert, 6, packable, blob)
				if n := queryInt(t, plain, "SELECT count(*) FROM docs WHERE typeof(body) || typeof(raw) = 'blobblob' AND length(body) + length(raw) < 1000"); n != 5 {
					t.Errorf("%d rows are compressed", n)
				}
				for range 2 { // from the cache, too
					for id := 1; id <= 6; id++ {
						if got := queryAny(t, db, "SELECT d.body AS x, raw FROM docs d WHERE id = ?", id); !reflect.DeepEqual(got, []any{packable, blob}) {
							t.Errorf("row %d: %.60v", id, got)
						}
					}
				}
				mustExec(t, db, insert, 7, nil, like)
				if got := queryAny(t, db, "SELECT body, raw FROM docs WHERE id = 7"); !reflect.DeepEqual(got, []any{nil, like}) {
					t.Errorf("NULL and what looks like a frame: %.60v", got)
				}
				if !guarded(t, db, "SELECT length(body) FROM docs") {
					t.Error("a function of it is let through")
				}
				stats, _ := tursoopt.StatsOf(db)
				if body := stats.Compression.Columns[0]; body.Stored != 5 || body.StoredFrom != 5*uint64(len(packable)) {
					t.Errorf("%+v", body)
				}
			})
		}
	}
}

// Results that are streamed have frames as well.
func TestCompressInALargeResult(t *testing.T) {
	inModes(t, []mode{nativeModes[0], nativeModes[3]}, func(t *testing.T, e *env) {
		db := e.open(t, "compress_columns=docs.body")
		mustExec(t, db, compressDocs)
		// Frames are so short that what makes the result too large is something else.
		mustExec(t, db, "INSERT INTO docs (id, body, title) VALUES (1, ?, printf('%.*c', 1000000, 'x'))", packable)
		mustExec(t, db, "INSERT INTO docs (id, title, body) SELECT n.value, title, body FROM docs, json_each('[2,3,4,5,6,7,8,9,10,11,12]') n")
		rows, err := db.QueryContext(t.Context(), "SELECT id, body, title FROM docs ORDER BY id")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		n := 0
		for rows.Next() {
			var id int
			var body, title string
			if err := rows.Scan(&id, &body, &title); err != nil {
				t.Fatal(err)
			}
			if n++; id != n || body != packable || len(title) != 1_000_000 {
				t.Fatalf("row %d: %d, %d and %d bytes", n, id, len(body), len(title))
			}
		}
		if rows.Err() != nil || n != 12 {
			t.Fatalf("%d rows, %v", n, rows.Err())
		}
	})
}

// What others make of the schema is known within a minute.
func TestCompressAsksForTheSchemaAgain(t *testing.T) {
	inModes(t, []mode{nativeModes[3], otherModes[1]}, func(t *testing.T, e *env) {
		db, plain := e.open(t, "compress_columns=docs.body"), e.open(t)
		mustExec(t, plain, compressDocs)
		queryAny(t, db, "SELECT body FROM docs")
		mustExec(t, plain, "CREATE VIEW bad AS SELECT length(body) AS n FROM docs")
		tursoopt.AgeCompressSchema(db, 5*time.Second)
		if guarded(t, db, "SELECT n FROM bad") {
			t.Error("the schema is asked for more often than once a minute")
		}
		tursoopt.AgeCompressSchema(db, 55*time.Second)
		if !guarded(t, db, "SELECT n FROM bad") {
			t.Error("a view that somebody else has made is not guarded after a minute")
		}
	})
}

// What is stored as it is, and why.
func TestCompressSkips(t *testing.T) {
	inModes(t, []mode{nativeModes[3], otherModes[1]}, func(t *testing.T, e *env) {
		db, plain := e.open(t, "compress_columns=docs.body,docs.num"), e.open(t)
		skipped := func(column int) map[string]uint64 {
			s, _ := tursoopt.StatsOf(db)
			return s.Compression.Columns[column].Skipped
		}
		mustExec(t, plain, "CREATE TABLE docs (id INTEGER PRIMARY KEY, body TEXT, num NUMERIC)")
		number := strings.Repeat("0", 2000) + "7"
		mustExec(t, db, "INSERT INTO docs (id, num) VALUES (1, ?)", number)
		if got := queryAny(t, plain, "SELECT num, typeof(num) FROM docs"); !reflect.DeepEqual(got, []any{int64(7), "integer"}) {
			t.Errorf("in a numeric column there is %.40v", got)
		}
		if n := skipped(1); !reflect.DeepEqual(n, map[string]uint64{"the column is numeric, and text in it may become a number": 1}) {
			t.Errorf("%v", n)
		}
		f, _ := frame.Compress(frame.LZ4, frame.Text, []byte(packable))
		mustExec(t, db, "INSERT INTO docs (id, body) VALUES (2, ?)", f) // a blob, whatever it is
		mustExec(t, db, "INSERT INTO docs (id, body) VALUES (3, ?)", tursoopt.Compressed(packable))
		want := map[string]uint64{"a frame already": 2}
		if e.file { // no server takes it
			mustExec(t, db, "INSERT INTO docs (id, body) VALUES (4, ?)", strings.Repeat("x", 64<<20+1))
			want["longer than 64 MiB"] = 1
		}
		if got := queryAny(t, db, "SELECT body FROM docs WHERE id IN (2, 3) ORDER BY id"); !reflect.DeepEqual(got, []any{f, packable}) {
			t.Errorf("%.40v", got)
		}
		if n := skipped(0); !reflect.DeepEqual(n, want) {
			t.Errorf("%v", n)
		}
	})
}
