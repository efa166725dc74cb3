package tursoopt_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/netem"
)

// A sender is a way to have the server execute something that mentions MARK.
type sender struct {
	name   string
	writes bool
	// prepare makes what the call runs on.
	send func(ctx context.Context, db *sql.DB, c *sql.Conn) error
}

var senders = []sender{
	{"exec", true, func(ctx context.Context, db *sql.DB, _ *sql.Conn) error {
		_, err := db.ExecContext(ctx, "INSERT INTO t VALUES ('MARK')")
		return err
	}},
	{"query", false, func(ctx context.Context, db *sql.DB, _ *sql.Conn) error {
		return db.QueryRowContext(ctx, "SELECT 'MARK'").Scan(new(string))
	}},
	{"returning", true, func(ctx context.Context, db *sql.DB, _ *sql.Conn) error {
		return db.QueryRowContext(ctx, "INSERT INTO t VALUES ('MARK') RETURNING a").Scan(new(string))
	}},
	{"script", true, func(ctx context.Context, db *sql.DB, _ *sql.Conn) error {
		_, err := db.ExecContext(ctx, "INSERT INTO t VALUES ('MARK'); SELECT 1")
		return err
	}},
	{"exec on a held connection", true, func(ctx context.Context, _ *sql.DB, c *sql.Conn) error {
		_, err := c.ExecContext(ctx, "INSERT INTO t VALUES ('MARK')")
		return err
	}},
	{"query on a held connection", false, func(ctx context.Context, _ *sql.DB, c *sql.Conn) error {
		return c.QueryRowContext(ctx, "SELECT 'MARK'").Scan(new(string))
	}},
	{"prepared", true, func(ctx context.Context, db *sql.DB, _ *sql.Conn) error {
		s, err := db.PrepareContext(context.Background(), "INSERT INTO t VALUES (?)")
		if err != nil {
			return err
		}
		defer s.Close()
		_, err = s.ExecContext(ctx, "MARK")
		return err
	}},
}

func marked(t testing.TB, db *sql.DB) int64 {
	t.Helper()
	return queryInt(t, db, "SELECT count(*) FROM t WHERE a = 'MA' || 'RK'")
}

// expiring is a context whose deadline passes when it is cancelled.
type expiring struct{ context.Context }

func (c expiring) Err() error {
	if c.Context.Err() == nil {
		return nil
	}
	return context.DeadlineExceeded
}

// wantCtxError holds an error against what a context's end must give.
func wantCtxError(t testing.TB, name string, err, ctxErr error, sent bool) {
	t.Helper()
	if !errors.Is(err, ctxErr) || tursoopt.OutcomeUnknown(err) != sent || tursoopt.Retryable(err) {
		t.Errorf("%s: %v: is %v %v, outcome unknown %v, retryable %v", name, err, ctxErr,
			errors.Is(err, ctxErr), tursoopt.OutcomeUnknown(err), tursoopt.Retryable(err))
	}
}

// A context that has ended sends nothing.
func TestContextBefore(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		c := conn(t, db)
		mustExec(t, c, "SELECT 1")
		tx := begin(t, db, tursoopt.TxOptions{})
		mustExec(t, tx, "INSERT INTO t VALUES (1)")
		canceled, cancel := context.WithCancel(context.Background())
		cancel()
		late, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
		defer cancel()
		cost := p.costs(func() {
			for _, ctx := range []context.Context{canceled, late} {
				for _, s := range senders {
					wantCtxError(t, s.name, s.send(ctx, db, c), ctx.Err(), false)
				}
				_, err := tx.ExecContext(ctx, "INSERT INTO t VALUES ('MARK')")
				wantCtxError(t, "in a transaction", err, ctx.Err(), false)
				_, err = db.BeginTx(ctx, nil)
				wantCtxError(t, "begin", err, ctx.Err(), false)
				wantCtxError(t, "ping", db.PingContext(ctx), ctx.Err(), false)
			}
		})
		if cost != 0 {
			t.Errorf("%d requests", cost)
		}
		if err := tx.Commit(); err != nil {
			t.Errorf("the transaction goes on: %v", err)
		}
		if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}

// A context that ends after the send gives the caller back at once. A write goes
// on: nothing cancels it, and it is not sent again.
func TestContextAfterSend(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		for _, s := range senders {
			for _, deadline := range []bool{false, true} {
				c := conn(t, db)
				mustExec(t, c, "SELECT 1")
				n := marked(t, db)
				h := p.before(t, "MARK")
				ctx, cancel := context.WithCancel(context.Background())
				if deadline {
					ctx = expiring{ctx}
				}
				returned := make(chan error)
				go func() { returned <- s.send(ctx, db, c) }()
				<-h.reached
				cancel()
				wantCtxError(t, s.name, <-returned, ctx.Err(), true)
				if s.writes {
					select {
					case <-h.left:
						t.Errorf("%s: its connection was closed", s.name)
					default:
					}
					if got := marked(t, db); got != n {
						t.Errorf("%s: it was sent twice", s.name)
					}
				}
				if !s.writes {
					<-h.left // a read that nobody waits for is cut off
				}
				h.release()
				if s.writes {
					await(t, "the write", func() bool { return marked(t, db) == n+1 })
				}
				// Without a setting or a transaction the connection is as good as new.
				queryInt(t, c, "SELECT 1")
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// In a transaction a statement that nobody waited for ends it: what it did is
// not known.
func TestContextInTx(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		for _, first := range []bool{true, false} {
			for _, text := range []string{"INSERT INTO t VALUES ('MARK')", "SELECT 'MARK'", "INSERT INTO t VALUES ('MARK'); SELECT 1"} {
				tx := begin(t, db, tursoopt.TxOptions{})
				if !first {
					mustExec(t, tx, "INSERT INTO t VALUES (1)")
				}
				h := p.before(t, "MARK")
				ctx, cancel := context.WithCancel(context.Background())
				returned := make(chan error)
				go func() { _, err := tx.ExecContext(ctx, text); returned <- err }()
				<-h.reached
				cancel()
				wantCtxError(t, text, <-returned, context.Canceled, true)
				_, err := tx.Exec("INSERT INTO t VALUES (2)")
				if !errors.Is(err, tursoopt.ErrTxLost) {
					t.Errorf("%s: the next statement: %v", text, err)
				}
				if err := tx.Commit(); !errors.Is(err, tursoopt.ErrTxLost) {
					t.Errorf("%s: commit: %v", text, err)
				}
				if n := db.Stats().OpenConnections; n != 0 {
					t.Errorf("%s: the connection is kept", text)
				}
				h.release()
				// When the server has answered the stream is closed, and its lock gone.
				mustExec(t, db, "INSERT INTO t VALUES ('after')")
				if n := queryInt(t, db, "SELECT count(*) FROM t WHERE a <> 'after'"); n != 0 {
					t.Errorf("%s: %d rows are there", text, n)
				}
			}
		}
	})
}

// When the context of a transaction ends, database/sql rolls it back by itself.
func TestContextOfTx(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		ctx, cancel := context.WithCancel(context.Background())
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, tx, "INSERT INTO t VALUES (1)")
		cancel()
		await(t, "the rollback", func() bool { return db.Stats().InUse == 0 })
		if n := db.Stats().OpenConnections; n != 1 {
			t.Errorf("%d connections: it was rolled back, and could be kept", n)
		}
		if err := tx.Commit(); err == nil {
			t.Error("the commit succeeded")
		}
		// The same while a statement is on its way: nobody knows what it leaves.
		ctx, cancel = context.WithCancel(context.Background())
		if tx, err = db.BeginTx(ctx, nil); err != nil {
			t.Fatal(err)
		}
		h := p.before(t, "MARK")
		returned := make(chan error)
		go func() { _, err := tx.ExecContext(ctx, "INSERT INTO t VALUES ('MARK')"); returned <- err }()
		<-h.reached
		cancel()
		wantCtxError(t, "the statement", <-returned, context.Canceled, true)
		await(t, "the rollback", func() bool { return db.Stats().InUse == 0 })
		if n := db.Stats().OpenConnections; n != 0 {
			t.Errorf("%d connections: the outcome was unknown, and one is kept", n)
		}
		h.release()
		mustExec(t, db, "INSERT INTO t VALUES (2)")
		if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}

// BEGIN IMMEDIATE that nobody waited for leaves no lock behind.
func TestContextOfBegin(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE t (a)")
		h := p.before(t, "BEGIN IMMEDIATE")
		ctx, cancel := context.WithCancel(context.Background())
		returned := make(chan error)
		go func() {
			_, err := tursoopt.BeginTx(ctx, db, tursoopt.TxOptions{Lock: tursoopt.TxImmediate})
			returned <- err
		}()
		<-h.reached
		cancel()
		wantCtxError(t, "begin", <-returned, context.Canceled, true)
		h.release()
		mustExec(t, db, "INSERT INTO t VALUES (1)")
	})
}

// A context that ends while the connection is being dialled has sent nothing.
func TestContextWhileDialling(t *testing.T) {
	inModes(t, nativeModes[:1], func(t *testing.T, e *env) {
		p := e.tapped(t)
		dialling, fail := make(chan struct{}), make(chan struct{})
		db := e.openConfig(t, func(cfg *tursoopt.Config) {
			cfg.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				select {
				case dialling <- struct{}{}:
				case <-ctx.Done():
				}
				select {
				case fail <- struct{}{}:
				case <-ctx.Done():
				}
				return nil, errors.New("there is no connection")
			}
		})
		c := conn(t, db)
		for _, s := range senders {
			ctx, cancel := context.WithCancel(context.Background())
			returned := make(chan error)
			go func() { returned <- s.send(ctx, db, c) }()
			<-dialling
			cancel()
			wantCtxError(t, s.name, <-returned, context.Canceled, false)
			<-fail // the next one has a dial of its own
		}
		if n := p.posts(); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}

// Arguments are the caller's again when a call returns, even if they are still
// being sent.
func TestContextCallersBuffers(t *testing.T) {
	// One of each way to write it.
	modes := append(nativeModes[:2:2], modesThat(func(m mode) bool { return m.v2 })...)
	inModesBeside(t, modes, func(t *testing.T, e *env) {
		proxy, err := netem.Start(hostOf(t, e.url), netem.Conditions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(proxy.Close)
		direct := e.open(t)
		mustExec(t, direct, "CREATE TABLE t (a)")
		e.url = proxy.URL()
		db := e.open(t)
		queryInt(t, db, "SELECT 1")
		for _, inTx := range []bool{false, true} {
			blob := bytes.Repeat([]byte{0x11}, 4<<20)
			var run execer = db
			if inTx {
				run = begin(t, db, tursoopt.TxOptions{})
			}
			proxy.Set(netem.Conditions{UpBytesPerSecond: 4 << 20})
			before := proxy.Counts()
			ctx, cancel := context.WithCancel(context.Background())
			returned := make(chan error)
			go func() { _, err := run.ExecContext(ctx, "INSERT INTO t VALUES (?)", blob); returned <- err }()
			await(t, "the send", func() bool { return proxy.Counts().Sub(before).BytesUp > 64<<10 })
			cancel()
			wantCtxError(t, "a large blob", <-returned, context.Canceled, true)
			for i := range blob {
				blob[i] = 0xee
			}
			proxy.Set(netem.Conditions{})
			if inTx {
				continue // it is never committed
			}
			await(t, "the write", func() bool { return queryInt(t, direct, "SELECT count(*) FROM t") == 1 })
			var got []byte
			if err := direct.QueryRow("SELECT a FROM t").Scan(&got); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, bytes.Repeat([]byte{0x11}, len(blob))) {
				t.Error("what was stored is not what was passed")
			}
		}
	})
}

// Statements obey their context alone: the DSN's timeout is not theirs.
func TestContextAlone(t *testing.T) {
	inModes(t, nativeModes[:1], func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t, "timeout=50ms")
		mustExec(t, db, "CREATE TABLE t (a)")
		for _, s := range senders {
			c := conn(t, db)
			h := p.before(t, "MARK")
			var done atomic.Bool
			returned := make(chan error)
			go func() { err := s.send(context.Background(), db, c); done.Store(true); returned <- err }()
			<-h.reached
			time.Sleep(150 * time.Millisecond) // an error would come within this
			if done.Load() {
				t.Errorf("%s: it did not wait", s.name)
			}
			h.release()
			if err := <-returned; err != nil {
				t.Errorf("%s: %v", s.name, err)
			}
			_ = c.Close()
		}
	})
}

// A Ping that nobody bounds is bounded by the DSN's timeout; one with a deadline of
// its own has that.
func TestContextOfPing(t *testing.T) {
	inModes(t, nativeModes[:1], func(t *testing.T, e *env) {
		p := e.tapped(t)
		db := e.open(t, "timeout=50ms")
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		own, returned := p.before(t, "SELECT 1"), make(chan error, 1)
		go func() { returned <- db.PingContext(ctx) }()
		<-own.reached
		p.before(t, "SELECT 1")
		bounded := make(chan error, 1)
		go func() { bounded <- db.Ping() }()
		select {
		case err := <-bounded:
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("without a deadline: %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Error("without a deadline it waits")
		}
		select {
		case err := <-returned:
			t.Errorf("with a later deadline it has not waited: %v", err)
		default:
		}
		own.release()
		if err := <-returned; err != nil {
			t.Errorf("with a later deadline: %v", err)
		}
	})
}
