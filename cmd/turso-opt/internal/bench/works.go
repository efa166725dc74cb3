package bench

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// peopleRows is the size of the table that most scenarios use.
const peopleRows = 10_000

// People makes a table of four columns whose values can be checked by the key.
func People(w World) []string { return w.fill("people", w.rows(peopleRows)) }

// million is People, a hundred times as large.
func million(w World) []string { return w.fill("people", w.rows(1_000_000)) }

// fill has the server itself make up the rows.
func (w World) fill(name string, rows int) []string {
	t := w.table(name)
	return []string{
		"CREATE TABLE " + t + " (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, score REAL NOT NULL)",
		fmt.Sprintf("INSERT INTO %s SELECT i, 'person '||i, 'person'||i||'@example.com', i * 0.5 FROM "+
			"(WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %d) SELECT i FROM c)", t, rows),
	}
}

// checkPerson tells whether name and score are those of the key. It allocates
// nothing: what it costs would be counted as the drivers' own.
func checkPerson(id int, name string, score float64) error {
	number, ok := strings.CutPrefix(name, "person ")
	if n, err := strconv.Atoi(number); !ok || err != nil || n != id || score != float64(id)*0.5 {
		return fmt.Errorf("row %d came back as %q with %g", id, name, score)
	}
	return nil
}

// keys gives a worker's random primary keys, the same in every run.
func (w World) keys(worker int) func() int {
	r := rand.New(rand.NewPCG(uint64(worker), 1))
	n := w.rows(peopleRows)
	return func() int { return 1 + r.IntN(n) }
}

func (w World) selectPerson() string {
	return "SELECT name, score FROM " + w.table("people") + " WHERE id = ?"
}

// PointSelect reads one row by its key.
func PointSelect(w World) Work {
	query := w.selectPerson()
	return func(_ context.Context, db *sql.DB, worker int) (Task, error) {
		key := w.keys(worker)
		var name string
		var score float64
		return Task{Do: func(ctx context.Context) error {
			id := key()
			if err := db.QueryRowContext(ctx, query, id).Scan(&name, &score); err != nil {
				return err
			}
			return checkPerson(id, name, score)
		}}, nil
	}
}

// preparedSelect is PointSelect with a statement prepared beforehand.
func preparedSelect(w World) Work {
	query := w.selectPerson()
	return func(ctx context.Context, db *sql.DB, worker int) (Task, error) {
		stmt, err := db.PrepareContext(ctx, query)
		if err != nil {
			return Task{}, err
		}
		key := w.keys(worker)
		var name string
		var score float64
		return Task{Done: stmt.Close, Do: func(ctx context.Context) error {
			id := key()
			if err := stmt.QueryRowContext(ctx, id).Scan(&name, &score); err != nil {
				return err
			}
			return checkPerson(id, name, score)
		}}, nil
	}
}

// ThreeUpdates is a transaction of as many.
func ThreeUpdates(w World) Work {
	update := w.update()
	return func(_ context.Context, db *sql.DB, worker int) (Task, error) {
		key := w.keys(worker)
		return Task{Do: func(ctx context.Context) error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			defer tx.Rollback() // does nothing after Commit
			for range 3 {
				res, err := tx.ExecContext(ctx, update, "changed@example.com", key())
				if err != nil {
					return err
				}
				if err := changedOne(res); err != nil {
					return err
				}
			}
			return tx.Commit()
		}}, nil
	}
}

func (w World) update() string { return "UPDATE " + w.table("people") + " SET email = ? WHERE id = ?" }

func changedOne(res sql.Result) error {
	n, err := res.RowsAffected()
	if err == nil && n != 1 {
		err = fmt.Errorf("a statement for one row changed %d", n)
	}
	return err
}

// Insert adds one row.
func Insert(w World) Work {
	insert := "INSERT INTO " + w.table("people") + " (name, email, score) VALUES (?, 'new@example.com', 1)"
	return func(_ context.Context, db *sql.DB, _ int) (Task, error) {
		return Task{Do: func(ctx context.Context) error {
			res, err := db.ExecContext(ctx, insert, "somebody")
			if err != nil {
				return err
			}
			return changedOne(res)
		}}, nil
	}
}

// readAndInsert reads a row and inserts one by turns.
func readAndInsert(w World) Work {
	read, insert := PointSelect(w), Insert(w)
	return func(ctx context.Context, db *sql.DB, worker int) (Task, error) {
		a, err := read(ctx, db, worker)
		if err != nil {
			return Task{}, err
		}
		b, err := insert(ctx, db, worker)
		turn := 0
		return Task{Do: func(ctx context.Context) error {
			if turn++; turn%2 == 0 {
				return b.Do(ctx)
			}
			return a.Do(ctx)
		}}, err
	}
}

// ScanList reads 1,000 rows.
func ScanList(w World) Work {
	return scan("SELECT id, name, email, score FROM "+w.table("people")+" ORDER BY id LIMIT 1000", min(1000, w.rows(peopleRows)))
}

func scanAll(w World) Work {
	return scan("SELECT id, name, email, score FROM "+w.table("people")+" ORDER BY id", w.rows(1_000_000))
}

// scan reads all rows of a query over people in the order of their keys.
func scan(query string, rows int) Work {
	return func(_ context.Context, db *sql.DB, _ int) (Task, error) {
		var id int
		var name, email string
		var score float64
		return Task{Do: func(ctx context.Context) error {
			result, err := db.QueryContext(ctx, query)
			if err != nil {
				return err
			}
			defer result.Close()
			n := 0
			for result.Next() {
				n++
				if err := result.Scan(&id, &name, &email, &score); err != nil {
					return err
				}
				if id != n {
					return fmt.Errorf("row %d has key %d", n, id)
				}
				if err := checkPerson(id, name, score); err != nil {
					return err
				}
			}
			if err := result.Err(); err != nil {
				return err
			}
			if n != rows {
				return fmt.Errorf("a result of %d rows had %d", rows, n)
			}
			return nil
		}}, nil
	}
}
