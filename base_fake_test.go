package tursoopt_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// A fake is a driver that runs nothing and writes down what is asked of it, so
// that two ways to use it can be compared. Its connections and statements have
// the optional interfaces that its makers give them.
type fake struct {
	newConn func(*fakeConn) driver.Conn
	newStmt func(*fakeStmt) driver.Stmt

	mu    sync.Mutex
	log   []string
	conns int
	// answers are the errors of the next calls whose line begins so, in turn.
	answers map[string][]error
	// closed is told of every connection that ends.
	closed chan int
}

func newFake(c func(*fakeConn) driver.Conn, s func(*fakeStmt) driver.Stmt) *fake {
	return &fake{newConn: c, newStmt: s, answers: map[string][]error{}, closed: make(chan int, 100)}
}

var errFake = errors.New("the base's own error")

func (f *fake) Connect(context.Context) (driver.Conn, error) {
	f.mu.Lock()
	f.conns++
	c := &fakeConn{f, f.conns}
	f.mu.Unlock()
	if err := f.say(c.id, "connect"); err != nil {
		return nil, err
	}
	return f.newConn(c), nil
}

func (f *fake) Driver() driver.Driver { return nil }

func (f *fake) Close() error { return f.say(0, "close the connector") }

// say writes a line down and gives the answer to it.
func (f *fake) say(conn int, format string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	line := fmt.Sprintf(format, args...)
	f.log = append(f.log, fmt.Sprintf("%d: %s", conn, line))
	for begin, errs := range f.answers {
		if strings.HasPrefix(line, begin) && len(errs) > 0 {
			f.answers[begin] = errs[1:]
			return errs[0]
		}
	}
	return nil
}

func (f *fake) answer(begin string, errs ...error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[begin] = errs
}

func (f *fake) lines() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.log...)
}

// odd is a type that no driver takes by itself; a fake's own checkers do.
type odd struct{ s string }

func showArgs(args []driver.NamedValue) string {
	var s []string
	for _, a := range args {
		s = append(s, fmt.Sprintf("%s#%d=%T(%v)", a.Name, a.Ordinal, a.Value, a.Value))
	}
	return "[" + strings.Join(s, " ") + "]"
}

func showValues(values []driver.Value) string {
	var s []string
	for _, v := range values {
		s = append(s, fmt.Sprintf("%T(%v)", v, v))
	}
	return "(" + strings.Join(s, " ") + ")"
}

// fakeConn has what every connection must have.
type fakeConn struct {
	f  *fake
	id int
}

func (c *fakeConn) Prepare(query string) (driver.Stmt, error) {
	if err := c.f.say(c.id, "Prepare %s", query); err != nil {
		return nil, err
	}
	return c.f.newStmt(&fakeStmt{c, query}), nil
}

func (c *fakeConn) Close() error {
	err := c.f.say(c.id, "Close")
	c.f.closed <- c.id
	return err
}

func (c *fakeConn) Begin() (driver.Tx, error) {
	if err := c.f.say(c.id, "Begin"); err != nil {
		return nil, err
	}
	return fakeTx{c}, nil
}

type fakeTx struct{ c *fakeConn }

func (t fakeTx) Commit() error   { return t.c.f.say(t.c.id, "Commit") }
func (t fakeTx) Rollback() error { return t.c.f.say(t.c.id, "Rollback") }

type fakeResult struct{}

func (fakeResult) LastInsertId() (int64, error) { return 7, nil }
func (fakeResult) RowsAffected() (int64, error) { return 0, errFake }

type fakeRows struct{ left int }

func (r *fakeRows) Columns() []string { return []string{"a"} }
func (r *fakeRows) Close() error      { return nil }
func (r *fakeRows) Next(dest []driver.Value) error {
	if r.left == 0 {
		return io.EOF
	}
	r.left--
	dest[0] = "row"
	return nil
}

// The optional interfaces of a connection. A connection is a struct of fakeConn
// and some of them.
type (
	fakeExec         struct{ x *fakeConn }
	fakeQuery        struct{ x *fakeConn }
	fakeLegacyExec   struct{ x *fakeConn }
	fakeLegacyQuery  struct{ x *fakeConn }
	fakePrepare      struct{ x *fakeConn }
	fakeBegin        struct{ x *fakeConn }
	fakePing         struct{ x *fakeConn }
	fakeReset        struct{ x *fakeConn }
	fakeValid        struct{ x *fakeConn }
	fakeConnCheck    struct{ x *fakeConn }
	fakeSkippingExec struct{ x *fakeConn }
)

func (m fakeExec) ExecContext(_ context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := m.x.f.say(m.x.id, "ExecContext %s %s", query, showArgs(args)); err != nil {
		return nil, err
	}
	return fakeResult{}, nil
}

func (m fakeSkippingExec) ExecContext(_ context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	_ = m.x.f.say(m.x.id, "ExecContext, skipped, %s %s", query, showArgs(args))
	return nil, driver.ErrSkip
}

func (m fakeQuery) QueryContext(_ context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := m.x.f.say(m.x.id, "QueryContext %s %s", query, showArgs(args)); err != nil {
		return nil, err
	}
	return &fakeRows{2}, nil
}

func (m fakeLegacyExec) Exec(query string, args []driver.Value) (driver.Result, error) {
	if err := m.x.f.say(m.x.id, "Exec %s %s", query, showValues(args)); err != nil {
		return nil, err
	}
	return fakeResult{}, nil
}

func (m fakeLegacyQuery) Query(query string, args []driver.Value) (driver.Rows, error) {
	if err := m.x.f.say(m.x.id, "Query %s %s", query, showValues(args)); err != nil {
		return nil, err
	}
	return &fakeRows{2}, nil
}

func (m fakePrepare) PrepareContext(_ context.Context, query string) (driver.Stmt, error) {
	if err := m.x.f.say(m.x.id, "PrepareContext %s", query); err != nil {
		return nil, err
	}
	return m.x.f.newStmt(&fakeStmt{m.x, query}), nil
}

func (m fakeBegin) BeginTx(_ context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if err := m.x.f.say(m.x.id, "BeginTx %d %v", opts.Isolation, opts.ReadOnly); err != nil {
		return nil, err
	}
	return fakeTx{m.x}, nil
}

func (m fakePing) Ping(context.Context) error          { return m.x.f.say(m.x.id, "Ping") }
func (m fakeReset) ResetSession(context.Context) error { return m.x.f.say(m.x.id, "ResetSession") }
func (m fakeValid) IsValid() bool                      { return m.x.f.say(m.x.id, "IsValid") == nil }

func (m fakeConnCheck) CheckNamedValue(nv *driver.NamedValue) error {
	return checkOdd(m.x, "the connection", nv)
}

// checkOdd takes an odd, removes "remove me", refuses "refuse me" and leaves the
// rest to others.
func checkOdd(c *fakeConn, who string, nv *driver.NamedValue) error {
	_ = c.f.say(c.id, "CheckNamedValue of %s: %s", who, showArgs([]driver.NamedValue{*nv}))
	switch v := nv.Value.(type) {
	case odd:
		nv.Value = who + " took " + v.s
		return nil
	case string:
		switch v {
		case "remove me":
			return driver.ErrRemoveArgument
		case "refuse me":
			return errFake
		}
	}
	return driver.ErrSkip
}

// fakeStmt has what every statement must have.
type fakeStmt struct {
	c     *fakeConn
	query string
}

func (s *fakeStmt) Close() error { return s.c.f.say(s.c.id, "close the statement") }
func (s *fakeStmt) NumInput() int {
	return strings.Count(s.query, "?") - 2*strings.Count(s.query, "??")
}

func (s *fakeStmt) Exec(args []driver.Value) (driver.Result, error) {
	if err := s.c.f.say(s.c.id, "exec the statement %s %s", s.query, showValues(args)); err != nil {
		return nil, err
	}
	return fakeResult{}, nil
}

func (s *fakeStmt) Query(args []driver.Value) (driver.Rows, error) {
	if err := s.c.f.say(s.c.id, "query the statement %s %s", s.query, showValues(args)); err != nil {
		return nil, err
	}
	return &fakeRows{2}, nil
}

// The optional interfaces of a statement.
type (
	fakeStmtContext struct{ x *fakeStmt }
	fakeStmtCheck   struct{ x *fakeStmt }
	fakeStmtConvert struct{ x *fakeStmt }
)

func (m fakeStmtContext) ExecContext(_ context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := m.x.c.f.say(m.x.c.id, "exec the statement %s %s", m.x.query, showArgs(args)); err != nil {
		return nil, err
	}
	return fakeResult{}, nil
}

func (m fakeStmtContext) QueryContext(_ context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if err := m.x.c.f.say(m.x.c.id, "query the statement %s %s", m.x.query, showArgs(args)); err != nil {
		return nil, err
	}
	return &fakeRows{2}, nil
}

func (m fakeStmtCheck) CheckNamedValue(nv *driver.NamedValue) error {
	return checkOdd(m.x.c, "the statement", nv)
}

func (m fakeStmtConvert) ColumnConverter(i int) driver.ValueConverter {
	_ = m.x.c.f.say(m.x.c.id, "ColumnConverter %d", i)
	return oddConverter{}
}

type oddConverter struct{}

func (oddConverter) ConvertValue(v any) (driver.Value, error) {
	if o, ok := v.(odd); ok {
		return "converted " + o.s, nil
	}
	return driver.DefaultParameterConverter.ConvertValue(v)
}
