package tursoopt_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ncruces/go-sqlite3"

	tursoopt "github.com/turso-opt/turso-opt"
)

// A target is one way to a database, with the state that a program has on it.
type target struct {
	name string
	file bool // a local SQLite
	base bool // libsql-client-go
	json bool // answers are in JSON
	// reworded: the server has its own words for SQLite's errors.
	reworded bool
	db       *sql.DB
	conn     *sql.Conn
	tx       *sql.Tx
}

// An outcome is what a step gives.
type outcome struct {
	err       error
	code, ext int    // SQLite's, as far as the target tells
	message   string // the server's, without what clients put before it
	sets      []resultSet
	id, n     int64
}

func (o *outcome) String() string {
	return fmt.Sprintf("error %v, code %d, %d, %v, id %d, n %d", o.err, o.code, o.ext, o.sets, o.id, o.n)
}

type resultSet struct {
	columns []string
	rows    [][]any
}

// do does a step on one target.
func (p *differential) do(tg *target, s *genStep) (o outcome) {
	ctx, cancel := p.context()
	defer cancel()
	switch s.act {
	case "begin":
		var err error
		if p.pinned && (s.onPinned || tg.file) {
			tg.tx, err = tg.conn.BeginTx(context.Background(), nil)
		} else {
			tg.tx, err = tg.db.BeginTx(context.Background(), nil)
		}
		o.err = err
	case "commit":
		o.err = tg.tx.Commit()
		tg.tx = nil
	case "rollback":
		o.err = tg.tx.Rollback()
		tg.tx = nil
	case "pin":
		tg.conn, o.err = tg.db.Conn(ctx)
	case "unpin":
		o.err = tg.conn.Close()
		tg.conn = nil
	default:
		return p.run(ctx, tg, s)
	}
	o.describe()
	return o
}

// A preparer is an execer that prepares.
type preparer interface {
	execer
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

func (p *differential) run(ctx context.Context, tg *target, s *genStep) (o outcome) {
	var on preparer = tg.db
	switch {
	case p.inTx:
		on = tg.tx
	case p.pinned && (s.onPinned || p.textTx || tg.file):
		on = tg.conn
	}
	if tg.file && len(s.stmts) > 1 {
		// SQLite drivers take a script without arguments at most, and give one of
		// its results.
		if on == preparer(tg.db) {
			c, err := tg.db.Conn(ctx)
			if err != nil {
				p.t.Fatal(err)
			}
			defer c.Close()
			on = c
		}
		for i := range s.stmts {
			text, args := s.write(i, i+1)
			one := p.runText(ctx, tg, on, s, text, args)
			o.sets = append(o.sets, one.sets...)
			if o.err, o.code, o.ext = one.err, one.code, one.ext; o.err != nil {
				break
			}
		}
		return o
	}
	text, args := s.write(0, len(s.stmts))
	return p.runText(ctx, tg, on, s, text, args)
}

func (p *differential) runText(ctx context.Context, tg *target, on preparer, s *genStep, text string, args []any) (o outcome) {
	defer o.describe()
	if tg.file {
		args = slices.Clone(args)
		for i, a := range args {
			args[i] = fileArgument(a)
		}
	}
	exec := func() (sql.Result, error) { return on.ExecContext(ctx, text, args...) }
	query := func() (*sql.Rows, error) { return on.QueryContext(ctx, text, args...) }
	if s.prepared {
		st, err := on.PrepareContext(ctx, text)
		if err != nil {
			o.err = err
			return o
		}
		defer st.Close()
		exec = func() (sql.Result, error) { return st.ExecContext(ctx, args...) }
		query = func() (*sql.Rows, error) { return st.QueryContext(ctx, args...) }
	}
	if !s.query {
		res, err := exec()
		if o.err = err; err == nil {
			o.id, _ = res.LastInsertId() // no driver here gives an error
			o.n, _ = res.RowsAffected()
		}
		return o
	}
	rows, err := query()
	if err != nil {
		o.err = err
		return o
	}
	defer rows.Close()
	for {
		set := resultSet{}
		if set.columns, o.err = rows.Columns(); o.err != nil {
			return o
		}
		for rows.Next() {
			values, dest := make([]any, len(set.columns)), make([]any, len(set.columns))
			for i := range dest {
				dest[i] = &values[i]
			}
			if o.err = rows.Scan(dest...); o.err != nil {
				return o
			}
			set.rows = append(set.rows, values)
		}
		o.sets = append(o.sets, set)
		if !rows.NextResultSet() {
			o.err = rows.Err()
			return o
		}
	}
}

// fileArgument is an argument that the SQLite driver stores as a server would:
// it has a format of its own for times.
func fileArgument(v any) any {
	switch v := v.(type) {
	case time.Time:
		return tursoopt.FormatTime(v)
	case sql.NamedArg:
		v.Value = fileArgument(v.Value)
		return v
	}
	return v
}

// describe takes from an error what can be compared.
func (o *outcome) describe() {
	var native *tursoopt.Error
	var local sqlite3.ErrorCode
	var localExt sqlite3.ExtendedErrorCode
	switch {
	case o.err == nil:
	case errors.As(o.err, &native):
		o.code, o.ext, o.message = native.Code, native.ExtendedCode, native.Message
	case errors.As(o.err, &local) && errors.As(o.err, &localExt):
		o.code, o.ext = int(local), int(localExt)
	default:
		o.message = o.err.Error()
	}
}
