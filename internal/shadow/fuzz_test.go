package shadow

import (
	"testing"

	"github.com/ncruces/go-sqlite3"
)

// Whatever the text, an Access keeps what its fields promise about each other,
// and SQLite agrees about what writes.
func FuzzAnalyze(f *testing.F) {
	for seed := range uint64(5) {
		g := generate(seed)
		for range 20 {
			f.Add(g.read().sql)
			f.Add(g.write().sql)
		}
	}
	f.Add("SELECT a FROM t; DELETE FROM t")
	f.Add("WITH c AS (SELECT 1) INSERT INTO t(id) SELECT * FROM c RETURNING random()")
	f.Add("EXPLAIN QUERY PLAN SELECT 1")
	f.Add("SELECT * FROM t WHERE id = ?3 AND a = :b /* ")
	s := loaded(f, schemaOf(f, 1, exampleSchema...))
	db := openReal(f)
	// As in the copy: "x" may be a string, and libSQL's functions are there.
	if _, err := db.Config(sqlite3.DBCONFIG_DQS_DML, true); err != nil {
		f.Fatal(err)
	}
	if err := standInFunctions(db); err != nil {
		f.Fatal(err)
	}
	for _, sql := range exampleSchema {
		if err := db.Exec(sql); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, sql string) {
		a := s.Analyze(sql)
		switch {
		case a.Version != 1:
			t.Errorf("version %d", a.Version)
		case !a.Pure && a.Reason == "":
			t.Error("neither Pure nor a reason")
		case a.Pure && (a.Unknown || a.DDL || !a.ReadOnly || len(a.Writes) > 0):
			t.Errorf("pure and %+v", a)
		case a.Unknown && (a.ReadOnly || a.Key != nil):
			t.Errorf("unknown and %+v", a)
		case a.ReadOnly && len(a.Writes) > 0:
			t.Errorf("a read that writes %v", a.Writes)
		}
		if k := a.Key; k != nil {
			touched := a.Writes
			if a.Pure {
				touched = a.Reads
			}
			if len(touched) != 1 || touched[0] != k.Table {
				t.Errorf("the key is of %s, touched are %v", k.Table, touched)
			}
		}
		if !a.Pure {
			return
		}
		stmt, tail, err := db.Prepare(sql)
		if err != nil || stmt == nil {
			t.Fatalf("pure, and SQLite says %v", err)
		}
		defer stmt.Close()
		if !stmt.ReadOnly() {
			t.Errorf("pure, and SQLite says that it writes (%q follows)", tail)
		}
	})
}
