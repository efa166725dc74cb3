package tursoopt_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
)

var errOwn = errors.New("the program's own error")

func TestRunTx(t *testing.T) {
	inModes(t, allModes, func(t *testing.T, e *env) {
		ctx := context.Background()
		db := e.open(t)
		db.SetMaxOpenConns(1) // a connection that is not given back blocks what follows
		mustExec(t, db, "CREATE TABLE t (a)")
		runs := 0
		insert := func(tx *sql.Tx) error {
			runs++
			_, err := tx.Exec("INSERT INTO t VALUES (1)")
			return err
		}
		count := func(name string, wantRuns int, wantRows int64) {
			t.Helper()
			if n := queryInt(t, db, "SELECT count(*) FROM t"); n != wantRows || runs != wantRuns {
				t.Errorf("%s: %d rows after %d runs, want %d after %d", name, n, runs, wantRows, wantRuns)
			}
			mustExec(t, db, "DELETE FROM t")
			runs = 0
		}
		if err := tursoopt.RunTx(ctx, db, tursoopt.TxOptions{}, insert); err != nil {
			t.Error(err)
		}
		count("committed", 1, 1)
		for _, opts := range []tursoopt.TxOptions{{Lock: tursoopt.TxDeferred}, {Pipelined: true}} {
			if err := tursoopt.RunTx(ctx, db, opts, insert); err != nil {
				t.Errorf("%+v: %v", opts, err)
			}
			count("committed", 1, 1)
		}

		// The program's own error comes back as it is.
		err := tursoopt.RunTx(ctx, db, tursoopt.TxOptions{}, func(tx *sql.Tx) error {
			return errors.Join(insert(tx), errOwn)
		})
		if !errors.Is(err, errOwn) {
			t.Errorf("fn's error: %v", err)
		}
		count("fn's error", 1, 0)

		// So does one of a statement that would fail again.
		err = tursoopt.RunTx(ctx, db, tursoopt.TxOptions{}, func(tx *sql.Tx) error {
			if err := insert(tx); err != nil {
				return err
			}
			_, err := tx.Exec("INSERT INTO nowhere VALUES (1)")
			return fmt.Errorf("wrapped: %w", err)
		})
		if err == nil || !strings.Contains(err.Error(), "nowhere") {
			t.Errorf("no such table: %v", err)
		}
		count("no such table", 1, 0)

		func() {
			defer func() {
				if x := recover(); x != errOwn {
					t.Errorf("recovered: %v", x)
				}
			}()
			_ = tursoopt.RunTx(ctx, db, tursoopt.TxOptions{}, func(tx *sql.Tx) error {
				if err := insert(tx); err != nil {
					t.Error(err)
				}
				panic(errOwn)
			})
		}()
		count("panic", 1, 0)

		// What t.FailNow does.
		var exiting sync.WaitGroup
		exiting.Go(func() {
			_ = tursoopt.RunTx(ctx, db, tursoopt.TxOptions{}, func(tx *sql.Tx) error {
				if err := insert(tx); err != nil {
					t.Error(err)
				}
				runtime.Goexit()
				return nil
			})
		})
		exiting.Wait()
		count("exit", 1, 0)

		canceled, cancel := context.WithCancel(ctx)
		cancel()
		if err := tursoopt.RunTx(canceled, db, tursoopt.TxOptions{}, insert); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled before: %v", err)
		}
		count("canceled before", 0, 0)
		canceled, cancel = context.WithCancel(ctx)
		err = tursoopt.RunTx(canceled, db, tursoopt.TxOptions{}, func(tx *sql.Tx) error {
			defer cancel()
			return insert(tx)
		})
		if err == nil || tursoopt.OutcomeUnknown(err) {
			t.Errorf("canceled before the end: %v", err)
		}
		// database/sql rolls back beside.
		await(t, "the connection is back", func() bool { return db.Stats().InUse == 0 })
		count("canceled before the end", 1, 0)
	})
}

func TestRunTxLock(t *testing.T) {
	e := newEnv(t, nativeModes[3])
	p := e.tapped(t)
	db := e.open(t)
	for _, c := range []struct {
		opts  tursoopt.TxOptions
		begin string
	}{
		{tursoopt.TxOptions{}, "BEGIN IMMEDIATE"},
		{tursoopt.TxOptions{Lock: tursoopt.TxDeferred}, "BEGIN"},
		{tursoopt.TxOptions{Lock: tursoopt.TxExclusive}, "BEGIN EXCLUSIVE"},
		{tursoopt.TxOptions{ReadOnly: true}, "BEGIN"},
	} {
		before := p.posts()
		err := tursoopt.RunTx(context.Background(), db, c.opts, func(tx *sql.Tx) error {
			return tx.QueryRow("SELECT 1").Scan(new(int))
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, begin := range []string{"BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"} {
			if p.mentions(before, begin) != (begin == c.begin) {
				t.Errorf("%+v: %s is sent, or not", c.opts, begin)
			}
		}
		if !p.mentions(before, "BEGIN") {
			t.Errorf("%+v: no BEGIN", c.opts)
		}
	}
	// A read-only transaction is one.
	err := tursoopt.RunTx(context.Background(), db, tursoopt.TxOptions{ReadOnly: true}, func(tx *sql.Tx) error {
		_, err := tx.Exec("CREATE TABLE t (a)")
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("a write: %v", err)
	}
}

// A mishap ends a transaction in its first run, in a way that proves that nothing
// of it was committed.
type mishap struct {
	name  string
	modes []mode
	opts  tursoopt.TxOptions
	// before is called before RunTx, within in the first run after the first
	// statement.
	before, within func(t testing.TB, e *env, p *tap, db *sql.DB)
	// begins: it happens to BEGIN, so that fn runs once.
	begins bool
}

// A cut of the request, or of the answer, that contains text.
func cutRequest(text string) func(testing.TB, *env, *tap, *sql.DB) {
	return func(t testing.TB, _ *env, p *tap, _ *sql.DB) { p.before(t, text).cut() }
}

func cutAnswer(text string) func(testing.TB, *env, *tap, *sql.DB) {
	return func(t testing.TB, _ *env, p *tap, _ *sql.DB) { p.after(t, text).cut() }
}

func mishaps() (all []mishap) {
	embedded := modesThat(func(m mode) bool { return !m.real })
	for _, l := range losses {
		all = append(all, mishap{name: l.name, modes: l.modes, within: func(t testing.TB, e *env, _ *tap, _ *sql.DB) { l.happen(t, e) }})
	}
	return append(all,
		mishap{name: "statement not seen", modes: nativeModes, within: cutRequest("VALUES (2")},
		mishap{name: "answer to a statement lost", modes: nativeModes, within: cutAnswer("VALUES (2")},
		mishap{name: "BEGIN not seen", modes: nativeModes, before: cutRequest("BEGIN IMMEDIATE"), begins: true},
		mishap{name: "answer to BEGIN lost", modes: nativeModes, before: cutAnswer("BEGIN IMMEDIATE"), begins: true},
		mishap{name: "BEGIN refused", modes: embedded, begins: true, before: func(t testing.TB, e *env, _ *tap, _ *sql.DB) {
			e.embedded.Inject(2, hranatest.Status(503, 0))
		}},
		mishap{name: "statement refused", modes: embedded, within: func(t testing.TB, e *env, _ *tap, _ *sql.DB) {
			e.embedded.Inject(1, hranatest.Status(429, 0))
		}},
		mishap{name: "busy", modes: nativeModes, opts: tursoopt.TxOptions{Lock: tursoopt.TxDeferred},
			// The first statement of a run has read: a write in between makes its
			// snapshot an old one.
			within: func(t testing.TB, _ *env, _ *tap, db *sql.DB) { mustExec(t, db, "INSERT INTO other VALUES (1)") }},
		mishap{name: "pipelined", modes: embedded, opts: tursoopt.TxOptions{Pipelined: true},
			within: func(t testing.TB, e *env, _ *tap, _ *sql.DB) { e.embedded.ForgetStreams() }},
	)
}

// Whatever happens before the COMMIT, the transaction is run again and committed
// exactly once.
func TestRunTxAgain(t *testing.T) {
	t.Parallel() // the lock of a lost stream costs 5 s
	for _, m := range mishaps() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			atOnce(t, m.modes, func(t *testing.T, e *env) {
				p := e.tapped(t)
				db := e.open(t)
				mustExec(t, db, "CREATE TABLE t (a, b)")
				mustExec(t, db, "CREATE TABLE other (a)")
				if m.before != nil {
					m.before(t, e, p, db)
				}
				runs := 0
				err := tursoopt.RunTx(context.Background(), db, m.opts, func(tx *sql.Tx) error {
					runs++
					first := "INSERT INTO t VALUES (1, ?) RETURNING a"
					if m.opts.Lock == tursoopt.TxDeferred {
						first = "SELECT count(*) + ? * 0 FROM t"
					}
					if err := tx.QueryRow(first, runs).Scan(new(int)); err != nil {
						return err
					}
					if runs == 1 && m.within != nil {
						m.within(t, e, p, db)
					}
					if _, err := tx.Exec("INSERT INTO t VALUES (2, ?)", runs); err != nil {
						return err
					}
					_, err := tx.Exec("INSERT INTO t VALUES (3, ?)", runs)
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				want := 2
				if m.begins {
					want = 1
				}
				rows := queryInt(t, db, "SELECT count(*) FROM t WHERE b = ?", runs)
				if all := queryInt(t, db, "SELECT count(*) FROM t"); runs != want || all != rows || rows < 2 || rows > 3 {
					t.Errorf("%d runs, %d rows, %d of them of the last run", runs, all, rows)
				}
			})
		})
	}
}

// sqld takes a transaction away that is older than 5 s when another writer waits.
func TestRunTxTakenAway(t *testing.T) {
	t.Parallel()
	atOnce(t, sqldModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		mustExec(t, db, "CREATE TABLE other (a)")
		runs := 0
		err := tursoopt.RunTx(context.Background(), db, tursoopt.TxOptions{}, func(tx *sql.Tx) error {
			if _, err := tx.Exec("INSERT INTO t VALUES (1)"); err != nil {
				return err
			}
			if runs++; runs == 1 {
				mustExec(t, db, "INSERT INTO other VALUES (1)") // waits, and takes it away
			}
			// An error that fn hides does not make a lost transaction a good one.
			_, _ = tx.Exec("INSERT INTO t VALUES (2)")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 2 || runs != 2 {
			t.Errorf("%d rows after %d runs", n, runs)
		}
	})
}

// A COMMIT without an answer has perhaps committed: nothing is run again.
func TestRunTxUnknown(t *testing.T) {
	t.Parallel()
	atOnce(t, nativeModes, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		for want, hold := range []func(testing.TB, string) *hold{p.before, p.after} {
			for _, pipelined := range []bool{false, true} {
				runs := 0
				hold(t, "COMMIT").cut()
				err := tursoopt.RunTx(context.Background(), db, tursoopt.TxOptions{Pipelined: pipelined}, func(tx *sql.Tx) error {
					runs++
					_, err := tx.Exec("INSERT INTO t VALUES (1)")
					return err
				})
				if !tursoopt.OutcomeUnknown(err) || tursoopt.Retryable(err) {
					t.Errorf("pipelined %v: %v", pipelined, err)
				}
				if e.embedded != nil {
					e.embedded.ForgetStreams()
				}
				if n := queryInt(t, db, "SELECT count(*) FROM t"); runs != 1 || n != int64(want) {
					t.Errorf("pipelined %v: %d rows after %d runs, want %d", pipelined, n, runs, want)
				}
				mustExec(t, db, "DELETE FROM t")
			}
		}
	})
}

// The caller's context bounds the end, too, which database/sql gives none.
func TestRunTxContextOfTheEnd(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		for _, c := range []struct {
			end       string
			pipelined bool
			fails     error
		}{{"COMMIT", false, nil}, {"COMMIT", true, nil}, {"ROLLBACK", false, errOwn}} {
			holds := make(chan *hold, 1)
			ctx, cancel := context.WithCancel(context.Background())
			returned := make(chan error)
			go func() {
				returned <- tursoopt.RunTx(ctx, db, tursoopt.TxOptions{Pipelined: c.pipelined}, func(tx *sql.Tx) error {
					if _, err := tx.Exec("INSERT INTO t VALUES (1)"); err != nil {
						return err
					}
					holds <- p.before(t, c.end)
					return c.fails
				})
			}()
			h := <-holds
			<-h.reached
			cancel()
			err := <-returned // while the server has not seen it
			if c.fails != nil {
				if err != c.fails {
					t.Errorf("%s: %v", c.end, err)
				}
			} else if !errors.Is(err, context.Canceled) || !tursoopt.OutcomeUnknown(err) {
				t.Errorf("%s: %v", c.end, err)
			}
			h.release()
			await(t, "the connection is back", func() bool { return db.Stats().InUse == 0 })
			mustExec(t, db, "DELETE FROM t") // behind it: a write waits for its lock
		}
	})
}

// No wait goes beyond the deadline, or beyond what a server may ask for.
func TestRunTxWaits(t *testing.T) {
	e := newEnv(t, nativeModes[3])
	db := e.open(t)
	mustExec(t, db, "CREATE TABLE t (a)")
	for _, c := range []struct{ deadline, asked time.Duration }{{5 * time.Second, 10 * time.Second}, {0, time.Hour}} {
		runs := 0
		ctx := context.Background()
		if c.deadline > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, c.deadline)
			defer cancel()
		}
		err := tursoopt.RunTx(ctx, db, tursoopt.TxOptions{}, func(tx *sql.Tx) error {
			runs++
			e.embedded.Inject(-1, hranatest.Status(429, c.asked))
			defer e.embedded.ForgetStreams() // and the lock with them
			defer e.embedded.Behave()
			_, err := tx.Exec("INSERT INTO t VALUES (1)")
			return err
		})
		if err == nil || !tursoopt.Retryable(err) || runs != 1 || ctx.Err() != nil {
			t.Errorf("%+v: %v after %d runs, the context: %v", c, err, runs, ctx.Err())
		}
	}
	if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func TestRunTxGivesUp(t *testing.T) {
	bubble(t, &calmBase{}, tursoopt.Config{}, func(d tuned) {
		for _, within := range []time.Duration{0, 500 * time.Millisecond} {
			ctx, runs, start := context.Background(), 0, time.Now()
			if within > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, within)
				defer cancel()
			}
			var gaps []time.Duration
			last := start
			err := tursoopt.RunTx(ctx, d, tursoopt.TxOptions{Lock: tursoopt.TxDeferred}, func(*sql.Tx) error {
				runs++
				gaps, last = append(gaps, time.Since(last)), time.Now()
				return fmt.Errorf("it hopes: %w", driver.ErrBadConn)
			})
			took := time.Since(start)
			switch {
			case !errors.Is(err, driver.ErrBadConn):
				d.Error(err)
			case within > 0 && (took > within || runs < 2 || runs >= tursoopt.MaxTxTries):
				d.Errorf("within %v: %d runs in %v", within, runs, took)
			case within == 0 && (runs != tursoopt.MaxTxTries || !strings.Contains(err.Error(), "10 times")):
				d.Errorf("%d runs: %v", runs, err)
			}
			for _, gap := range gaps[1:] {
				if gap <= 0 || gap > 3*time.Second {
					d.Errorf("it waits %v", gaps)
				}
			}
		}
	})
}

// A ledger of transactions under a server that is killed again and again: what was
// acknowledged is there once, what failed is not, and of what is unknown at most
// one.
func TestRunTxLedger(t *testing.T) {
	t.Parallel()
	atOnce(t, sqldModes[2:], func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE ledger (id INTEGER PRIMARY KEY, part INTEGER)")
		mustExec(t, db, "CREATE TABLE parts (id INTEGER, part INTEGER)")
		const writers, kills = 6, 5
		verdicts := make([]map[int]error, writers)
		done := make(chan struct{})
		var all sync.WaitGroup
		for w := range writers {
			verdicts[w] = map[int]error{}
			all.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-done:
						return
					default:
					}
					id := n*writers + w
					ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
					verdicts[w][id] = tursoopt.RunTx(ctx, db, tursoopt.TxOptions{Pipelined: n%2 == 1}, func(tx *sql.Tx) error {
						if _, err := tx.Exec("INSERT INTO ledger VALUES (?, 0)", id); err != nil {
							return err
						}
						for part := range 2 {
							if _, err := tx.Exec("INSERT INTO parts VALUES (?, ?)", id, part); err != nil {
								return err
							}
						}
						return nil
					})
					cancel()
				}
			})
		}
		for range kills {
			time.Sleep(200*time.Millisecond + rand.N(200*time.Millisecond)) // how far they get is chance
			restart(t, e)
		}
		time.Sleep(300 * time.Millisecond)
		close(done)
		all.Wait()
		acked, failed, unknown := 0, 0, 0
		for _, v := range verdicts {
			for id, err := range v {
				there := queryInt(t, db, "SELECT count(*) FROM ledger WHERE id = ?", id)
				parts := queryInt(t, db, "SELECT count(*) FROM parts WHERE id = ?", id)
				switch {
				case parts != 2*there:
					t.Errorf("%d: %d parts of %d", id, parts, there)
				case err == nil && there != 1:
					t.Errorf("%d was acknowledged and is there %d times", id, there)
				case err != nil && !tursoopt.OutcomeUnknown(err) && there != 0:
					t.Errorf("%d failed (%v) and is there", id, err)
				}
				switch {
				case err == nil:
					acked++
				case tursoopt.OutcomeUnknown(err):
					unknown++
				default:
					failed++
					t.Logf("%d: %v", id, err)
				}
			}
		}
		t.Logf("%d acknowledged, %d unknown, %d failed", acked, unknown, failed)
		if acked == 0 || unknown > writers*kills {
			t.Error("this ledger proves nothing")
		}
	})
}

// However many transactions fail because of trouble, those that are run again are a
// tenth of them and the reserve of ten, all callers together. What is no trouble is not
// held against anybody.
func TestRunTxStaysWithinItsBudget(t *testing.T) {
	const callers = 100
	e := newEnv(t, mode{name: "embedded sqld", native: true})
	j, m := openTroubled(t, e, func(*tursoopt.Config) {})
	run := func(failed func()) error {
		return tursoopt.RunTx(context.Background(), j.db, tursoopt.TxOptions{}, func(tx *sql.Tx) error {
			_, err := tx.Exec("INSERT INTO t VALUES (1)")
			if err != nil {
				failed()
			}
			return err
		})
	}
	before := stats(t, j.db).Requests.RetriesWithheld
	m.as(&troublemaker{answer: abort})
	m.strike("BEGIN IMMEDIATE", -1)
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			if err := run(func() {}); !tursoopt.Retryable(err) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	sent, most := m.stop(), callers+callers/10+10
	if n := stats(t, j.db).Requests.RetriesWithheld - before; sent > most || sent < callers+10 || n == 0 {
		t.Errorf("%d transactions that fail are begun %d times, want %d at most; %d were withheld", callers, sent, most, n)
	}
	m.as(refusedBaton(400, "text/plain", "Received an invalid baton: the stream is unknown"))
	m.strike("INSERT INTO t", 1)
	if err := run(e.embedded.ForgetStreams); err != nil {
		t.Errorf("a transaction that the server has dropped is not run again: %v", err)
	}
	if n := m.stop(); n != 2 || queryInt(t, j.db, "SELECT count(*) FROM t") != 1 {
		t.Errorf("it is run %d times", n)
	}
}
