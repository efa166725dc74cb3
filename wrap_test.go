package tursoopt_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"testing"
	"time"

	sqlmock "github.com/DATA-DOG/go-sqlmock"

	tursoopt "github.com/turso-opt/turso-opt"
)

// dsnConnector opens a DSN of a driver that has no Connector.
type dsnConnector struct {
	d   driver.Driver
	dsn string
}

func (c dsnConnector) Connect(context.Context) (driver.Conn, error) { return c.d.Open(c.dsn) }
func (c dsnConnector) Driver() driver.Driver                        { return c.d }

// wrapMock is a wrapped sqlmock; what the test expects of it must happen, in
// that order.
func wrapMock(t *testing.T, cfg *tursoopt.Config) (*sql.DB, sqlmock.Sqlmock) {
	t.Helper()
	under, mock, err := sqlmock.NewWithDSN(t.Name(), sqlmock.MonitorPingsOption(true), sqlmock.QueryMatcherOption(sqlmock.QueryMatcherEqual))
	if err != nil {
		t.Fatal(err)
	}
	c, err := tursoopt.Wrap(dsnConnector{under.Driver(), t.Name()}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	t.Cleanup(func() {
		if err := mock.ExpectationsWereMet(); err != nil {
			t.Error(err)
		}
		mock.ExpectClose()
		mock.ExpectClose()
		_, _ = db.Close(), under.Close() // sqlmock counts the connections of both as one
	})
	return db, mock
}

func TestWrapOrder(t *testing.T) {
	db, mock := wrapMock(t, nil)
	ctx := context.Background()
	mock.ExpectPing()
	mock.ExpectExec("CREATE TABLE t (x)").WillReturnResult(sqlmock.NewResult(0, 0))
	mock.ExpectBegin()
	mock.ExpectExec("INSERT INTO t VALUES (?)").WithArgs(int64(7)).WillReturnResult(sqlmock.NewResult(42, 1))
	mock.ExpectQuery("SELECT x FROM t WHERE x = ?").WithArgs("b").WillReturnRows(sqlmock.NewRows([]string{"x"}).AddRow(7).AddRow(nil))
	mock.ExpectPrepare("SELECT ?").WillBeClosed().ExpectQuery().WithArgs(true).WillReturnRows(sqlmock.NewRows([]string{"x"}).AddRow([]byte("raw")))
	mock.ExpectCommit()
	mock.ExpectBegin()
	mock.ExpectRollback()

	if err := db.PingContext(ctx); err != nil {
		t.Error(err)
	}
	mustExec(t, db, "CREATE TABLE t (x)")
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	res := mustExec(t, tx, "INSERT INTO t VALUES (?)", 7)
	if id, err := res.LastInsertId(); id != 42 || err != nil {
		t.Errorf("LastInsertId = %d, %v", id, err)
	}
	if n := queryInt(t, tx, "SELECT x FROM t WHERE x = ?", "b"); n != 7 {
		t.Errorf("x = %d", n)
	}
	s, err := tx.PrepareContext(ctx, "SELECT ?")
	if err != nil {
		t.Fatal(err)
	}
	var raw string
	if err := s.QueryRowContext(ctx, true).Scan(&raw); err != nil || raw != "raw" {
		t.Errorf("%q, %v", raw, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	if tx, err = db.BeginTx(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Error(err)
	}
}

// The base's errors are the base's, whatever call they come from.
func TestWrapErrors(t *testing.T) {
	db, mock := wrapMock(t, nil)
	ctx := context.Background()
	own := errors.New("the base's own")
	mock.ExpectPing().WillReturnError(own)
	mock.ExpectExec("a").WillReturnError(own)
	mock.ExpectQuery("b").WillReturnError(own)
	mock.ExpectPrepare("c").WillReturnError(own)
	mock.ExpectBegin().WillReturnError(own)
	mock.ExpectBegin()
	mock.ExpectCommit().WillReturnError(own)
	mock.ExpectBegin()
	mock.ExpectRollback().WillReturnError(own)
	mock.ExpectQuery("d").WillReturnRows(sqlmock.NewRows([]string{"x"}).AddRow(1).AddRow(2).RowError(1, own))
	mock.ExpectQuery("e").WillReturnRows(sqlmock.NewRows([]string{"x"}).CloseError(own))
	mock.ExpectExec("f").WillReturnResult(sqlmock.NewErrorResult(own))

	is := func(what string, err error) {
		t.Helper()
		if err != own {
			t.Errorf("%s: %v", what, err)
		}
	}
	is("ping", db.PingContext(ctx))
	_, err := db.ExecContext(ctx, "a")
	is("exec", err)
	_, err = db.QueryContext(ctx, "b")
	is("query", err)
	_, err = db.PrepareContext(ctx, "c")
	is("prepare", err)
	_, err = db.BeginTx(ctx, nil)
	is("begin", err)
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	is("commit", tx.Commit())
	if tx, err = db.BeginTx(ctx, nil); err != nil {
		t.Fatal(err)
	}
	is("rollback", tx.Rollback())
	rows, err := db.QueryContext(ctx, "d")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
	}
	is("next", rows.Err())
	if rows, err = db.QueryContext(ctx, "e"); err != nil {
		t.Fatal(err)
	}
	is("close", rows.Close())
	res, err := db.ExecContext(ctx, "f")
	if err != nil {
		t.Fatal(err)
	}
	_, err = res.LastInsertId()
	is("result", err)
	if tursoopt.Retryable(own) || tursoopt.OutcomeUnknown(own) {
		t.Error("something is said about an error of which nothing is known")
	}
}

// ErrBadConn sends a call to another connection, up to three times and never
// within a transaction.
func TestWrapErrBadConn(t *testing.T) {
	db, mock := wrapMock(t, nil)
	ctx := context.Background()
	mock.ExpectExec("a").WillReturnError(driver.ErrBadConn)
	mock.ExpectExec("a").WillReturnResult(sqlmock.NewResult(1, 1))
	mock.ExpectQuery("b").WillReturnError(driver.ErrBadConn)
	mock.ExpectQuery("b").WillReturnError(driver.ErrBadConn)
	mock.ExpectQuery("b").WillReturnError(driver.ErrBadConn)
	mock.ExpectBegin()
	mock.ExpectExec("c").WillReturnError(driver.ErrBadConn)
	mock.ExpectRollback()
	mock.ExpectExec("d").WillReturnResult(sqlmock.NewResult(1, 1))
	// Each connection that is given up is closed; sqlmock's is one that all share.
	mock.MatchExpectationsInOrder(true)

	if _, err := db.ExecContext(ctx, "a"); err != nil {
		t.Error(err)
	}
	if _, err := db.QueryContext(ctx, "b"); !errors.Is(err, driver.ErrBadConn) {
		t.Error(err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(ctx, "c"); !errors.Is(err, driver.ErrBadConn) {
		t.Error(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Error(err)
	}
	mustExec(t, db, "d")
}

// A context reaches the base, and its error comes back.
func TestWrapContext(t *testing.T) {
	db, mock := wrapMock(t, nil)
	mock.ExpectExec("a").WillDelayFor(time.Hour).WillReturnResult(sqlmock.NewResult(1, 1))
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if _, err := db.ExecContext(ctx, "a"); !errors.Is(err, sqlmock.ErrCancelled) {
		t.Error(err)
	}
}

// Column types are the base's.
func TestWrapColumnTypes(t *testing.T) {
	db, mock := wrapMock(t, nil)
	mock.ExpectQuery("a").WillReturnRows(mock.NewRowsWithColumnDefinition(
		sqlmock.NewColumn("x").OfType("VARCHAR", "").WithLength(9).Nullable(true)).AddRow("1"))
	rows, err := db.Query("a")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		t.Fatal(err)
	}
	length, _ := types[0].Length()
	nullable, ok := types[0].Nullable()
	if types[0].DatabaseTypeName() != "VARCHAR" || length != 9 || !nullable || !ok {
		t.Errorf("it is a %s of %d, %v, %v", types[0].DatabaseTypeName(), length, nullable, ok)
	}
}

func TestWrapTransactionLock(t *testing.T) {
	db, mock := wrapMock(t, &tursoopt.Config{TxLock: tursoopt.TxImmediate})
	ctx := context.Background()
	none := sqlmock.NewResult(0, 0)
	mock.ExpectExec("BEGIN IMMEDIATE").WillReturnResult(none)
	mock.ExpectExec("a").WillReturnResult(none)
	mock.ExpectExec("COMMIT").WillReturnResult(none)
	mock.ExpectExec("BEGIN EXCLUSIVE").WillReturnError(errors.New("database is locked"))
	mock.ExpectBegin()
	mock.ExpectCommit()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, tx, "a")
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := tursoopt.BeginTx(ctx, db, tursoopt.TxOptions{Lock: tursoopt.TxExclusive}); err == nil || !strings.Contains(err.Error(), "locked") {
		t.Error(err)
	}
	// A read-only transaction takes no lock.
	if tx, err = db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}
