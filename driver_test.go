package tursoopt_test

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
)

func TestRegistered(t *testing.T) {
	if !slices.Contains(sql.Drivers(), tursoopt.DriverName) || tursoopt.DriverName != "turso-opt" {
		t.Errorf("the drivers are %q", sql.Drivers())
	}
}

// The same small program runs on every server and base.
func TestEndToEnd(t *testing.T) {
	inModes(t, allModes, func(t *testing.T, e *env) {
		db := e.open(t)
		ctx := context.Background()
		if err := db.PingContext(ctx); err != nil {
			t.Fatal(err)
		}
		mustExec(t, db, "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL, score REAL)")
		res := mustExec(t, db, "INSERT INTO person (name, score) VALUES (?, ?), (?, ?)", "Ada", 1.5, "Grace", nil)
		if id, err := res.LastInsertId(); id != 2 || err != nil {
			t.Errorf("LastInsertId = %d, %v", id, err)
		}
		if n, err := res.RowsAffected(); n != 2 || err != nil {
			t.Errorf("RowsAffected = %d, %v", n, err)
		}

		rows, err := db.QueryContext(ctx, "SELECT id, name, score FROM person WHERE name <> ? ORDER BY id", "Nobody")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		type person struct {
			id    int64
			name  string
			score sql.NullFloat64
		}
		var got []person
		for rows.Next() {
			var p person
			if err := rows.Scan(&p.id, &p.name, &p.score); err != nil {
				t.Fatal(err)
			}
			got = append(got, p)
		}
		want := []person{{1, "Ada", sql.NullFloat64{Float64: 1.5, Valid: true}}, {2, "Grace", sql.NullFloat64{}}}
		if err := rows.Err(); err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v", got, err)
		}

		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, tx, "UPDATE person SET score = 2 WHERE id = ?", 2)
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		tx, err = db.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, tx, "DELETE FROM person")
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		if n := queryInt(t, db, "SELECT count(*) FROM person WHERE score IS NOT NULL"); n != 2 {
			t.Errorf("%d rows have a score", n)
		}
		if err := db.QueryRowContext(ctx, "SELECT 1 WHERE 0").Scan(new(int)); !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("no row: %v", err)
		}
	})
}

// Tools open an empty DSN to get hold of the driver; nobody can use it.
func TestEmptyDSN(t *testing.T) {
	db, err := sql.Open(tursoopt.DriverName, "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, ok := db.Driver().(*tursoopt.Driver); !ok {
		t.Errorf("the driver is a %T", db.Driver())
	}
	if err := db.Ping(); err == nil {
		t.Error("there is no database, and it answers")
	}
}
