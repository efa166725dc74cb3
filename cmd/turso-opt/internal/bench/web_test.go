package bench

import (
	"context"
	"database/sql"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// Whatever way posts are written, none is lost and none is written twice: each
// counts for its user.
func TestPostings(t *testing.T) {
	server, w := embedded(t, Web)
	for name, c := range map[string]struct {
		side Side
		way  posting
	}{
		"base": {Base, inTx(baseBegins)}, "ours": {Ours, inTx(oursBegins)}, "batch": {grouped, inBatch},
	} {
		t.Run(name, func(t *testing.T) {
			const goroutines, each = 4, 5
			db := opened(t, c.side, server.Config, goroutines)
			before := posted(t, db, w)
			work := again(func(w World) Work {
				mixed := mixedWeb(c.way)(w)
				return func(ctx context.Context, db *sql.DB, worker int) (Task, error) {
					task, err := mixed(ctx, db, worker)
					v := &visitor{web: newWeb(w), db: db, rand: rand.New(rand.NewPCG(uint64(worker), 3))}
					task.Do = func(ctx context.Context) error { return c.way(ctx, v, v.author()) }
					return task, err
				}
			})
			if _, err := (Load{Goroutines: goroutines, Ops: each}).Run(t.Context(), db, work(w)); err != nil {
				t.Fatal(err)
			}
			after := posted(t, db, w)
			for i := range after {
				if after[i]-before[i] != goroutines*each {
					t.Errorf("%d posts are in, %d counted", after[0]-before[0], after[1]-before[1])
					break
				}
			}
		})
	}
}

// posted is how many posts there are, and how many users say to have written.
func posted(t *testing.T, db *sql.DB, w World) (n [2]int) {
	t.Helper()
	query := "SELECT (SELECT count(*) FROM " + w.table("posts") + "), (SELECT sum(written) FROM " + w.table("users") + ")"
	if err := db.QueryRowContext(t.Context(), query).Scan(&n[0], &n[1]); err != nil {
		t.Fatal(err)
	}
	return n
}

// A transaction begun by hand ends once, and gives its connection back.
func TestTransactionByHand(t *testing.T) {
	server, w := embedded(t, Web)
	db := opened(t, Base, server.Config, 1)
	before := posted(t, db, w)
	tx, err := baseBegins(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), newWeb(w).write, 1); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if tx.Commit() != sql.ErrTxDone || db.Stats().InUse != 0 {
		t.Errorf("a transaction that has ended goes on; %d connections are out", db.Stats().InUse)
	}
	if after := posted(t, db, w); after != before {
		t.Errorf("what was rolled back is in: %v, %v", before, after)
	}
}

// The mix is what the table of claims says, in statements.
func TestMix(t *testing.T) {
	server, w := embedded(t, Web)
	for _, side := range webSides {
		db := opened(t, side, server.Config, 2)
		const visits = 60
		s, err := Load{Goroutines: 2, Ops: visits}.Run(t.Context(), db, side.work(w))
		if err != nil || s.Ops <= 2*visits || s.Ops > 2*visits*3 || (s.Ops-2*visits)%2 != 0 {
			t.Errorf("%s: %d visits are %d statements, %v", side.Name, 2*visits, s.Ops, err)
		}
	}
	for _, wrong := range []struct {
		most  int
		query string
		want  string
	}{{5, "SELECT id FROM " + w.table("users"), "had 10 rows"}, {5, "SELECT id FROM " + w.table("users") + " WHERE id < 0", "had 0 rows"}} {
		v := &visitor{db: opened(t, Ours, server.Config, 1)}
		if err := v.rows(t.Context(), wrong.most, wrong.query); err == nil || !strings.Contains(err.Error(), wrong.want) {
			t.Errorf("%s: %v", wrong.query, err)
		}
	}
}

func TestZipf(t *testing.T) {
	const n, picks = 100, 200_000
	z := newZipf(n)
	r := rand.New(rand.NewPCG(1, 1))
	seen := make([]int, n+1)
	for range picks {
		seen[z.pick(r)]++
	}
	if seen[0] != 0 {
		t.Error("there is no number 0")
	}
	for _, k := range []int{2, 10, 100} {
		got, want := float64(seen[1])/float64(seen[k]), math.Pow(float64(k), zipfExponent)
		if math.Abs(got/want-1) > 0.15 {
			t.Errorf("number 1 comes %g times as often as number %d, want %g", got, k, want)
		}
	}
}
