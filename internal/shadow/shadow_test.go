package shadow

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ncruces/go-sqlite3"
)

// schemaOf is the Schema of a database that these statements make.
func schemaOf(t testing.TB, version int64, statements ...string) Schema {
	t.Helper()
	db := openReal(t)
	for _, sql := range statements {
		if err := db.Exec(sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	return readSchema(t, db, version)
}

func openReal(t testing.TB) *sqlite3.Conn {
	t.Helper()
	db, err := sqlite3.Open(":memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if _, err := db.Config(sqlite3.DBCONFIG_ENABLE_FKEY, true); err != nil {
		t.Fatal(err)
	}
	return db
}

func readSchema(t testing.TB, db *sqlite3.Conn, version int64) Schema {
	t.Helper()
	stmt, _, err := db.Prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema")
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Close()
	s := Schema{Version: version, ForeignKeys: true}
	for stmt.Step() {
		s.Objects = append(s.Objects, Object{
			stmt.ColumnText(0), stmt.ColumnText(1), stmt.ColumnText(2), stmt.ColumnText(3),
		})
	}
	if err := stmt.Err(); err != nil {
		t.Fatal(err)
	}
	return s
}

func loaded(t testing.TB, s Schema) *Shadow {
	t.Helper()
	shadow := New()
	t.Cleanup(func() { shadow.Close() })
	if err := shadow.Load(s); err != nil {
		t.Fatal(err)
	}
	return shadow
}

// show is an Access in one line:
//
//	pure r=a,b key=a:?1
//	read r=a (calls random)
//	write r=a w=a key=a:5 alone
//	ddl | unknown
func show(a *Access) string {
	var b strings.Builder
	switch {
	case a.Unknown:
		return "unknown"
	case a.DDL:
		return "ddl"
	case a.Pure:
		b.WriteString("pure")
	case a.ReadOnly:
		b.WriteString("read")
	default:
		b.WriteString("write")
	}
	if len(a.Reads) > 0 {
		b.WriteString(" r=" + strings.Join(a.Reads, ","))
	}
	if len(a.Writes) > 0 {
		b.WriteString(" w=" + strings.Join(a.Writes, ","))
	}
	if k := a.Key; k != nil && k.Param > 0 {
		fmt.Fprintf(&b, " key=%s:?%d", k.Table, k.Param)
	} else if k != nil {
		fmt.Fprintf(&b, " key=%s:%d", k.Table, k.Value)
	}
	if a.Alone {
		b.WriteString(" alone")
	}
	return b.String()
}

func TestBeforeAndAfterASchemaIsKnown(t *testing.T) {
	s := New()
	if a := s.Analyze("SELECT 1"); !a.Unknown || a.Reason == "" {
		t.Errorf("before Load: %s", show(a))
	}
	if v, ok := s.Version(); ok {
		t.Errorf("version %d before Load", v)
	}
	if err := s.Load(schemaOf(t, 7, "CREATE TABLE a(x)")); err != nil {
		t.Fatal(err)
	}
	if v, ok := s.Version(); v != 7 || !ok {
		t.Errorf("version %d, %v", v, ok)
	}
	if a := s.Analyze("SELECT x FROM a"); show(a) != "pure r=a" || a.Version != 7 {
		t.Errorf("%s of version %d", show(a), a.Version)
	}
	if err := s.Load(schemaOf(t, 8, "CREATE TABLE b(y)")); err != nil {
		t.Fatal(err)
	}
	if a := s.Analyze("SELECT x FROM a"); !a.Unknown || a.Version != 8 {
		t.Errorf("a text of the schema before: %s of version %d", show(a), a.Version)
	}
	if a := s.Analyze("SELECT y FROM b"); show(a) != "pure r=b" {
		t.Error(show(a))
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if a := s.Analyze("SELECT y FROM b"); !a.Unknown {
		t.Errorf("after Close: %s", show(a))
	}
	if err := s.Load(Schema{}); err == nil {
		t.Error("a closed Shadow took a schema")
	}
}

func TestATextIsCompiledOnceForAll(t *testing.T) {
	s := loaded(t, schemaOf(t, 1, "CREATE TABLE a(x)"))
	var wg sync.WaitGroup
	got := make([]*Access, 32)
	for i := range got {
		wg.Go(func() { got[i] = s.Analyze("SELECT max(x) FROM a") })
	}
	wg.Wait()
	for _, a := range got {
		if a != got[0] || !a.Pure {
			t.Fatalf("%p %s, %p", a, show(a), got[0])
		}
	}
}

func TestTextsAreBounded(t *testing.T) {
	s := loaded(t, schemaOf(t, 1, "CREATE TABLE a(x)"))
	texts := &s.current.Load().texts
	kept := s.Analyze("SELECT x FROM a")
	for i := range 2 * maxTexts {
		texts.get(fmt.Sprint("SELECT ", i), func(string) *Access { return new(Access) })
		// What is used stays.
		if a := s.Analyze("SELECT x FROM a"); a != kept {
			t.Fatalf("forgotten after %d texts", i)
		}
	}
	if n := len(texts.byKey); n != maxTexts {
		t.Errorf("%d texts are remembered", n)
	}
	long := strings.Repeat("x", maxBytes/16)
	for i := range 40 {
		texts.get(fmt.Sprint(long, i), func(string) *Access { return new(Access) })
	}
	if texts.bytes > maxBytes {
		t.Errorf("%d bytes of text are remembered", texts.bytes)
	}
	texts.get(long+long+"xxx", func(string) *Access { return new(Access) })
	if texts.byKey[long+long+"xxx"] != nil {
		t.Error("a text larger than all others together")
	}
	sum, n := 0, 0
	for e := texts.hand; n == 0 || e != texts.hand; e = e.next {
		sum += len(e.sql)
		n++
	}
	if sum != texts.bytes || n != len(texts.byKey) {
		t.Errorf("the ring has %d texts of %d bytes, counted are %d of %d", n, sum, len(texts.byKey), texts.bytes)
	}
}

func TestLoadWhileOthersAsk(t *testing.T) {
	one := schemaOf(t, 1, "CREATE TABLE a(x)", "CREATE TABLE b(x)", "CREATE VIEW v AS SELECT * FROM a")
	two := schemaOf(t, 2, "CREATE TABLE a(x)", "CREATE TABLE b(x)", "CREATE VIEW v AS SELECT * FROM b")
	want := map[int64]string{1: "pure r=a", 2: "pure r=b"}
	s := loaded(t, one)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				// New texts and known ones.
				a := s.Analyze(fmt.Sprintf("SELECT x, %d FROM v", i%50*g))
				if show(a) != want[a.Version] {
					t.Errorf("version %d: %s (%s)", a.Version, show(a), a.Reason)
					return
				}
			}
		})
	}
	for i := range 20 {
		if err := s.Load([]Schema{two, one}[i%2]); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
}

// A server's sqlite_schema may hold anything.
func TestLoadRunsNothingButCreate(t *testing.T) {
	dir := t.TempDir()
	s := loaded(t, Schema{Version: 1, Objects: []Object{
		{"table", "a", "a", "CREATE TABLE a(x)"},
		{"table", "b", "b", "ATTACH '" + dir + "/b' AS b"},
		{"table", "c", "c", "CREATE TABLE c AS WITH RECURSIVE r(n) AS (VALUES(1) UNION ALL SELECT n+1 FROM r) SELECT n FROM r"},
		{"table", "d", "d", "CREATE TABLE d(x); ATTACH '" + dir + "/d' AS d"},
		{"table", "e", "e", "DROP TABLE a"},
		{"table", "f", "f", "VACUUM INTO '" + dir + "/f'"},
		{"table", "g", "g", "CREATE TABLE g AS SELECT 1"},
		{"index", "h", "a", "PRAGMA writable_schema=on"},
	}})
	if a := s.Analyze("SELECT * FROM a"); !a.Pure {
		t.Errorf("%s: %s", show(a), a.Reason)
	}
	for _, name := range []string{"b", "c", "d", "e", "f", "g"} {
		if a := s.Analyze("SELECT * FROM " + name); !a.Unknown {
			t.Errorf("%s: %s", name, show(a))
		}
	}
	if a := s.Analyze("DELETE FROM a"); !a.Unknown {
		t.Errorf("a write where tables are not known: %s", show(a))
	}
}

func TestPureFunctionsAreKnownOnes(t *testing.T) {
	for _, name := range []string{
		"random", "randomblob", "date", "time", "datetime", "julianday", "unixepoch", "strftime", "timediff",
		"current_timestamp", "current_date", "current_time", "changes", "total_changes", "last_insert_rowid",
		"sqlite_version", "load_extension", "match", "bm25", "highlight", "snippet", "libsql_vector_idx",
	} {
		if pure[name] {
			t.Errorf("%s is taken for pure", name)
		}
	}
	// SQLite's own word for it: a function that is not deterministic is not pure.
	db := openReal(t)
	stmt, _, err := db.Prepare("SELECT name, max(flags & 0x800) FROM pragma_function_list GROUP BY name")
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Close()
	seen := 0
	windows := strings.Fields(`avg count group_concat max median min percentile percentile_cont percentile_disc string_agg sum total
		cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number
		json_group_array json_group_object jsonb_group_array jsonb_group_object`)
	for stmt.Step() {
		name := stmt.ColumnText(0)
		if !pure[name] || slices.Contains(windows, name) {
			continue
		}
		seen++
		if stmt.ColumnInt(1) == 0 {
			t.Errorf("%s is not deterministic", name)
		}
	}
	if err := stmt.Err(); err != nil || seen < 80 {
		t.Errorf("%d functions compared, %v", seen, err)
	}
}
