package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"

	tursoopt "github.com/turso-opt/turso-opt"
)

// Sizes of the tables of the mixed web workload.
const (
	webUsers = 1_000
	webPosts = 10_000
)

// Web makes the tables of the mixed web workload: users, and posts of theirs.
func Web(w World) []string {
	users, posts := w.table("users"), w.table("posts")
	nUsers, nPosts := w.rows(webUsers), w.rows(webPosts)
	return []string{
		"CREATE TABLE " + users + " (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL, written INTEGER NOT NULL)",
		"CREATE TABLE " + posts + " (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES " + users + ", title TEXT NOT NULL, " +
			"body TEXT NOT NULL, likes INTEGER NOT NULL)",
		"CREATE INDEX " + posts + "_of ON " + posts + " (user_id)",
		"INSERT INTO " + users + " SELECT i, 'person '||i, 'person'||i||'@example.com', 0 FROM (" + numbers(nUsers) + ")",
		fmt.Sprintf("INSERT INTO %s SELECT i, 1 + i %% %d, 'post '||i, printf('%%.*c', 200, 'x'), 0 FROM (%s)", posts, nUsers, numbers(nPosts)),
	}
}

// numbers is a SELECT of those from 1 to n, as i.
func numbers(n int) string {
	return fmt.Sprintf("WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %d) SELECT i FROM c", n)
}

// web is the mixed web workload.
type web struct {
	users, posts zipf
	everybody    int // how many users there are

	user, post, feed, total, latest string
	like, write, wrote, wroteOne    string
}

func newWeb(w World) *web {
	users, posts := w.table("users"), w.table("posts")
	return &web{
		users: newZipf(w.rows(webUsers)), posts: newZipf(w.rows(webPosts)), everybody: w.rows(webUsers),
		user: "SELECT name, written FROM " + users + " WHERE id = ?",
		post: "SELECT title, body, likes FROM " + posts + " WHERE id = ?",
		feed: "SELECT p.id, p.title, p.likes, u.name FROM " + posts + " p JOIN " + users + " u ON u.id = p.user_id " +
			"WHERE p.user_id = ? ORDER BY p.id DESC LIMIT 20",
		total:    "SELECT count(*), sum(likes), max(id) FROM " + posts + " WHERE user_id = ?",
		latest:   "SELECT id, title, likes FROM " + posts + " ORDER BY id DESC LIMIT 100",
		like:     "UPDATE " + posts + " SET likes = likes + 1 WHERE id = ?",
		write:    "INSERT INTO " + posts + " (user_id, title, body, likes) VALUES (?, 'a new post', 'not much', 0)",
		wrote:    "UPDATE " + users + " SET written = ? WHERE id = ?",
		wroteOne: "UPDATE " + users + " SET written = written + 1 WHERE id = ?",
	}
}

// A posting is how a transaction is run that reads how many posts a user has
// written, and writes one more.
type posting func(ctx context.Context, v *visitor, user int) error

// inTx posts statement by statement, in a transaction that begins runs. It is to
// take the lock at once: a transaction that reads first and then writes fails if
// anybody has written in between.
func inTx(begins func(ctx context.Context, db *sql.DB) (transaction, error)) posting {
	return func(ctx context.Context, v *visitor, user int) error {
		tx, err := begins(ctx, v.db)
		if err != nil {
			return err
		}
		defer tx.Rollback() // does nothing after Commit
		var name string
		var written int
		if err := tx.QueryRowContext(ctx, v.user, user).Scan(&name, &written); err != nil {
			return err
		}
		if err := v.change(ctx, tx, v.wrote, written+1, user); err != nil {
			return err
		}
		if err := v.change(ctx, tx, v.write, user); err != nil {
			return err
		}
		return tx.Commit()
	}
}

// A transaction is a *sql.Tx, or does as one.
type transaction interface {
	execer
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	Commit() error
	Rollback() error
}

// oursBegins begins with an option that this driver has.
func oursBegins(ctx context.Context, db *sql.DB) (transaction, error) {
	return tursoopt.BeginTx(ctx, db, tursoopt.TxOptions{Lock: tursoopt.TxImmediate})
}

// baseBegins begins by hand, since libsql-client-go knows one BEGIN only.
func baseBegins(ctx context.Context, db *sql.DB) (transaction, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	t := &byHand{Conn: conn, ctx: ctx}
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return t, nil
}

// byHand is a transaction begun by a statement.
type byHand struct {
	*sql.Conn
	ctx  context.Context
	done bool
}

func (t *byHand) end(text string) error {
	if t.done {
		return sql.ErrTxDone
	}
	t.done = true
	_, err := t.ExecContext(t.ctx, text)
	return errors.Join(err, t.Close())
}

func (t *byHand) Commit() error   { return t.end("COMMIT") }
func (t *byHand) Rollback() error { return t.end("ROLLBACK") }

// inBatch posts in one round trip. What it writes cannot depend on what it has
// read, so the server adds up.
func inBatch(ctx context.Context, v *visitor, user int) error {
	b := &tursoopt.Batch{}
	b.Queue(v.user, user)
	b.Queue(v.wroteOne, user)
	b.Queue(v.write, user)
	res, err := tursoopt.SendBatch(ctx, v.db, b)
	if err != nil {
		return err
	}
	defer res.Close()
	var name string
	var written int
	if err := res.QueryRow().Scan(&name, &written); err != nil {
		return err
	}
	for range 2 {
		r, err := res.Exec()
		if err != nil {
			return err
		}
		if err := changedOne(r); err != nil {
			return err
		}
	}
	return res.Close()
}

// mixedWeb is the workload with its transactions run in this way: 60 % reads by
// key, 15 % joins, 5 % aggregates, 12 % updates and inserts, 5 % transactions and
// 3 % lists. An operation is a statement; BEGIN and COMMIT count for none.
func mixedWeb(posts posting) func(w World) Work {
	return func(w World) Work {
		web := newWeb(w)
		return func(_ context.Context, db *sql.DB, worker int) (Task, error) {
			v := &visitor{web: web, db: db, rand: rand.New(rand.NewPCG(uint64(worker), 2)), posting: posts}
			return Task{Do: v.visit, Did: func() int { return v.did }}, nil
		}
	}
}

// A visitor is one goroutine.
type visitor struct {
	*web
	db      *sql.DB
	rand    *rand.Rand
	posting posting
	did     int
}

func (v *visitor) visit(ctx context.Context) error {
	statements := 1
	var err error
	switch n := v.rand.IntN(100); {
	case n < 30:
		err = v.readUser(ctx)
	case n < 60:
		err = v.readPost(ctx)
	case n < 75:
		err = v.rows(ctx, 20, v.feed, v.users.pick(v.rand))
	case n < 80:
		err = v.rows(ctx, 1, v.total, v.users.pick(v.rand))
	case n < 88:
		err = v.change(ctx, v.db, v.like, v.posts.pick(v.rand))
	case n < 92:
		err = v.change(ctx, v.db, v.write, v.author())
	case n < 97:
		statements = 3
		err = v.posting(ctx, v, v.author())
	default:
		err = v.rows(ctx, 100, v.latest)
	}
	if err == nil {
		v.did += statements
	}
	return err
}

// author writes a post. All do so as often, so that nobody's list gets long.
func (v *visitor) author() int { return 1 + v.rand.IntN(v.everybody) }

func (v *visitor) readUser(ctx context.Context) error {
	id := v.users.pick(v.rand)
	var name string
	var written int
	if err := v.db.QueryRowContext(ctx, v.user, id).Scan(&name, &written); err != nil {
		return err
	}
	return checkPerson(id, name, float64(id)*0.5)
}

func (v *visitor) readPost(ctx context.Context) error {
	id := v.posts.pick(v.rand)
	var title, body string
	var likes int
	if err := v.db.QueryRowContext(ctx, v.post, id).Scan(&title, &body, &likes); err != nil {
		return err
	}
	if want := fmt.Sprintf("post %d", id); title != want {
		return fmt.Errorf("%s came back as %q", want, title)
	}
	return nil
}

// rows reads a list, of which it knows how long it may be.
func (v *visitor) rows(ctx context.Context, most int, query string, args ...any) error {
	rows, err := v.db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	cols, err := rows.Columns()
	if err != nil {
		return err
	}
	values, into := make([]any, len(cols)), make([]any, len(cols))
	for i := range values {
		into[i] = &values[i]
	}
	n := 0
	for ; rows.Next(); n++ {
		if err := rows.Scan(into...); err != nil {
			return err
		}
	}
	if n == 0 || n > most {
		return errors.Join(rows.Err(), fmt.Errorf("a list of at most %d had %d rows", most, n))
	}
	return rows.Err()
}

// execer is a database or a transaction.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func (v *visitor) change(ctx context.Context, in execer, query string, args ...any) error {
	res, err := in.ExecContext(ctx, query, args...)
	if err != nil {
		return err
	}
	return changedOne(res)
}
