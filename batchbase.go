package tursoopt

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// queryBatch runs a batch on a base that knows none: one by one, in a
// transaction if it is atomic, or in a savepoint if there is one already. All
// rows are read into memory, since most drivers have one result at a time.
func (c *baseConn) queryBatch(ctx context.Context, b *batchCall) (driver.Rows, error) {
	b.taken = true
	sets := &memoryRows{}
	texts := make([]*sqltext.Text, len(b.batch.items))
	for i := range b.batch.items {
		texts[i] = sqltext.Parse(b.batch.items[i].query)
		if err := checkItem(i, texts[i]); err != nil {
			return nil, err
		}
	}
	if b.batch.Independent {
		for i := range texts {
			r, set, err := c.runItem(ctx, texts[i], &b.batch.items[i])
			b.results = append(b.results, batchResult{r, err})
			sets.sets = append(sets.sets, set)
		}
		return sets, nil
	}
	end, err := c.beginBatch(ctx)
	if err != nil {
		return nil, err
	}
	for i := range texts {
		r, set, err := c.runItem(ctx, texts[i], &b.batch.items[i])
		b.results = append(b.results, batchResult{r, err})
		sets.sets = append(sets.sets, set)
		if err == nil {
			continue
		}
		for j := range i {
			b.results[j] = batchResult{err: errUndone(i, err)}
		}
		for range texts[i+1:] {
			b.results = append(b.results, batchResult{err: errSkipped(i, err)})
			sets.sets = append(sets.sets, memorySet{})
		}
		if end(false) != nil {
			// The statement may have ended the transaction itself (OR ROLLBACK); what
			// is open now is not known.
			c.bad = true
		}
		return sets, nil
	}
	if err := end(true); err != nil {
		return nil, err
	}
	return sets, nil
}

// beginBatch opens what makes a batch atomic; end keeps or undoes it.
func (c *baseConn) beginBatch(ctx context.Context) (end func(keep bool) error, err error) {
	const savepoint = "SAVEPOINT turso_opt_batch"
	if !c.inTx {
		tx, err := c.BeginTx(ctx, driver.TxOptions{})
		if err == nil {
			return func(keep bool) error {
				if keep {
					return tx.Commit()
				}
				return tx.Rollback()
			}, nil
		}
		// Perhaps the program has begun a transaction by a text, of which nobody tells.
		if c.bad || errors.Is(err, driver.ErrBadConn) || c.exec(ctx, savepoint) != nil {
			return nil, err
		}
	} else if err := c.exec(ctx, savepoint); err != nil {
		return nil, err
	}
	return func(keep bool) error {
		// A context that has ended must not leave half of the batch in a transaction
		// that goes on.
		ctx, cancel := c.connector.bounded()
		defer cancel()
		if keep {
			return c.exec(ctx, "RELEASE turso_opt_batch")
		}
		return errors.Join(c.exec(ctx, "ROLLBACK TO turso_opt_batch"), c.exec(ctx, "RELEASE turso_opt_batch"))
	}, nil
}

// runItem runs one statement of a batch by the base's own means.
func (c *baseConn) runItem(ctx context.Context, text *sqltext.Text, item *batchItem) (result, memorySet, error) {
	stmt, err := c.PrepareContext(ctx, item.query)
	if err != nil {
		return result{}, memorySet{}, err
	}
	defer stmt.Close()
	args, err := c.itemArgs(stmt, item)
	if err != nil {
		return result{}, memorySet{}, err
	}
	if n := stmt.NumInput(); n >= 0 && n != len(args) {
		return result{}, memorySet{}, fmt.Errorf("sql: expected %d arguments, got %d", n, len(args))
	}
	if !givesRows(&text.Stmts[0]) {
		res, err := execStmt(ctx, stmt, args)
		if err != nil {
			return result{}, memorySet{}, err
		}
		var r result
		// A base that has no such numbers says so where it is asked alone; here
		// they are zero.
		r.lastInsertID, _ = res.LastInsertId()
		r.rowsAffected, _ = res.RowsAffected()
		return r, memorySet{}, nil
	}
	rows, err := queryStmt(ctx, stmt, args)
	if err != nil {
		return result{}, memorySet{}, err
	}
	set, err := readSet(rows)
	return result{}, set, err
}

// givesRows tells whether a statement is to be run as a query.
func givesRows(s *sqltext.Stmt) bool {
	switch s.Kind {
	case sqltext.Select, sqltext.Values, sqltext.Explain, sqltext.Pragma:
		return true
	}
	return s.Returning
}

// itemArgs are an item's arguments for its statement.
func (c *baseConn) itemArgs(stmt driver.Stmt, item *batchItem) ([]driver.NamedValue, error) {
	args := item.unconverted()
	return args, c.convertFor(stmt, args)
}

// convertFor converts arguments as database/sql would for this driver.
func (c *baseConn) convertFor(stmt driver.Stmt, args []driver.NamedValue) error {
	checker, ok := stmt.(driver.NamedValueChecker)
	if !ok {
		checker = c
	}
	for i := range args {
		err := checker.CheckNamedValue(&args[i])
		if err == driver.ErrSkip {
			err = defaultCheck(stmt, &args[i], i)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func defaultCheck(stmt driver.Stmt, nv *driver.NamedValue, i int) (err error) {
	//lint:ignore SA1019 some drivers have nothing else
	if cc, ok := stmt.(driver.ColumnConverter); ok {
		nv.Value, err = cc.ColumnConverter(i).ConvertValue(nv.Value)
		return err
	}
	nv.Value, err = driver.DefaultParameterConverter.ConvertValue(nv.Value)
	return err
}

var (
	_ driver.Rows              = (*memoryRows)(nil)
	_ driver.RowsNextResultSet = (*memoryRows)(nil)
)

// memoryRows are result sets that have been read.
type memoryRows struct {
	sets []memorySet
	row  int
}

type memorySet struct {
	columns []string
	rows    [][]driver.Value
}

// readSet reads rows to their end and closes them.
func readSet(rows driver.Rows) (set memorySet, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	set.columns = append([]string(nil), rows.Columns()...)
	for {
		values := make([]driver.Value, len(set.columns))
		switch err := rows.Next(values); {
		case err == io.EOF:
			return set, nil
		case err != nil:
			return set, err
		}
		for i, v := range values {
			if b, ok := v.([]byte); ok {
				values[i] = append([]byte{}, b...) // the driver's until its next row
			}
		}
		set.rows = append(set.rows, values)
	}
}

func (m *memoryRows) Columns() []string { return m.sets[0].columns }

func (m *memoryRows) Next(dest []driver.Value) error {
	if m.row >= len(m.sets[0].rows) {
		return io.EOF
	}
	copy(dest, m.sets[0].rows[m.row])
	m.row++
	return nil
}

func (m *memoryRows) HasNextResultSet() bool { return len(m.sets) > 1 }

func (m *memoryRows) NextResultSet() error {
	if len(m.sets) < 2 {
		return io.EOF
	}
	m.sets, m.row = m.sets[1:], 0
	return nil
}

func (m *memoryRows) Close() error { return nil }
