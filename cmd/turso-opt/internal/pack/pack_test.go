package pack

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/frame"
)

var text = strings.Repeat(`{"name":"value","list":[1,2,3]}`, 60)

// filled is a database with rows of all kinds, and the options to work on it.
func filled(t *testing.T, columns ...string) (*sql.DB, Options) {
	t.Helper()
	url := hranatest.NewServer(t, hranatest.Options{}).URL()
	cfg, err := tursoopt.ParseDSN(url)
	if err != nil {
		t.Fatal(err)
	}
	db, err := tursoopt.OpenDB(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	exec(t, db, "CREATE TABLE docs (id INTEGER PRIMARY KEY, title TEXT, body TEXT, n INTEGER)")
	f, _ := frame.Compress(frame.LZ4, frame.Text, []byte(text))
	for i := range 25 {
		exec(t, db, "INSERT INTO docs VALUES (?, ?, ?, ?)", i*3-9, "title", text+strings.Repeat("x", i), i)
	}
	for i, v := range []any{nil, 7, "short", []byte(text), []byte(frame.Magic + "plain"), f, 1.5} {
		exec(t, db, "INSERT INTO docs VALUES (?, NULL, ?, NULL)", 1000+i, v)
	}
	return db, Options{Config: cfg, Columns: columns, Min: 1024, Sample: 1000, Rows: 4}
}

func exec(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(context.Background(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func bodies(t *testing.T, db *sql.DB) (all []any) {
	t.Helper()
	err := each(context.Background(), db, "SELECT body FROM docs ORDER BY id", func(rows *sql.Rows) error {
		var v any
		err := rows.Scan(&v)
		if b, ok := v.([]byte); ok {
			v = bytes.Clone(b)
		}
		all = append(all, v)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func count(t *testing.T, db *sql.DB, query string) (n int) {
	t.Helper()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

const (
	frames = "SELECT count(*) FROM docs WHERE substr(body, 1, 8) = x'9d544f6672c0017a' AND typeof(body) = 'blob'"
	states = "SELECT count(*) FROM sqlite_master WHERE name = 'turso_opt_compress'"
)

func TestRewriteAndUndo(t *testing.T) {
	db, o := filled(t, "docs.body")
	before := bodies(t, db)
	var out bytes.Buffer
	dry := o
	dry.DryRun = true
	if err := Rewrite(t.Context(), dry, &out); err != nil || !reflect.DeepEqual(bodies(t, db), before) || count(t, db, states) != 0 {
		t.Fatalf("a dry run changes something, or fails: %v", err)
	}
	if !strings.Contains(out.String(), "32 rows looked at, 27 would be compressed") {
		t.Errorf("it says %s", out.String())
	}
	if err := Rewrite(t.Context(), o, &out); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db, frames); n != 28 {
		t.Errorf("%d frames, want 28", n)
	}
	// Through a Connector that knows, all is as it was, but for what was a frame.
	cfg := o.Config.Clone()
	cfg.CompressColumns = []string{"docs.body"}
	knows, err := tursoopt.OpenDB(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer knows.Close()
	want := append([]any{}, before...)
	want[30] = text
	if got := bodies(t, knows); !reflect.DeepEqual(got, want) {
		t.Errorf("it is read as %.100v", got)
	}
	if err := Rewrite(t.Context(), o, &out); err != nil || count(t, db, frames) != 28 {
		t.Errorf("twice: %v", err)
	}
	// Another algorithm changes all but what is only put into a frame, and both ways.
	before = bodies(t, db)
	for _, by := range []string{tursoopt.AlgorithmZstd, tursoopt.AlgorithmLZ4} {
		o.Config.CompressAlgorithm = by
		if err := Rewrite(t.Context(), o, &out); err != nil {
			t.Fatal(err)
		}
		if n := count(t, db, fmt.Sprintf("SELECT count(*) FROM docs WHERE substr(body, 10, 1) = x'%02x'", uint8(algorithms[by]))); n != 27 {
			t.Errorf("%d frames by %s, want 27", n, by)
		}
		if got := bodies(t, knows); !reflect.DeepEqual(got, want) {
			t.Errorf("by %s it is read as %.100v", by, got)
		}
	}
	if got := bodies(t, db); !reflect.DeepEqual(got, before) {
		t.Error("there and back it is stored otherwise")
	}
	if err := Undo(t.Context(), o, &out); err != nil {
		t.Fatal(err)
	}
	if got := bodies(t, db); !reflect.DeepEqual(got, want) {
		t.Errorf("undone it is %.100v", got)
	}
	if count(t, db, states) != 0 {
		t.Error("the state stays")
	}
}

// A writer that stops a conversion after its first progress.
type stopper struct{ stop func() }

func (s stopper) Write(b []byte) (int, error) {
	s.stop()
	return len(b), nil
}

func TestConversionGoesOnWhereItStopped(t *testing.T) {
	db, o := filled(t, "docs.body")
	want := bodies(t, db)
	want[30] = text
	if err := Rewrite(t.Context(), o, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	// A damaged frame is told and left, and everything around it is given back.
	exec(t, db, "UPDATE docs SET body = substr(body, 1, length(body) - 1) WHERE id = 0")
	ctx, cancel := context.WithCancel(t.Context())
	err := Undo(ctx, o, stopper{cancel}) // it stops while it tells of row 0
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if n := count(t, db, states); n != 1 {
		t.Fatal("it has left no state")
	}
	if n := count(t, db, "SELECT count(*) FROM turso_opt_compress"); n > 1 {
		t.Errorf("%d states", n)
	}
	var out bytes.Buffer
	if err := Undo(t.Context(), o, &out); !errors.Is(err, ErrLeft) || !strings.Contains(out.String(), "row 0 is left as it is") {
		t.Errorf("%v: %s", err, out.String())
	}
	got := bodies(t, db)
	got[3] = want[3]
	if !reflect.DeepEqual(got, want) || count(t, db, states) != 0 {
		t.Errorf("%.100v", got)
	}
}

// A conversion is no change that anybody has made.
func TestConversionSetsOffNoTrigger(t *testing.T) {
	db, o := filled(t, "docs.body")
	exec(t, db, "CREATE TABLE log (id)")
	exec(t, db, "CREATE TRIGGER other AFTER UPDATE OF title, n ON docs BEGIN INSERT INTO log VALUES (new.id); END")
	exec(t, db, "CREATE TRIGGER added AFTER INSERT ON docs BEGIN INSERT INTO log VALUES (new.id); END")
	if err := Rewrite(t.Context(), o, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	for _, event := range []string{"UPDATE", "UPDATE OF title, \"body\""} {
		exec(t, db, "CREATE TRIGGER touched AFTER "+event+" ON docs BEGIN INSERT INTO log VALUES (new.id); END")
		if err := Undo(t.Context(), o, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "trigger touched") {
			t.Errorf("%s: %v", event, err)
		}
		exec(t, db, "DROP TRIGGER touched")
	}
	if n := count(t, db, "SELECT count(*) FROM log"); n != 0 {
		t.Errorf("%d rows were logged", n)
	}
	exec(t, db, "CREATE TRIGGER touched AFTER UPDATE ON docs BEGIN INSERT INTO log VALUES (new.id); END")
	o.Force = true
	if err := Undo(t.Context(), o, &bytes.Buffer{}); err != nil || count(t, db, "SELECT count(*) FROM log") != 28 {
		t.Errorf("by force: %v", err)
	}
}

func TestEstimate(t *testing.T) {
	db, o := filled(t)
	exec(t, db, "CREATE INDEX by_body ON docs (body)")
	exec(t, db, "CREATE VIEW lengths AS SELECT id, length(body) AS n FROM docs")
	exec(t, db, "CREATE VIRTUAL TABLE fts USING fts5(body, content='docs', content_rowid='id')")
	exec(t, db, "CREATE TRIGGER log AFTER UPDATE ON docs BEGIN INSERT INTO empty VALUES (old.body); END")
	exec(t, db, "CREATE TABLE pairs (a TEXT PRIMARY KEY, b TEXT) WITHOUT ROWID")
	exec(t, db, "CREATE TABLE empty (x)")
	var out bytes.Buffer
	if err := Estimate(t.Context(), o, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"docs.body", "docs.title", "pairs.b", "empty.x", "%", "docs.body would break index by_body", "docs.body would break view lengths",
		"docs.body would break table fts: it would be indexed as it is stored", "docs.body would break trigger log: it would be copied"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it lacks %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "docs.n") || strings.Contains(out.String(), "docs.title would") {
		t.Errorf("it says too much:\n%s", out.String())
	}
	o.Columns = []string{"docs.body"}
	if err := Rewrite(t.Context(), o, &out); err == nil || !strings.Contains(err.Error(), "index by_body") {
		t.Errorf("%v", err)
	}
	o.Columns = []string{"docs.none"}
	if err := Estimate(t.Context(), o, &out); err == nil {
		t.Error("there is no such column")
	}
}
