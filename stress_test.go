package tursoopt_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
)

// stressTime is how long the stress test runs: TURSO_OPT_SOAK if it is set, as
// make soak does.
func stressTime(t *testing.T) time.Duration {
	t.Helper()
	switch soak := os.Getenv("TURSO_OPT_SOAK"); {
	case soak != "":
		d, err := time.ParseDuration(soak)
		if err != nil {
			t.Fatalf("TURSO_OPT_SOAK: %v", err)
		}
		return d
	case testing.Short():
		return 3 * time.Second
	}
	return 30 * time.Second
}

const (
	stressCallers = 256
	stressRows    = 500
)

// stress is what the callers share.
type stress struct {
	t  *testing.T
	db *sql.DB
	// faulty: the server is being killed, so that errors which say so are no
	// surprise.
	faulty atomic.Bool
	ledger *ledger
	next   atomic.Int64
	calls  [16]atomic.Int64
	wrong  atomic.Int64
}

func (s *stress) errorf(format string, args ...any) {
	if s.wrong.Add(1) < 20 {
		s.t.Errorf(format, args...)
	}
}

// callers run until ctx ends.
func (s *stress) run(ctx context.Context) {
	var wg sync.WaitGroup
	for who := range stressCallers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(who), 1))
			for ctx.Err() == nil {
				s.call(r, who)
			}
		})
	}
	wg.Wait()
}

// call makes one call of the mix, some of them with little time.
func (s *stress) call(r *rand.Rand, who int) {
	// Whatever a call waits for, it does not wait for ever.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	hurried := r.IntN(12) == 0
	if hurried {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(r.IntN(5000))*time.Microsecond)
		defer cancel()
	}
	kind := r.IntN(100)
	id := r.IntN(stressRows) + 1
	var err error
	what := 0
	switch {
	case kind < 45: // a point read
		what, err = 0, s.read(ctx, id, "SELECT id, name FROM item WHERE id = ?", id)
	case kind < 52: // a text that nobody has run before
		what, err = 1, s.read(ctx, id, fmt.Sprintf("SELECT id, name FROM item WHERE id = %d -- %d", id, s.next.Add(1)))
	case kind < 55: // a list
		what, err = 2, s.list(ctx, r.IntN(200))
	case kind < 56: // slow
		what = 3
		var n int
		if err = s.db.QueryRowContext(ctx, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < ?) SELECT count(*) FROM c", 1+r.IntN(100_000)).Scan(&n); err == nil && n == 0 {
			s.errorf("a count of 0")
		}
	case kind < 58: // large
		what = 4
		var b []byte
		n := 1 + r.IntN(400_000)
		if err = s.db.QueryRowContext(ctx, "SELECT zeroblob(?)", n).Scan(&b); err == nil && len(b) != n {
			s.errorf("a blob of %d bytes, want %d", len(b), n)
		}
	case kind < 60: // an error of its own
		what = 5
		var e *tursoopt.Error
		if err = s.db.QueryRowContext(ctx, "SELECT abs(?)", int64(-1<<63)).Scan(new(any)); err == nil {
			s.errorf("no overflow")
		} else if errors.As(err, &e) && strings.Contains(e.Message, "overflow") {
			err = nil
		}
	case kind < 62: // one that cannot be read
		what = 6
		var e *tursoopt.Error
		if err = s.db.QueryRowContext(ctx, fmt.Sprintf("SELECT %d FROM WHERE", id)).Scan(new(any)); err == nil {
			s.errorf("no syntax error")
		} else if errors.As(err, &e) && strings.Contains(e.Message, "syntax error") {
			err = nil
		}
	case kind < 77: // a write
		what = 7
		n := int(s.next.Add(1))
		_, err = s.db.ExecContext(ctx, "INSERT INTO ledger (id, amount) VALUES (?, ?)", n, 100+who)
		s.ledger.note(n, err)
	case kind < 85: // another
		what = 8
		var res sql.Result
		if res, err = s.db.ExecContext(ctx, "UPDATE item SET hits = hits + 1 WHERE id = ?", id); err == nil {
			if n, _ := res.RowsAffected(); n != 1 {
				s.errorf("an update of %d rows", n)
			}
		}
	case kind < 86: // a write that fails
		what = 9
		amount := -1
		if r.IntN(2) == 0 {
			amount = 13 // which takes the transaction of all down with it
		}
		_, err = s.db.ExecContext(ctx, "INSERT INTO ledger (id, amount) VALUES (?, ?)", -1, amount)
		var e *tursoopt.Error
		if err == nil {
			s.errorf("no constraint")
		} else if errors.As(err, &e) && e.Code == 19 {
			err = nil
		}
	case kind < 93: // a transaction
		what = 10
		n := int(s.next.Add(1))
		var ended bool
		ended, err = s.transaction(ctx, n, id, r.IntN(4) == 0)
		switch {
		case ended:
			s.ledger.note(n, err)
		default:
			// Whatever is not known of a statement, without a COMMIT it is not in.
			s.ledger.note(n, errNotCommitted)
		}
	case kind < 97: // a batch
		what = 11
		n := int(s.next.Add(1))
		err = s.batch(ctx, n, id)
		s.ledger.note(n, err)
	default: // a connection that is held
		what, err = 12, s.held(ctx, id)
	}
	s.calls[what].Add(1)
	s.judge(what, err, hurried)
}

// judge says whether an error may be.
func (s *stress) judge(what int, err error, hurried bool) {
	switch {
	case err == nil:
	case errors.Is(err, tursoopt.ErrTxLost) && !tursoopt.OutcomeUnknown(err):
		// Another writer has waited for it for five seconds: the machine is slow.
	case hurried && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, sql.ErrTxDone)):
	case s.faulty.Load() && (tursoopt.Retryable(err) || tursoopt.OutcomeUnknown(err) || errors.Is(err, tursoopt.ErrSessionLost)):
	default:
		s.errorf("call %d: %v (hurried %v)", what, err, hurried)
	}
}

func (s *stress) read(ctx context.Context, id int, query string, args ...any) error {
	var got int
	var name string
	err := s.db.QueryRowContext(ctx, query, args...).Scan(&got, &name)
	if err == nil && (got != id || name != fmt.Sprint("item ", id)) {
		s.errorf("%s gave %d, %q, want %d", query, got, name, id)
	}
	return err
}

func (s *stress) list(ctx context.Context, n int) error {
	rows, err := s.db.QueryContext(ctx, "SELECT id, name FROM item ORDER BY id LIMIT ?", n)
	if err != nil {
		return err
	}
	defer rows.Close()
	at := 0
	for rows.Next() {
		var id int
		var name string
		if err := rows.Scan(&id, &name); err != nil {
			return err
		}
		if at++; id != at || name != fmt.Sprint("item ", id) {
			s.errorf("row %d is %d, %q", at, id, name)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if at != n {
		s.errorf("%d rows, want %d", at, n)
	}
	return nil
}

var errNotCommitted = errors.New("the transaction was not committed")

// transaction writes n; committed tells whether it has got as far as its COMMIT.
func (s *stress) transaction(ctx context.Context, n, id int, undo bool) (committed bool, err error) {
	opts := tursoopt.TxOptions{Pipelined: n%3 == 0, Lock: tursoopt.TxLock(n % 3)}
	tx, err := tursoopt.BeginTx(ctx, s.db, opts)
	if err != nil {
		return false, err
	}
	defer tx.Rollback()
	if opts.Lock == tursoopt.TxImmediate {
		// A deferred one that has read may find its snapshot too old to write.
		var got int
		if err := tx.QueryRowContext(ctx, "SELECT id FROM item WHERE id = ?", id).Scan(&got); err != nil {
			return false, err
		} else if got != id {
			s.errorf("in a transaction %d was read, want %d", got, id)
		}
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO ledger (id, amount) VALUES (?, ?)", n, 100+id); err != nil {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE item SET hits = hits + 1 WHERE id = ?", id); err != nil {
		return false, err
	}
	if undo {
		if err := tx.Rollback(); err != nil {
			return false, err
		}
		return false, nil
	}
	return true, tx.Commit()
}

func (s *stress) batch(ctx context.Context, n, id int) error {
	b := &tursoopt.Batch{}
	b.Queue("INSERT INTO ledger (id, amount) VALUES (?, ?)", n, 100+id)
	b.Queue("SELECT id, name FROM item WHERE id = ?", id)
	results, err := tursoopt.SendBatch(ctx, s.db, b)
	if err != nil {
		return err
	}
	if _, err := results.Exec(); err != nil {
		results.Close()
		return err
	}
	rows, err := results.Query()
	if err != nil {
		results.Close()
		return err
	}
	for rows.Next() {
		var got int
		var name string
		if err := rows.Scan(&got, &name); err != nil || got != id {
			s.errorf("a batch gave %d, %v, want %d", got, err, id)
		}
	}
	return results.Close()
}

func (s *stress) held(ctx context.Context, id int) error {
	c, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	for range 2 {
		var got int
		if err := c.QueryRowContext(ctx, "SELECT id FROM item WHERE id = ?", id).Scan(&got); err != nil {
			return err
		} else if got != id {
			s.errorf("on a held connection %d was read, want %d", got, id)
		}
	}
	n := int(s.next.Add(1))
	res, err := c.ExecContext(ctx, "INSERT INTO ledger (id, amount) VALUES (?, ?)", n, 100+id)
	s.ledger.note(n, err)
	if err != nil {
		return err
	}
	rowid, _ := res.LastInsertId()
	var last, count int64
	if err := c.QueryRowContext(ctx, "SELECT last_insert_rowid(), changes()").Scan(&last, &count); err != nil {
		return err
	}
	if last != rowid || count != 1 {
		s.errorf("a held connection's last row id is %d and changes %d, want %d and 1", last, count, rowid)
	}
	return nil
}

// 256 callers make every kind of call at once, some with hardly any time, and from
// time to time the server is killed: nobody gets what is another's, nobody waits
// for ever, the ledger is right, and nothing is left behind.
func TestStress(t *testing.T) {
	t.Parallel()
	e := newEnv(t, mode{name: "sqld", native: true, real: true})
	l := openLedger(t, e)
	db := e.open(t, "group_commit=on")
	mustExec(t, db, "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, hits INTEGER)")
	mustExec(t, db, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < ?) INSERT INTO item SELECT x, 'item ' || x, 0 FROM c", stressRows)
	s := &stress{t: t, db: db, ledger: l}
	total := stressTime(t)

	quiet, cancel := context.WithTimeout(context.Background(), total/2)
	defer cancel()
	s.run(quiet)
	st, _ := tursoopt.StatsOf(db)
	t.Logf("without faults: %d acknowledged, %d failed, %d unknown; %+v", l.acked, l.failed, l.unknown, st.Lanes)

	s.faulty.Store(true)
	rough, cancel := context.WithTimeout(context.Background(), total/2)
	defer cancel()
	kills := make(chan struct{})
	go func() {
		defer close(kills)
		for {
			select {
			case <-rough.Done():
				return
			case <-time.After(max(total/8, time.Second)):
			}
			e.sqld.Kill()
			if err := e.sqld.Restart(); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	s.run(rough)
	<-kills
	st, _ = tursoopt.StatsOf(db)
	var calls []int64
	for i := range s.calls {
		calls = append(calls, s.calls[i].Load())
	}
	t.Logf("calls %v; with faults: %d acknowledged, %d failed, %d unknown; %+v", calls, l.acked, l.failed, l.unknown, st.Lanes)
	for i := range 13 {
		if calls[i] == 0 {
			t.Errorf("no call of kind %d was made", i)
		}
	}
	awaitLanes(t, db, "nobody waits and nobody writes", func(s tursoopt.Stats) bool { return s.Lanes.Writing == 0 && s.Lanes.Waiting == 0 })
	l.audit(t, e.open(t))
}
