package tursoopt_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
)

// fakeConns are connections with all, none and some of the optional interfaces.
var fakeConns = map[string]func(*fakeConn) driver.Conn{
	"minimal": func(c *fakeConn) driver.Conn { return c },
	"everything": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			fakeExec
			fakeQuery
			fakePrepare
			fakeBegin
			fakePing
			fakeReset
			fakeValid
			fakeConnCheck
		}{c, fakeExec{c}, fakeQuery{c}, fakePrepare{c}, fakeBegin{c}, fakePing{c}, fakeReset{c}, fakeValid{c}, fakeConnCheck{c}}
	},
	"texts": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			fakeExec
			fakeQuery
		}{c, fakeExec{c}, fakeQuery{c}}
	},
	"legacy": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			fakeLegacyExec
			fakeLegacyQuery
		}{c, fakeLegacyExec{c}, fakeLegacyQuery{c}}
	},
	"exec only": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			fakeExec
		}{c, fakeExec{c}}
	},
	"exec only, checks": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			fakeExec
			fakeConnCheck
		}{c, fakeExec{c}, fakeConnCheck{c}}
	},
	"legacy query only": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			fakeLegacyQuery
			fakeReset
		}{c, fakeLegacyQuery{c}, fakeReset{c}}
	},
	"skips": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			fakeSkippingExec
			fakeQuery
			fakePrepare
		}{c, fakeSkippingExec{c}, fakeQuery{c}, fakePrepare{c}}
	},
	"begins and pings": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			fakeBegin
			fakePing
			fakeValid
		}{c, fakeBegin{c}, fakePing{c}, fakeValid{c}}
	},
	"resets and validates": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			fakeReset
			fakeValid
		}{c, fakeReset{c}, fakeValid{c}}
	},
	"checks": func(c *fakeConn) driver.Conn {
		return struct {
			*fakeConn
			fakeConnCheck
		}{c, fakeConnCheck{c}}
	},
}

var fakeStmts = map[string]func(*fakeStmt) driver.Stmt{
	"minimal": func(s *fakeStmt) driver.Stmt { return s },
	"contexts": func(s *fakeStmt) driver.Stmt {
		return struct {
			*fakeStmt
			fakeStmtContext
		}{s, fakeStmtContext{s}}
	},
	"checks": func(s *fakeStmt) driver.Stmt {
		return struct {
			*fakeStmt
			fakeStmtContext
			fakeStmtCheck
		}{s, fakeStmtContext{s}, fakeStmtCheck{s}}
	},
	"converts": func(s *fakeStmt) driver.Stmt {
		return struct {
			*fakeStmt
			fakeStmtConvert
		}{s, fakeStmtConvert{s}}
	},
	"checks and converts": func(s *fakeStmt) driver.Stmt {
		return struct {
			*fakeStmt
			fakeStmtCheck
			fakeStmtConvert
		}{s, fakeStmtCheck{s}, fakeStmtConvert{s}}
	},
}

// A program uses a sql.DB and says what it has seen.
type program struct {
	name string
	run  func(db *sql.DB, f *fake, see func(format string, args ...any))
}

var programs = []program{
	{"exec", func(db *sql.DB, f *fake, see func(string, ...any)) {
		for _, args := range programArgs {
			res, err := db.Exec("UPDATE t SET x = ?", args...)
			see("exec %v: %v", args, err)
			if err == nil {
				id, err := res.LastInsertId()
				n, err2 := res.RowsAffected()
				see("%d %v %d %v", id, err, n, err2)
			}
		}
	}},
	{"query", func(db *sql.DB, f *fake, see func(string, ...any)) {
		for _, args := range programArgs {
			var a string
			err := db.QueryRow("SELECT ?", args...).Scan(&a)
			see("query %v: %q %v", args, a, err)
		}
	}},
	{"prepared", func(db *sql.DB, f *fake, see func(string, ...any)) {
		s, err := db.Prepare("SELECT ?")
		see("prepare: %v", err)
		for _, args := range programArgs {
			_, err := s.Exec(args...)
			see("exec %v: %v", args, err)
			var a string
			err = s.QueryRow(args...).Scan(&a)
			see("query %v: %q %v", args, a, err)
		}
		see("close: %v", s.Close())
		// One that does not count its parameters.
		s, err = db.Prepare("SELECT ??")
		see("prepare: %v", err)
		_, err = s.Exec(odd{"uncounted"}, 2)
		see("exec: %v %v", err, s.Close())
	}},
	{"errors", func(db *sql.DB, f *fake, see func(string, ...any)) {
		for _, begin := range []string{"ExecContext", "Exec", "exec the statement", "Prepare", "Ping", "Begin", "QueryContext", "Query", "query the statement", "close the statement"} {
			f.answer(begin, errFake)
			_, err := db.Exec("UPDATE t SET x = ?", 1)
			see("exec, %s fails: %v %v", begin, err, err == errFake)
			err = db.QueryRow("SELECT ?", 1).Scan(new(string))
			see("query, %s fails: %v %v", begin, err, err == errFake)
			see("ping, %s fails: %v", begin, db.Ping())
			tx, err := db.Begin()
			see("begin, %s fails: %v", begin, err)
			if err == nil {
				see("rollback: %v", tx.Rollback())
			}
			f.answer(begin)
		}
	}},
	{"bad connections", func(db *sql.DB, f *fake, see func(string, ...any)) {
		for _, begin := range []string{"ExecContext", "Exec", "exec the statement", "Prepare", "Ping", "Begin", "QueryContext", "Query", "ResetSession", "IsValid", "connect"} {
			f.answer(begin, driver.ErrBadConn)
			_, err := db.Exec("UPDATE t SET x = ?", 1)
			see("exec after a bad %s: %v", begin, err)
			f.answer(begin, fmt.Errorf("wrapped: %w", driver.ErrBadConn), driver.ErrBadConn, driver.ErrBadConn, driver.ErrBadConn)
			err = db.QueryRow("SELECT ?", 1).Scan(new(string))
			see("query after bad ones: %v", err)
			f.answer(begin, driver.ErrBadConn)
			see("ping after a bad one: %v", db.Ping())
			tx, err := db.Begin()
			see("begin after a bad one: %v", err)
			if err == nil {
				f.answer(begin, driver.ErrBadConn)
				_, err = tx.Exec("UPDATE t SET x = 1")
				see("exec in it: %v", err)
				see("commit: %v", tx.Commit())
			}
			f.answer(begin)
		}
	}},
	{"transactions", func(db *sql.DB, f *fake, see func(string, ...any)) {
		for _, opts := range []*sql.TxOptions{nil, {}, {ReadOnly: true}, {Isolation: sql.LevelSerializable}, {Isolation: sql.LevelReadCommitted, ReadOnly: true}} {
			tx, err := db.BeginTx(context.Background(), opts)
			see("begin %v: %v", opts, err)
			if err != nil {
				continue
			}
			_, err = tx.Exec("UPDATE t SET x = ?", odd{"in a transaction"})
			see("exec: %v", err)
			err = tx.QueryRow("SELECT ?", 1).Scan(new(string))
			see("query: %v", err)
			s, err := tx.Prepare("SELECT 1")
			see("prepare: %v", err)
			_, err = s.Exec()
			see("exec: %v", err)
			see("commit: %v", tx.Commit())
			see("and again: %v", tx.Rollback())
		}
		for _, end := range []string{"Commit", "Rollback"} {
			for _, err := range []error{errFake, driver.ErrBadConn} {
				tx, err2 := db.Begin()
				see("begin: %v", err2)
				f.answer(end, err)
				if end == "Commit" {
					see("a bad commit: %v", tx.Commit())
				} else {
					see("a bad rollback: %v", tx.Rollback())
				}
			}
		}
	}},
	{"ended by a context", func(db *sql.DB, f *fake, see func(string, ...any)) {
		ctx, cancel := context.WithCancel(context.Background())
		tx, err := db.BeginTx(ctx, nil)
		see("begin: %v", err)
		cancel()
		awaitLine(f, "Rollback")
		awaitIdle(db)
		see("commit: %v", tx.Commit())
		_, err = db.Exec("UPDATE t SET x = 1")
		see("exec: %v", err)
		// On a pinned connection.
		c, err := db.Conn(context.Background())
		see("conn: %v", err)
		ctx, cancel = context.WithCancel(context.Background())
		_, err = c.BeginTx(ctx, nil)
		see("begin: %v", err)
		before := len(f.lines())
		cancel()
		for !slices.ContainsFunc(f.lines()[before:], func(l string) bool { return strings.HasSuffix(l, "Rollback") }) {
			time.Sleep(time.Millisecond)
		}
		// Alone it is closed already, wrapped it is closed now.
		_ = c.Close()
		awaitIdle(db)
		_, err = db.Exec("UPDATE t SET x = 2")
		see("exec: %v", err)
		// A context that has ended before.
		_, err = db.ExecContext(ctx, "UPDATE t SET x = 3")
		see("exec too late: %v", err)
		_, err = db.BeginTx(ctx, nil)
		see("begin too late: %v", err)
	}},
	{"pinned", func(db *sql.DB, f *fake, see func(string, ...any)) {
		c, err := db.Conn(context.Background())
		see("conn: %v", err)
		_, err = c.ExecContext(context.Background(), "UPDATE t SET x = ?", "x")
		see("exec: %v", err)
		see("ping: %v", c.PingContext(context.Background()))
		s, err := c.PrepareContext(context.Background(), "SELECT ?")
		see("prepare: %v", err)
		_, err = s.Exec("x")
		see("exec: %v %v", err, s.Close())
		see("close: %v", c.Close())
		f.answer("Close", errFake)
		f.answer("close the connector", errFake)
		see("close the database: %v", db.Close())
	}},
}

// programArgs are arguments for one ?.
var programArgs = [][]any{
	{1}, {"x"}, {true}, {[]byte("x")}, {nil}, {time.Unix(0, 0).UTC()},
	{}, {1, 2}, {sql.Named("n", 1)},
	{odd{"x"}}, {[]string{"x"}}, {uint64(1 << 63)}, {valuer{v: int64(3)}}, {valuer{err: errFake}}, {sql.Named("o", odd{"x"})},
	{"remove me", 2}, {1, "remove me"}, {"refuse me"}, {sql.Named("r", "refuse me")},
}

// awaitLine returns when the fake has been asked for something.
func awaitLine(f *fake, line string) {
	for !slices.ContainsFunc(f.lines(), func(l string) bool { return strings.HasSuffix(l, line) }) {
		time.Sleep(time.Millisecond)
	}
}

// awaitIdle returns when no connection is in use.
func awaitIdle(db *sql.DB) {
	for db.Stats().InUse > 0 {
		time.Sleep(time.Millisecond)
	}
}

// see runs a program on a database and gives what it has seen, and what the
// driver below has.
func see(p program, f *fake, c driver.Connector) (seen, log []string) {
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(1)
	p.run(db, f, func(format string, args ...any) { seen = append(seen, fmt.Sprintf(format, args...)) })
	seen = append(seen, fmt.Sprint("close: ", db.Close()))
	return seen, f.lines()
}

// A wrapped driver is asked the same, in the same order, and answers the same,
// as it is and does alone, whatever optional interfaces it has.
func TestBaseBehavesAsAlone(t *testing.T) {
	for connName, newConn := range fakeConns {
		for stmtName, newStmt := range fakeStmts {
			for _, p := range programs {
				t.Run(strings.ReplaceAll(connName+"/"+stmtName+"/"+p.name, " ", "-"), func(t *testing.T) {
					alone, wrapped := newFake(newConn, newStmt), newFake(newConn, newStmt)
					wantSeen, wantLog := see(p, alone, alone)
					c, err := tursoopt.Wrap(wrapped, nil)
					if err != nil {
						t.Fatal(err)
					}
					seen, log := see(p, wrapped, c)
					compareLines(t, "the program sees", seen, wantSeen)
					compareLines(t, "the driver is asked", log, wantLog)
				})
			}
		}
	}
}

func compareLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("%s, line %d: %q, alone %q; before it %q", what, i, g, w, want[max(0, i-3):min(i, len(want))])
			return
		}
	}
}

// A connection of which nobody knows whether its transaction is over is not used
// again, not even by who has pinned it.
func TestBasePinnedAfterRollbackByContext(t *testing.T) {
	f := newFake(fakeConns["texts"], fakeStmts["contexts"])
	c, err := tursoopt.Wrap(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	defer db.Close()
	pinned := conn(t, db)
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := pinned.BeginTx(ctx, nil); err != nil {
		t.Fatal(err)
	}
	cancel()
	awaitLine(f, "Rollback")
	for deadline := time.Now().Add(time.Minute); ; {
		_, err := pinned.ExecContext(context.Background(), "UPDATE t SET x = 1")
		if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it goes on: %v", err)
		}
	}
	if id := <-f.closed; id != 1 {
		t.Errorf("connection %d was closed", id)
	}
}

// A lock is asked for in SQLite's words, by whatever way the driver has.
func TestBaseTransactionLock(t *testing.T) {
	for name, newConn := range fakeConns {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			f := newFake(newConn, fakeStmts["contexts"])
			c, err := tursoopt.Wrap(f, &tursoopt.Config{TxLock: tursoopt.TxImmediate})
			if err != nil {
				t.Fatal(err)
			}
			db := sql.OpenDB(c)
			defer db.Close()
			ctx := context.Background()
			saw := func(want string, begin func() (*sql.Tx, error), end func(*sql.Tx) error) {
				t.Helper()
				before := len(f.lines())
				tx, err := begin()
				if err != nil {
					t.Fatal(err)
				}
				if err := end(tx); err != nil {
					t.Fatal(err)
				}
				var words []string
				for _, line := range f.lines()[before:] {
					for _, w := range []string{"BEGIN IMMEDIATE", "BEGIN EXCLUSIVE", "BeginTx", "Begin", "COMMIT", "Commit", "ROLLBACK", "Rollback"} {
						_, what, _ := strings.Cut(line, ": ")
						if strings.Contains(what, w) && !strings.Contains(what, "repare") && !strings.Contains(what, "skipped") {
							words = append(words, strings.TrimSuffix(w, "Tx"))
							break
						}
					}
				}
				if got := strings.Join(words, ", "); got != want {
					t.Errorf("the driver is asked for %s, not %s", got, want)
				}
			}
			commit, rollback := (*sql.Tx).Commit, (*sql.Tx).Rollback
			saw("BEGIN IMMEDIATE, COMMIT", func() (*sql.Tx, error) { return db.Begin() }, commit)
			saw("BEGIN EXCLUSIVE, ROLLBACK", func() (*sql.Tx, error) {
				return tursoopt.BeginTx(ctx, db, tursoopt.TxOptions{Lock: tursoopt.TxExclusive})
			}, rollback)
			saw("Begin, Commit", func() (*sql.Tx, error) {
				return tursoopt.BeginTx(ctx, db, tursoopt.TxOptions{Lock: tursoopt.TxDeferred})
			}, commit)
			if _, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted}); err == nil || !strings.Contains(err.Error(), "solation") {
				t.Errorf("another isolation level: %v", err)
			}
			// After a COMMIT that fails nobody knows, and the connection ends.
			tx, err := db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			for _, begin := range []string{"ExecContext COMMIT", "Exec COMMIT", "exec the statement COMMIT"} {
				f.answer(begin, errFake)
			}
			if err := tx.Commit(); !errors.Is(err, errFake) {
				t.Errorf("the commit: %v", err)
			}
			<-f.closed
		})
	}
}

// Conn.Raw gives the driver's own connection.
func TestBaseConnRaw(t *testing.T) {
	f := newFake(fakeConns["everything"], fakeStmts["minimal"])
	c, err := tursoopt.Wrap(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	defer db.Close()
	rawConn(t, db, func(dc any) error {
		base, ok := dc.(tursoopt.BaseConn)
		if !ok {
			t.Fatalf("Raw gives a %T", dc)
		}
		if _, ok := base.Base().(driver.SessionResetter); !ok || fmt.Sprintf("%T", base.Base()) == fmt.Sprintf("%T", dc) {
			t.Errorf("the base is a %T", base.Base())
		}
		return nil
	})
	inModes(t, allModes, func(t *testing.T, e *env) {
		rawConn(t, e.open(t), func(dc any) error {
			if _, ok := dc.(tursoopt.BaseConn); ok == e.native {
				t.Errorf("Raw gives a %T", dc)
			}
			return nil
		})
	})
}

// The statistics of a base are empty, and say nothing that is not so.
func TestBaseStats(t *testing.T) {
	f := newFake(fakeConns["minimal"], fakeStmts["minimal"])
	c, err := tursoopt.Wrap(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	defer db.Close()
	if _, err := db.Exec("x"); err != nil {
		t.Fatal(err)
	}
	s, ok := tursoopt.StatsOf(db)
	if !ok || s.Statements != (tursoopt.StatementStats{}) || s.Requests != (tursoopt.RequestStats{}) {
		t.Errorf("the statistics are %+v, %v", s, ok)
	}
	if l := c.Layers(); len(l) != 2 {
		t.Errorf("the layers are %q", l)
	}
}
