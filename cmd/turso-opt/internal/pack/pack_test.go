package pack

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
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

// often has conversions tell of each of their transactions.
func often(t *testing.T) {
	before := every
	every = 0
	t.Cleanup(func() { every = before })
}

// stopped runs a conversion and stops it when it tells something for the n-th time,
// and gives what it has told.
func stopped(t *testing.T, n int, o Options, run func(context.Context, Options, io.Writer) error) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out := &stopper{n: n, stop: cancel}
	if err := run(ctx, o, out); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v: %s", err, &out.told)
	}
	return out.told.String()
}

type stopper struct {
	told bytes.Buffer
	n    int
	stop func()
}

func (s *stopper) Write(b []byte) (int, error) {
	if s.n--; s.n == 0 {
		s.stop()
	}
	return s.told.Write(b)
}

// told is what a conversion that ends has told.
func told(t *testing.T, o Options, run func(context.Context, Options, io.Writer) error) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), o, &out); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	return out.String()
}

func TestConversionGoesOnWhereItStopped(t *testing.T) {
	db, o := filled(t, "docs.body")
	often(t)
	want := bodies(t, db)
	want[30] = text
	if out := stopped(t, 3, o, Rewrite); !strings.Contains(out, "4 rows looked at, 4 compressed") || !strings.Contains(out, "12 rows looked at, 12 compressed") {
		t.Errorf("its progress is %s", out)
	}
	if count(t, db, frames) != 14 || count(t, db, states) != 1 { // two begin like one before
		t.Errorf("%d frames, %d states", count(t, db, frames), count(t, db, states))
	}
	if out := told(t, o, Rewrite); !strings.Contains(out, "going on behind row 24") || !strings.Contains(out, "20 rows looked at, 15 compressed") || !strings.Contains(out, ", done") {
		t.Errorf("it goes on with %s", out)
	}
	if count(t, db, frames) != 28 || count(t, db, states) != 0 {
		t.Errorf("%d frames, %d states", count(t, db, frames), count(t, db, states))
	}
	// A damaged frame is told and left, and everything around it is given back.
	exec(t, db, "UPDATE docs SET body = substr(body, 1, length(body) - 1) WHERE id = 0")
	stopped(t, 4, o, Undo)
	var out bytes.Buffer
	exec(t, db, "UPDATE docs SET body = ? WHERE id = -9", "written since") // behind it
	if err := Undo(t.Context(), o, &out); err != nil || !strings.Contains(out.String(), "going on behind row 24") {
		t.Errorf("%v: %s", err, &out) // row 0 was told of before
	}
	out.Reset()
	if err := Undo(t.Context(), o, &out); !errors.Is(err, ErrLeft) || !strings.Contains(out.String(), "row 0 is left as it is") {
		t.Errorf("%v: %s", err, &out)
	}
	got := bodies(t, db)
	want[0], got[3] = "written since", want[3]
	if !reflect.DeepEqual(got, want) || count(t, db, states) != 0 {
		t.Errorf("%.100v", got)
	}
}

// One that was stopped does not go on if another has come in between, and neither does
// one that makes something else of the values: what lies before it is not as it was left.
func TestConversionBeginsAnew(t *testing.T) {
	db, o := filled(t, "docs.body")
	often(t)
	exec(t, db, "DELETE FROM docs WHERE id IN (1004, 1005)") // what begins like a frame
	want := bodies(t, db)
	stopped(t, 3, o, Rewrite)
	told(t, o, Undo)
	if got := bodies(t, db); !reflect.DeepEqual(got, want) || count(t, db, states) != 0 {
		t.Errorf("undone it is %.100v, with %d states", got, count(t, db, states))
	}
	told(t, o, Rewrite)
	if n := count(t, db, frames); n != 26 {
		t.Errorf("rewritten there are %d frames, want 26", n)
	}
	stopped(t, 3, o, Undo)
	stopped(t, 1, o, Rewrite)
	told(t, o, Undo)
	if got := bodies(t, db); !reflect.DeepEqual(got, want) || count(t, db, states) != 0 {
		t.Errorf("undone it is %.100v, with %d states", got, count(t, db, states))
	}
	stopped(t, 3, o, Rewrite)
	o.Config.CompressAlgorithm = tursoopt.AlgorithmZstd
	told(t, o, Rewrite)
	if n := count(t, db, "SELECT count(*) FROM docs WHERE substr(body, 10, 1) = x'02' AND typeof(body) = 'blob'"); n != 26 {
		t.Errorf("%d frames by zstd, want 26", n)
	}
}

// A table's own column may be called as the rowid is.
func TestConversionOfATableWithColumnsOfTheRowidsNames(t *testing.T) {
	db, o := filled(t, "own.body", "mine.body")
	exec(t, db, "CREATE TABLE own (rowid TEXT, body TEXT, OID)")
	exec(t, db, "CREATE TABLE mine (oid INTEGER PRIMARY KEY, body TEXT)")
	for i := range 9 {
		exec(t, db, "INSERT INTO own VALUES ('same', ?, 1)", text+fmt.Sprint(i))
		exec(t, db, "INSERT INTO mine (body) VALUES (?)", text+fmt.Sprint(i))
	}
	const packed = "SELECT (SELECT count(DISTINCT body) FROM own WHERE typeof(body) = 'blob') + (SELECT count(DISTINCT body) FROM mine WHERE typeof(body) = 'blob')"
	told(t, o, Rewrite)
	if n := count(t, db, packed); n != 18 {
		t.Errorf("%d rows are compressed, want 18", n)
	}
	if out := told(t, o, Estimate); !strings.Contains(out, "own.body") {
		t.Error(out)
	}
	told(t, o, Undo)
	if n := count(t, db, "SELECT count(DISTINCT body) FROM own WHERE typeof(body) = 'text'"); n != 9 {
		t.Errorf("%d rows are given back, want 9", n)
	}
	exec(t, db, "DROP TABLE own")
	exec(t, db, "CREATE TABLE own (rowid, body TEXT, oid, _rowid_)")
	if err := Rewrite(t.Context(), o, io.Discard); err == nil || !strings.Contains(err.Error(), "all the names of the rowid") {
		t.Error(err)
	}
	told(t, o, Estimate)
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

// estimated is the line that Estimate says of a column.
func estimated(t *testing.T, o Options, column string) string {
	t.Helper()
	for line := range strings.Lines(told(t, o, Estimate)) {
		if strings.HasPrefix(line, column+" ") {
			return line
		}
	}
	t.Fatalf("nothing is said of %s", column)
	return ""
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
	// A sample is as large as it may be, and what it says of the values is true.
	var from, to, zstd int
	for _, v := range bodies(t, db) {
		for by, sum := range map[frame.Algorithm]*int{frame.LZ4: &to, frame.Zstd: &zstd} {
			f, n, ok := packed(by, v, o.Min)
			if ok {
				n = len(f)
			}
			*sum += n
		}
		_, n, _ := packed(frame.LZ4, v, o.Min)
		from += n
	}
	all := o
	all.Sample = 2000 // more than there is between the rowids
	whole := strings.Fields(estimated(t, all, "docs.body"))
	want := fmt.Sprintf("docs.body 32 28 %s %s %.0f %% %s %.0f %%", ui.Thousands(int64(from)), ui.Thousands(int64(to)), 100*(1-float64(to)/float64(from)),
		ui.Thousands(int64(zstd)), 100*(1-float64(zstd)/float64(from)))
	if got := strings.Join(whole, " "); got != want {
		t.Errorf("of all rows it says %s, want %s", got, want)
	}
	few := o
	few.Sample = 20
	if n, err := strconv.Atoi(strings.Fields(estimated(t, few, "docs.body"))[1]); err != nil || n < 2 || n > 20 {
		t.Errorf("a sample of 20 rows has %d, %v", n, err)
	}
	if err := Rewrite(t.Context(), o, &out); err == nil || !strings.Contains(err.Error(), "index by_body") {
		t.Errorf("%v", err)
	}
	o.Columns = []string{"docs.none"}
	if err := Estimate(t.Context(), o, &out); err == nil {
		t.Error("there is no such column")
	}
}
