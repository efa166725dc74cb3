// Package sqlx_test uses the driver through sqlx.
package sqlx_test

import (
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/turso-opt/turso-opt/compat/internal/target"
)

func init() {
	// sqlx knows no driver that is younger than itself.
	sqlx.BindDriver("turso-opt", sqlx.QUESTION)
	sqlx.BindDriver("libsql", sqlx.QUESTION)
}

const schema = `
CREATE TABLE team (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE person (
	id INTEGER PRIMARY KEY,
	team_id INTEGER REFERENCES team(id),
	name TEXT NOT NULL,
	email TEXT,
	score REAL NOT NULL DEFAULT 0,
	photo BLOB,
	active BOOLEAN NOT NULL DEFAULT 1
);`

type team struct {
	ID   int64  `db:"id"`
	Name string `db:"name"`
}

type person struct {
	ID     int64          `db:"id"`
	TeamID sql.NullInt64  `db:"team_id"`
	Name   string         `db:"name"`
	Email  sql.NullString `db:"email"`
	Score  float64        `db:"score"`
	Photo  []byte         `db:"photo"`
	Active bool           `db:"active"`
}

var people = []person{
	{ID: 1, TeamID: null(1), Name: "Ada", Email: sql.NullString{String: "ada@example.com", Valid: true}, Score: 1.5, Photo: []byte{0, 1, 255}, Active: true},
	{ID: 2, TeamID: null(1), Name: "Grace", Score: -2.25, Photo: []byte{}, Active: false},
	{ID: 3, Name: "Édsger", Score: 1e300, Active: true},
}

func null(n int64) sql.NullInt64 { return sql.NullInt64{Int64: n, Valid: true} }

func open(t *testing.T, tg target.Target) *sqlx.DB {
	t.Helper()
	db := sqlx.NewDb(tg.Open(t), tg.Driver)
	// The whole schema in one Exec, as sqlx's own examples do it.
	db.MustExec(schema)
	db.MustExec("INSERT INTO team (id, name) VALUES (?, ?)", 1, "red")
	if _, err := db.NamedExec(`INSERT INTO person (id, team_id, name, email, score, photo, active)
		VALUES (:id, :team_id, :name, :email, :score, :photo, :active)`, people); err != nil {
		t.Fatal(err)
	}
	return db
}

func TestStructScan(t *testing.T) {
	target.Each(t, func(t *testing.T, tg target.Target) {
		db := open(t, tg)
		var all []person
		if err := db.Select(&all, "SELECT * FROM person ORDER BY id"); err != nil {
			t.Fatal(err)
		}
		want := people
		if tg.Baseline {
			// It sends an empty blob as NULL.
			for i := range all {
				if len(all[i].Photo) == 0 {
					all[i].Photo = want[i].Photo
				}
			}
		}
		if !reflect.DeepEqual(all, want) {
			t.Errorf("Select gives\n%+v, want\n%+v", all, want)
		}

		var one person
		if err := db.Get(&one, "SELECT * FROM person WHERE name = ?", "Ada"); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(one, people[0]) {
			t.Errorf("Get gives %+v", one)
		}
		if err := db.Get(&one, "SELECT * FROM person WHERE id = 99"); !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("Get of no row: %v", err)
		}

		rows, err := db.Queryx("SELECT * FROM person ORDER BY id DESC")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for i := len(people) - 1; rows.Next(); i-- {
			var p person
			if err := rows.StructScan(&p); err != nil {
				t.Fatal(err)
			}
			if p.ID != people[i].ID || p.Name != people[i].Name {
				t.Errorf("StructScan gives %+v", p)
			}
		}
		if err := rows.Err(); err != nil {
			t.Error(err)
		}
	})
}

func TestEmbeddedStructs(t *testing.T) {
	target.Each(t, func(t *testing.T, tg target.Target) {
		db := open(t, tg)
		var got []struct {
			Name string
			Team team `db:"team"`
		}
		err := db.Select(&got, `SELECT person.name, team.id AS "team.id", team.name AS "team.name"
			FROM person JOIN team ON team.id = person.team_id ORDER BY person.id`)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 2 || got[0].Name != "Ada" || got[1].Team != (team{1, "red"}) {
			t.Errorf("the join gives %+v", got)
		}
	})
}

func TestNamedQueries(t *testing.T) {
	target.Each(t, func(t *testing.T, tg target.Target) {
		db := open(t, tg)
		rows, err := db.NamedQuery("SELECT * FROM person WHERE name = :name AND active = :active", people[0])
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ; rows.Next(); n++ {
			var p person
			if err := rows.StructScan(&p); err != nil || p.ID != 1 {
				t.Errorf("%+v, %v", p, err)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil || n != 1 {
			t.Errorf("%d rows, %v", n, err)
		}

		res, err := db.NamedExec("UPDATE person SET score = :score WHERE team_id = :team", map[string]any{"score": 7, "team": 1})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := res.RowsAffected(); n != 2 || err != nil {
			t.Errorf("RowsAffected = %d, %v", n, err)
		}

		stmt, err := db.PrepareNamed("SELECT score FROM person WHERE id = :id")
		if err != nil {
			t.Fatal(err)
		}
		defer stmt.Close()
		for id, want := range map[int]float64{1: 7, 2: 7, 3: 1e300} {
			var score float64
			if err := stmt.Get(&score, map[string]any{"id": id}); err != nil || score != want {
				t.Errorf("score of %d = %v, %v, want %v", id, score, err, want)
			}
		}
	})
}

func TestIn(t *testing.T) {
	target.Each(t, func(t *testing.T, tg target.Target) {
		db := open(t, tg)
		if got := sqlx.BindType(db.DriverName()); got != sqlx.QUESTION {
			t.Fatalf("BindType(%q) = %d", db.DriverName(), got)
		}
		query, args, err := sqlx.In("SELECT name FROM person WHERE id IN (?) AND active = ? ORDER BY id", []int{1, 2, 3}, true)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		if err := db.Select(&names, db.Rebind(query), args...); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(names, []string{"Ada", "Édsger"}) {
			t.Errorf("names = %q", names)
		}
	})
}

func TestMapAndSliceScan(t *testing.T) {
	target.Each(t, func(t *testing.T, tg target.Target) {
		db := open(t, tg)
		m := map[string]any{}
		if err := db.QueryRowx("SELECT id, name, email, score FROM person WHERE id = 2").MapScan(m); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"id": int64(2), "name": "Grace", "email": nil, "score": -2.25}
		if !reflect.DeepEqual(m, want) {
			t.Errorf("MapScan gives %#v, want %#v", m, want)
		}
		s, err := db.QueryRowx("SELECT count(*), max(name), NULL FROM person").SliceScan()
		if err != nil {
			t.Fatal(err)
		}
		if want := []any{int64(3), "Édsger", nil}; !reflect.DeepEqual(s, want) {
			t.Errorf("SliceScan gives %#v, want %#v", s, want)
		}
	})
}

func TestTransactions(t *testing.T) {
	target.Each(t, func(t *testing.T, tg target.Target) {
		db := open(t, tg)
		count := func() (n int) {
			t.Helper()
			if err := db.Get(&n, "SELECT count(*) FROM team"); err != nil {
				t.Fatal(err)
			}
			return n
		}

		tx := db.MustBegin()
		stmt, err := tx.Preparex("INSERT INTO team (name) VALUES (?)")
		if err != nil {
			t.Fatal(err)
		}
		var last int64
		for _, name := range []string{"green", "blue"} {
			res := stmt.MustExec(name)
			if last, err = res.LastInsertId(); err != nil {
				t.Fatal(err)
			}
		}
		if last != 3 {
			t.Errorf("LastInsertId = %d, want 3", last)
		}
		// The transaction sees its own rows.
		var names []string
		if err := tx.Select(&names, "SELECT name FROM team ORDER BY id"); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(names, []string{"red", "green", "blue"}) {
			t.Errorf("inside: %q", names)
		}
		if err := errors.Join(stmt.Close(), tx.Commit()); err != nil {
			t.Fatal(err)
		}
		if n := count(); n != 3 {
			t.Errorf("%d teams after the commit", n)
		}

		tx = db.MustBegin()
		if _, err := tx.NamedExec("INSERT INTO team (name) VALUES (:name)", team{Name: "grey"}); err != nil {
			t.Fatal(err)
		}
		// A statement that fails leaves the transaction open.
		if _, err := tx.Exec("INSERT INTO team (name) VALUES ('red')"); err == nil {
			t.Error("a second team was called red")
		}
		var n int
		if err := tx.Get(&n, "SELECT count(*) FROM team"); err != nil || n != 4 {
			t.Errorf("%d teams inside, %v", n, err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		if n := count(); n != 3 {
			t.Errorf("%d teams after the rollback", n)
		}
	})
}

// Callers share a few connections: nobody's rows, ids or transaction may reach
// another.
func TestConcurrentCallers(t *testing.T) {
	target.Each(t, func(t *testing.T, tg target.Target) {
		db := open(t, tg)
		// Few of them write at a time: more of libsql-client-go's can lock up sqld.
		db.SetMaxOpenConns(4)
		const callers, rounds = 16, 5
		var group sync.WaitGroup
		for caller := range callers {
			group.Go(func() {
				for round := range rounds {
					name, keep := fmt.Sprintf("caller %d, round %d", caller, round), round%2 == 0
					err := insertAndRead(db, name, keep)
					// SQLite has one writer, and a program begins again when it is busy.
					for try := 1; try < 20 && err != nil && strings.Contains(err.Error(), "database is locked"); try++ {
						err = insertAndRead(db, name, keep)
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		group.Wait()
		var n int
		if err := db.Get(&n, "SELECT count(*) FROM person WHERE name LIKE 'caller%'"); err != nil || n != callers*(rounds+1)/2 {
			t.Errorf("%d rows were kept, %v", n, err)
		}
	})
}

// insertAndRead inserts a person in a transaction and reads him by his id,
// inside and outside.
func insertAndRead(db *sqlx.DB, name string, keep bool) error {
	tx, err := db.Beginx()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	res, err := tx.NamedExec("INSERT INTO person (name) VALUES (:name)", person{Name: name})
	if err != nil {
		return err
	}
	id, err := res.LastInsertId()
	if err != nil {
		return err
	}
	var got person
	if err := tx.Get(&got, "SELECT * FROM person WHERE id = ?", id); err != nil {
		return err
	}
	if got.Name != name {
		return fmt.Errorf("%q got the id of %q", name, got.Name)
	}
	if !keep {
		return tx.Rollback()
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	if err := db.Get(&got, db.Rebind("SELECT * FROM person WHERE name = ?"), name); err != nil {
		return err
	}
	if got.ID != id {
		return fmt.Errorf("%q has the id %d, and was told %d", name, got.ID, id)
	}
	return nil
}

func TestTimes(t *testing.T) {
	target.Each(t, func(t *testing.T, tg target.Target) {
		db := open(t, tg)
		db.MustExec("CREATE TABLE event (id INTEGER PRIMARY KEY, at DATETIME NOT NULL, until TIMESTAMP)")
		at := time.Date(2024, 2, 29, 23, 59, 58, 123456789, time.FixedZone("", 2*3600))
		db.MustExec("INSERT INTO event (at, until) VALUES (?, ?)", at, sql.NullTime{})
		var e struct {
			At    time.Time    `db:"at"`
			Until sql.NullTime `db:"until"`
		}
		if err := db.Get(&e, "SELECT at, until FROM event"); err != nil {
			t.Fatal(err)
		}
		if !e.At.Equal(at) || e.Until.Valid {
			t.Errorf("at %v, want %v; until %v", e.At, at, e.Until)
		}
	})
}
