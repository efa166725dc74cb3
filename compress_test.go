package tursoopt_test

import (
	"bytes"
	"context"
	"database/sql"
	"reflect"
	"slices"
	"strings"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/frame"
)

// compressModes are servers and bases of every kind.
var compressModes = append([]mode{nativeModes[0], nativeModes[1], nativeModes[3], nativeModes[4], nativeModes[6]}, otherModes...)

const compressDocs = "CREATE TABLE docs (id INTEGER PRIMARY KEY, title TEXT, body TEXT, raw BLOB)"

// stored is what is in a column, seen without CompressColumns.
func stored(t *testing.T, db *sql.DB, query string, args ...any) (kind string, length int64) {
	t.Helper()
	if err := db.QueryRowContext(context.Background(), query, args...).Scan(&kind, &length); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return kind, length
}

func queryAny(t *testing.T, db execer, query string, args ...any) []any {
	t.Helper()
	rows, err := db.QueryContext(context.Background(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	return scanAll(t, rows)
}

// scanAll are all values of all rows.
func scanAll(t *testing.T, rows interface {
	Columns() ([]string, error)
	Next() bool
	Scan(...any) error
	Err() error
}) (all []any) {
	t.Helper()
	cols, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		row, dest := make([]any, len(cols)), make([]any, len(cols))
		for i := range row {
			dest[i] = &row[i]
		}
		if err := rows.Scan(dest...); err != nil {
			t.Fatal(err)
		}
		all = append(all, row...)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCompressColumns(t *testing.T) {
	inModes(t, compressModes, func(t *testing.T, e *env) {
		db, plain := e.open(t, "compress_columns=docs.body,docs.raw"), e.open(t)
		ctx := context.Background()
		mustExec(t, db, compressDocs)
		blob := append([]byte{0, 0xff}, packable...)
		check := func(what string, id int, body, raw any) {
			t.Helper()
			for _, q := range []string{
				"SELECT body, raw FROM docs WHERE id = ?", "SELECT d.body AS x, d.raw FROM docs AS d JOIN docs e ON e.id = d.id WHERE d.id = ?",
				"SELECT * FROM (SELECT body, raw, id FROM docs) WHERE id = ?", "WITH c(a, b, i) AS (SELECT body, raw, id FROM docs) SELECT a, b FROM c WHERE i = ?",
			} {
				got := queryAny(t, db, q, id)
				if len(got) == 3 {
					got = got[:2]
				}
				if !reflect.DeepEqual(got, []any{body, raw}) {
					t.Errorf("%s: %s gives %d values, %.40v", what, q, len(got), got)
				}
			}
		}
		packed := func(what string, id int) {
			t.Helper()
			for _, col := range []string{"body", "raw"} {
				if kind, n := stored(t, plain, "SELECT typeof("+col+"), length("+col+") FROM docs WHERE id = ?", id); kind != "blob" || n > int64(len(blob)/2) {
					t.Errorf("%s: %s is stored as %s of %d bytes", what, col, kind, n)
				}
			}
		}
		mustExec(t, db, "INSERT INTO docs (id, title, body, raw) VALUES (1, ?, ?, ?)", packable, packable, blob)
		check("insert", 1, packable, blob)
		packed("insert", 1)
		if kind, _ := stored(t, plain, "SELECT typeof(title), 0 FROM docs"); kind != "text" {
			t.Errorf("title is stored as %s", kind)
		}
		mustExec(t, db, "INSERT INTO docs VALUES (?, ?, ?, ?), (3, NULL, ?, ?)", 2, "t", packable, blob, packable+"3", blob)
		check("rows without a list of columns", 2, packable, blob)
		packed("rows without a list of columns", 2)
		check("rows without a list of columns", 3, packable+"3", blob)
		mustExec(t, db, "INSERT INTO docs (id, body, raw) VALUES (3, :b, :r) ON CONFLICT (id) DO UPDATE SET body = excluded.body, raw = :r",
			sql.Named("b", packable), sql.Named("r", blob))
		check("upsert", 3, packable, blob)
		packed("upsert", 3)
		mustExec(t, db, "UPDATE docs SET (body, raw) = (?, ?) WHERE id = ?", packable+"u", blob, 3)
		check("update", 3, packable+"u", blob)
		packed("update", 3)
		mustExec(t, db, "INSERT INTO docs (id, body, raw) SELECT ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM docs WHERE id = 4)", 4, packable, blob)
		check("insert from a select", 4, packable, blob)
		packed("insert from a select", 4)

		// What is no text or blob, or short, or NULL, stays; and so do old rows.
		mustExec(t, plain, "INSERT INTO docs (id, body, raw) VALUES (10, ?, ?)", packable, blob)
		check("old rows", 10, packable, blob)
		mustExec(t, db, "INSERT INTO docs (id, body, raw) VALUES (11, ?, ?), (12, ?, ?)", "short", []byte{1}, nil, 7)
		check("short values", 11, "short", []byte{1})
		check("null and a number", 12, nil, int64(7))

		// Blobs that look like frames, or are frames, come back as they are.
		f, _ := frame.Compress(frame.LZ4, frame.Text, []byte(packable))
		for i, b := range [][]byte{[]byte(frame.Magic), []byte(frame.Magic + packable), f, f[:len(f)-1]} {
			mustExec(t, db, "INSERT INTO docs (id, body, raw, title) VALUES (?, ?, ?, ?)", 20+i, "", b, b)
			check("a blob like a frame", 20+i, "", b)
			if got := queryAny(t, db, "SELECT title FROM docs WHERE id = ?", 20+i); !reflect.DeepEqual(got, []any{b}) {
				t.Errorf("a blob like a frame in another column: %v", got)
			}
		}

		// Values that the program compresses itself are not compressed again.
		mustExec(t, db, "INSERT INTO docs (id, body, raw) VALUES (30, ?, ?)", tursoopt.Compressed(packable), tursoopt.CompressedBlob(blob))
		check("Compressed", 30, packable, blob)
		mustExec(t, db, "UPDATE docs SET raw = ? WHERE id = 30", tursoopt.CompressedBlob(f))
		var own tursoopt.CompressedBlob
		if err := db.QueryRowContext(ctx, "SELECT raw FROM docs WHERE id = 30").Scan(&own); err != nil || !bytes.Equal(own, f) {
			t.Errorf("a CompressedBlob of a frame: %d bytes, %v", len(own), err)
		}

		// Prepared statements and transactions.
		s, err := db.PrepareContext(ctx, "INSERT INTO docs (id, body, raw) VALUES (?, ?, ?)")
		if err != nil {
			t.Fatal(err)
		}
		for id := 40; id < 43; id++ {
			if _, err := s.ExecContext(ctx, id, packable, blob); err != nil {
				t.Fatal(err)
			}
			packed("prepared", id)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		tx, err := tursoopt.BeginTx(ctx, db, tursoopt.TxOptions{Pipelined: true})
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, tx, "INSERT INTO docs (id, body, raw) VALUES (50, ?, ?)", packable, blob)
		if got := queryAny(t, tx, "SELECT body FROM docs WHERE id = 50"); !reflect.DeepEqual(got, []any{packable}) {
			t.Errorf("in a transaction: %.40v", got)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		packed("transaction", 50)

		var b tursoopt.Batch
		b.Queue("INSERT INTO docs (id, body, raw) VALUES (60, ?, ?)", packable, blob)
		b.Queue("SELECT body, raw FROM docs WHERE id = 60")
		res, err := tursoopt.SendBatch(ctx, db, &b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := res.Exec(); err != nil {
			t.Fatal(err)
		}
		rows, err := res.Query()
		if err != nil {
			t.Fatal(err)
		}
		if got := scanAll(t, rows); !reflect.DeepEqual(got, []any{packable, blob}) {
			t.Errorf("batch: %.40v", got)
		}
		if err := res.Close(); err != nil {
			t.Fatal(err)
		}
		packed("batch", 60)

		for i, body := range []any{packable, "short"} { // with blobs, and with text only
			in := func(yield func([]any, error) bool) {
				for id := range 3 {
					if !yield([]any{70 + 10*i + id, body, packable}, nil) {
						return
					}
				}
			}
			if n, err := tursoopt.BulkInsert(ctx, db, "docs", []string{"id", "body", "raw"}, in); n != 3 || err != nil {
				t.Fatal(n, err)
			}
			check("bulk", 70+10*i+2, body, packable)
		}
		if kind, _ := stored(t, plain, "SELECT typeof(body), 0 FROM docs WHERE id = 71"); kind != "blob" {
			t.Errorf("bulk is stored as %s", kind)
		}
		if got := queryAny(t, db, "INSERT INTO docs (id, body) VALUES (90, ?) RETURNING body, id", packable); !reflect.DeepEqual(got, []any{packable, int64(90)}) {
			t.Errorf("RETURNING: %.40v", got)
		}
		// Without the parameter nothing is looked for.
		if got := queryAny(t, plain, "SELECT raw FROM docs WHERE id = 1"); !frame.Is(got[0].([]byte)) {
			t.Error("a frame was decoded for who has not asked for it")
		}
	})
}

func TestCompressFollowsTheSchema(t *testing.T) {
	inModes(t, []mode{nativeModes[0], nativeModes[3], otherModes[1]}, func(t *testing.T, e *env) {
		db, plain := e.open(t, "compress_columns=docs.body"), e.open(t)
		ctx := context.Background()
		mustExec(t, db, "CREATE TABLE docs (body, id)")
		mustExec(t, db, "INSERT INTO docs VALUES (?, ?)", packable, 1)
		mustExec(t, db, "DROP TABLE docs")
		mustExec(t, db, "CREATE TABLE docs (id, body)")
		mustExec(t, db, "INSERT INTO docs VALUES (?, ?)", packable, packable)
		if kind, _ := stored(t, plain, "SELECT typeof(id) || typeof(body), 0 FROM docs"); kind != "textblob" {
			t.Errorf("after a change of columns it is stored as %s", kind)
		}
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, tx, "ALTER TABLE docs ADD COLUMN more")
		mustExec(t, tx, "INSERT INTO docs VALUES (?, ?, ?)", packable, packable, packable)
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		mustExec(t, db, "INSERT INTO docs VALUES (?, ?, ?)", 3, packable, packable)
		if kind, _ := stored(t, plain, "SELECT typeof(body) || typeof(more), 0 FROM docs WHERE id = 3"); kind != "blobtext" {
			t.Errorf("after a change in a transaction it is stored as %s", kind)
		}
		if got := queryAny(t, db, "SELECT body FROM docs"); !reflect.DeepEqual(got, []any{packable, packable, packable}) {
			t.Errorf("%.60v", got)
		}
		// A STRICT column takes no blob, and text in a numeric one may become a number.
		mustExec(t, db, "DROP TABLE docs")
		mustExec(t, db, "CREATE TABLE docs (id INTEGER, body TEXT) STRICT")
		mustExec(t, db, "INSERT INTO docs VALUES (1, ?)", packable)
		stats, _ := tursoopt.StatsOf(db)
		if n := stats.Compression.Columns[0].Skipped["the table is STRICT"]; n != 1 {
			t.Errorf("%v", stats.Compression)
		}
	})
}

func TestCompressStats(t *testing.T) {
	inModes(t, []mode{nativeModes[3], otherModes[1]}, func(t *testing.T, e *env) {
		mustExec(t, e.open(t), compressDocs)
		for _, by := range []string{tursoopt.AlgorithmLZ4, tursoopt.AlgorithmZstd} {
			compressStats(t, e, by)
		}
	})
}

func compressStats(t *testing.T, e *env, by string) {
	t.Run(by, func(t *testing.T) {
		db := e.open(t, "compress_columns=docs.body,docs.raw,notes.raw", "compress_min=100", "compress_algorithm="+by)
		mustExec(t, db, "DELETE FROM docs")
		random := make([]byte, 200)
		for i, x := 0, uint64(88172645463325252); i < len(random); i++ {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			random[i] = byte(x)
		}
		mustExec(t, db, "INSERT INTO docs (id, body, raw) VALUES (1, ?, ?)", packable, packable)
		mustExec(t, db, "INSERT INTO docs (id, body, raw) VALUES (2, ?, ?)", "short", random)
		mustExec(t, db, "INSERT INTO docs (id, body) VALUES (3, ? || '')", packable)
		mustExec(t, db, "INSERT INTO docs (id, body) VALUES (4, 'literal')")
		mustExec(t, db, "INSERT INTO docs (id, title, body) VALUES (5, ?1, ?1)", packable)
		queryAny(t, db, "SELECT body, raw, body AS other FROM docs WHERE id = 1")
		s, ok := tursoopt.StatsOf(db)
		if !ok || len(s.Compression.Columns) != 4 {
			t.Fatalf("%+v", s.Compression)
		}
		all := s.Compression.Columns
		body, raw, unused, others := all[0], all[1], all[2], all[3]
		if body.Column != "docs.body" || raw.Column != "docs.raw" || unused.Column != "notes.raw" || others.Column != "" {
			t.Fatalf("%+v", all)
		}
		if body.Stored != 1 || body.StoredFrom != uint64(len(packable)) || body.StoredTo == 0 || body.StoredTo > body.StoredFrom/2 || body.StoreTime <= 0 {
			t.Errorf("stored: %+v", body)
		}
		if body.Read != 1 || body.ReadFrom != body.StoredTo || body.ReadTo != body.StoredFrom || body.ReadTime <= 0 {
			t.Errorf("read: %+v", body)
		}
		want := map[string]uint64{"shorter than compress_min": 1, "computed by SQL": 1, "written in the SQL text": 1, "the parameter is used elsewhere too": 1}
		if !reflect.DeepEqual(body.Skipped, want) {
			t.Errorf("skipped: %v", body.Skipped)
		}
		if raw.Stored != 1 || raw.Read != 0 || raw.Skipped["no gain"] != 1 || others.Read != 2 || unused.Stored != 0 {
			t.Errorf("%+v, %+v, %+v", raw, unused, others)
		}
		// What a value is compressed by is counted where it is read, too. The random one
		// took time and was not compressed.
		n := s.Compression.Algorithms
		if len(n) != 1 || n[0].Algorithm != by || n[0].Stored != 2 || n[0].StoredFrom != 2*uint64(len(packable)) || n[0].StoredTo != body.StoredTo+raw.StoredTo ||
			n[0].Read != 3 || n[0].ReadFrom != body.ReadFrom+others.ReadFrom || n[0].ReadTo != 3*uint64(len(packable)) ||
			n[0].StoreTime <= 0 || n[0].StoreTime > body.StoreTime+raw.StoreTime || n[0].ReadTime != body.ReadTime+others.ReadTime {
			t.Errorf("%+v beside %+v", n, all)
		}
	})
}

// Values of both algorithms and plain ones stand in one column, and every Connector
// with it reads them all.
func TestCompressAlgorithmsMix(t *testing.T) {
	inModes(t, []mode{nativeModes[3], otherModes[1]}, func(t *testing.T, e *env) {
		plain := e.open(t)
		mustExec(t, plain, compressDocs)
		mustExec(t, plain, "INSERT INTO docs (id, body) VALUES (0, ?)", packable)
		dbs := map[string]*sql.DB{}
		for i, by := range []string{tursoopt.AlgorithmLZ4, tursoopt.AlgorithmZstd} {
			dbs[by] = e.open(t, "compress_columns=docs.body", "compress_algorithm="+by)
			mustExec(t, dbs[by], "INSERT INTO docs (id, body) VALUES (?, ?)", 1+i, packable)
			// A single value's algorithm is its own.
			mustExec(t, dbs[by], "INSERT INTO docs (id, body) VALUES (?, ?)", 3+i, tursoopt.CompressedWith(tursoopt.AlgorithmZstd, packable))
		}
		var marks string
		if err := plain.QueryRowContext(context.Background(), "SELECT group_concat(hex(substr(body, 10, 1))) FROM docs WHERE id > 0").Scan(&marks); err != nil || marks != "01,02,02,02" {
			t.Fatalf("the algorithms are %s, %v", marks, err)
		}
		for by, db := range dbs {
			for id, v := range queryAny(t, db, "SELECT body FROM docs ORDER BY id") {
				if v != packable {
					t.Errorf("by a Connector with %s: row %d is another", by, id)
				}
			}
			s, _ := tursoopt.StatsOf(db)
			if n := s.Compression.Algorithms; len(n) != 2 || n[0].Read != 1 || n[1].Read != 3 {
				t.Errorf("by a Connector with %s: %+v", by, n)
			}
		}
		for id := 1; id < 5; id++ {
			var got tursoopt.CompressedText
			if err := plain.QueryRowContext(context.Background(), "SELECT body FROM docs WHERE id = ?", id).Scan(&got); err != nil || string(got) != packable {
				t.Errorf("row %d: %v", id, err)
			}
		}
	})
}

func TestCompressRefusesDamage(t *testing.T) {
	inModes(t, []mode{nativeModes[0], nativeModes[3], otherModes[1]}, func(t *testing.T, e *env) {
		db, plain := e.open(t, "compress_columns=docs.body"), e.open(t)
		mustExec(t, db, compressDocs)
		f, _ := frame.Compress(frame.LZ4, frame.Text, []byte(packable))
		newer, other := bytes.Clone(f), bytes.Clone(f)
		newer[len(frame.Magic)], other[len(frame.Magic)+1] = 9, frame.Algorithms
		for i, c := range []struct {
			frame []byte
			want  string
		}{{f[:len(f)-1], "damaged"}, {f[:12], "cut off"}, {newer, "version 9"}, {other, "which this software does not know"}} {
			mustExec(t, plain, "INSERT INTO docs (id, body) VALUES (?, ?)", i, c.frame)
			var s string
			err := db.QueryRowContext(context.Background(), "SELECT body FROM docs WHERE id = ?", i).Scan(&s)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "column body") {
				t.Errorf("%s: %v", c.want, err)
			}
		}
	})
}

func TestCompressConfig(t *testing.T) {
	for _, bad := range []string{"compress_columns=docs", "compress_columns=a.b.c", "compress_columns=.x", "compress_columns=a.", "compress_columns=a.b,A.B", "compress_min=x", "compress_min=3GiB", "compress_algorithm=gzip", "compress_guard=maybe"} {
		if _, err := tursoopt.ParseDSN("http://h?" + bad); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	cfg, err := tursoopt.ParseDSN("http://h?compress_columns=docs.body,%20my%20notes.text&compress_min=0&compress_algorithm=zstd&compress_guard=off")
	if err != nil || !slices.Equal(cfg.CompressColumns, []string{"docs.body", "my notes.text"}) || cfg.CompressMin != -1 || cfg.CompressAlgorithm != tursoopt.AlgorithmZstd || *cfg.CompressGuard {
		t.Fatalf("%+v, %v", cfg, err)
	}
	if _, err := tursoopt.NewConnector(&tursoopt.Config{URL: "http://h", CompressAlgorithm: "LZ4"}); err == nil {
		t.Error("an algorithm that nobody knows is taken")
	}
	again, err := tursoopt.ParseDSN(cfg.FormatDSN())
	if err != nil || !reflect.DeepEqual(again, cfg) {
		t.Errorf("%s: %+v, %v", cfg.FormatDSN(), again, err)
	}
}
