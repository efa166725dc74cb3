package tursoopt_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
)

// While there is no copy of the schema nobody knows what a write touches, nor what
// others have made of the schema meanwhile.
func TestCacheWithoutItsSchema(t *testing.T) {
	inModes(t, cacheModes[:2], func(t *testing.T, e *env) {
		db, other := e.cached(t), e.open(t)
		mustExec(t, db, cacheSchema)
		const table, view = "SELECT sum(n) FROM b", "SELECT sum(n) FROM v"
		warm(t, db, table)
		tursoopt.ForgetSchema(db)
		if _, hit := isHit(t, db, table); !hit {
			t.Error("what is kept is not served")
		}
		mustExec(t, db, "UPDATE b SET n = 5")
		if n := queryInt(t, db, table); n != 10 {
			t.Errorf("%d after a write of which nobody knew what it touches", n)
		}
		warm(t, db, view)
		tursoopt.ForgetSchema(db)
		mustExec(t, other, "BEGIN IMMEDIATE; DROP VIEW v; CREATE VIEW v AS SELECT n FROM parent; COMMIT")
		if err := tursoopt.LearnSchema(context.Background(), db); err != nil {
			t.Fatal(err)
		}
		mustExec(t, db, "UPDATE parent SET n = 50")
		if n := queryInt(t, db, view); n != 100 {
			t.Errorf("%d after a write to what the view reads now", n)
		}
	})
}

// What is not compiled here, and runs there, may touch anything.
func TestCacheAndWritesThatAreNotUnderstood(t *testing.T) {
	e := newEnv(t, mode{native: true})
	db := e.cached(t)
	mustExec(t, db, cacheSchema)
	const q = "SELECT count(*) FROM b"
	warm(t, db, q)
	before := cacheStats(t, db).ByUnknownWrites
	mustExec(t, db, "DELETE FROM b WHERE '"+strings.Repeat("x", 4<<20)+"' <> ''") // longer than anybody's
	if s := cacheStats(t, db); s.ByUnknownWrites != before+1 {
		t.Fatalf("it is understood: %+v", s)
	}
	if n := queryInt(t, db, q); n != 0 {
		t.Errorf("%d rows after all have been deleted", n)
	}
}

// A primary key is found by what SQLite takes for equal, and is nobody's in particular
// unless it is an integer.
func TestCacheKeysOfOtherTypes(t *testing.T) {
	e := newEnv(t, mode{native: true})
	db := e.cached(t)
	mustExec(t, db, cacheSchema)
	const read, write = "SELECT n FROM b WHERE id = ?", "UPDATE b SET n = n + 1 WHERE id = ?"
	keys := []any{int64(1), 1.0, "1", "1.0", true, []byte("1"), sql.Named("id", 1)}
	for _, key := range keys {
		for _, other := range keys[:6] {
			text, arg := write, key
			if _, named := key.(sql.NamedArg); named {
				text = strings.ReplaceAll(write, "?", ":id")
			}
			if err := tursoopt.LearnSchema(context.Background(), db); err != nil {
				t.Fatal(err)
			}
			get := func(ctx context.Context) string {
				rows, err := db.QueryContext(ctx, read, other)
				if err != nil {
					t.Fatal(err)
				}
				return answer(rows, nil)
			}
			get(context.Background())
			tursoopt.CacheWait(db)
			mustExec(t, db, text, arg)
			got, want := get(context.Background()), get(tursoopt.WithFresh(context.Background()))
			if got != want {
				t.Errorf("by %#v it is %s after a write by %#v, in the database %s", other, got, key, want)
			}
		}
	}
}
