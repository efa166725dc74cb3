package pack

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
	"github.com/turso-opt/turso-opt/internal/frame"
)

// stateTable holds how far a column's last conversion has come, so that one that was
// stopped goes on there. It is gone when none is under way.
const stateTable = "turso_opt_compress"

// every is how long nothing is told, but for tests.
var every = time.Second

// A conversion is one column's, in one direction.
type conversion struct {
	*Options
	db     *sql.DB
	out    io.Writer
	column column
	rowid  string // what its table calls it
	undo   bool

	from, to     int64 // bytes before and after
	looked, done int64 // rows
	left         int
	told         time.Time
}

// Rewrite compresses what is stored in columns.
func Rewrite(ctx context.Context, o Options, out io.Writer) error { return convert(ctx, o, out, false) }

// Undo gives columns back their plain values.
func Undo(ctx context.Context, o Options, out io.Writer) error { return convert(ctx, o, out, true) }

func convert(ctx context.Context, o Options, out io.Writer, undo bool) error {
	db, s, columns, err := o.look(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	for _, c := range columns {
		if _, reason := s.rowid(c); reason != "" {
			return fmt.Errorf("%s: %s", c, reason)
		}
		if reasons := s.breaks(c); len(reasons) > 0 && !undo && !o.Force && !o.DryRun {
			return fmt.Errorf("%s is used by %s; --force compresses it all the same", c, strings.Join(reasons, "; by "))
		}
		if triggers := s.fires(c); len(triggers) > 0 && !o.Force && !o.DryRun {
			return fmt.Errorf("%s: each row that is converted would set off the trigger %s; drop it for as long as this takes, "+
				"or have it run with --force", c, strings.Join(triggers, ", "))
		}
	}
	left := 0
	for _, c := range columns {
		v := &conversion{Options: &o, db: db, out: out, column: c, undo: undo, told: time.Now()}
		v.rowid, _ = s.rowid(c)
		if err := v.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
		left += v.left
	}
	if left > 0 {
		return ErrLeft
	}
	return nil
}

// name tells conversions of a column apart: one that goes another way, or makes
// something else of the values, has all rows before it.
func (c *conversion) name() string {
	if c.undo {
		return "undo"
	}
	return fmt.Sprintf("rewrite by %s from %d bytes", algorithms[c.Config.CompressAlgorithm], c.Min)
}

func (c *conversion) run(ctx context.Context) error {
	at := int64(-1 << 63)
	if !c.DryRun {
		if _, err := c.db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS "+stateTable+" (name TEXT PRIMARY KEY, conversion TEXT NOT NULL, at INTEGER NOT NULL)"); err != nil {
			return err
		}
		err := c.db.QueryRowContext(ctx, "SELECT at FROM "+stateTable+" WHERE name = ? AND conversion = ?", c.column.String(), c.name()).Scan(&at)
		switch {
		case err == nil:
			fmt.Fprintf(c.out, "%s: going on behind row %d\n", c.column, at)
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
	}
	for {
		next, more, err := c.step(ctx, at)
		if err != nil {
			return err
		}
		if at = next; !more {
			break
		}
		if time.Since(c.told) >= every {
			c.tell("")
		}
	}
	c.tell(", done")
	if c.DryRun {
		return nil
	}
	if _, err := c.db.ExecContext(ctx, "DELETE FROM "+stateTable+" WHERE name = ?", c.column.String()); err != nil {
		return err
	}
	var others int
	if err := c.db.QueryRowContext(ctx, "SELECT count(*) FROM "+stateTable).Scan(&others); err != nil || others > 0 {
		return err
	}
	_, err := c.db.ExecContext(ctx, "DROP TABLE "+stateTable)
	return err
}

func (c *conversion) tell(end string) {
	verb := "compressed"
	if c.undo {
		verb = "given back"
	}
	if c.DryRun {
		verb = "would be " + verb
	}
	c.told = time.Now()
	fmt.Fprintf(c.out, "%s: %s rows looked at, %s %s, %s bytes to %s%s\n", c.column, ui.Thousands(c.looked), ui.Thousands(c.done), verb,
		ui.Thousands(c.from), ui.Thousands(c.to), end)
}

// A reader is a transaction, or the database for a dry run.
type reader interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// step converts the rows behind one. What it reads nobody changes before it has
// written: it holds the write lock.
func (c *conversion) step(ctx context.Context, at int64) (next int64, more bool, err error) {
	if c.DryRun {
		next, more, _, err = c.read(ctx, c.db, at)
		return next, more, err
	}
	before := *c
	err = tursoopt.RunTx(ctx, c.db, tursoopt.TxOptions{Lock: tursoopt.TxImmediate}, func(tx *sql.Tx) error {
		*c = before // it may be run again
		var b *tursoopt.Batch
		next, more, b, err = c.read(ctx, tx, at)
		if err != nil {
			return err
		}
		b.Queue("INSERT OR REPLACE INTO "+stateTable+" (name, conversion, at) VALUES (?, ?, ?)", c.column.String(), c.name(), next)
		res, err := tursoopt.SendBatch(ctx, tx, b)
		if err != nil {
			return err
		}
		return res.Close()
	})
	return next, more, err
}

// read looks at rows and gives the updates that they need.
func (c *conversion) read(ctx context.Context, from reader, at int64) (next int64, more bool, b *tursoopt.Batch, err error) {
	table, name := quote(c.column.table), quote(c.column.name)
	rows, err := from.QueryContext(ctx, "SELECT "+c.rowid+", "+name+" FROM "+table+" WHERE "+c.rowid+" > ? ORDER BY 1 LIMIT ?", at, c.Rows)
	if err != nil {
		return at, false, nil, err
	}
	defer rows.Close()
	b, next = &tursoopt.Batch{}, at
	n := 0
	for rows.Next() {
		var v any
		if err := rows.Scan(&next, &v); err != nil {
			return at, false, nil, err
		}
		n++
		c.looked++
		if now, ok := c.convert(next, v); ok {
			c.done++
			b.Queue("UPDATE "+table+" SET "+name+" = ? WHERE "+c.rowid+" = ?", now, next)
		}
	}
	return next, n == c.Rows, b, rows.Err()
}

// convert is a value as it is to be; ok is false if that is as it is.
func (c *conversion) convert(row int64, v any) (now any, ok bool) {
	if !c.undo {
		f, n, ok := packed(algorithms[c.Config.CompressAlgorithm], v, c.Min)
		if ok {
			c.from += int64(n)
			c.to += int64(len(f))
		}
		return f, ok
	}
	b, ok := v.([]byte)
	if !ok || !frame.Is(b) {
		return nil, false
	}
	k, plain, err := frame.Decode(b)
	if err != nil {
		c.left++
		fmt.Fprintf(c.out, "%s: row %d is left as it is: %v\n", c.column, row, err)
		return nil, false
	}
	c.from += int64(len(b))
	c.to += int64(len(plain))
	if k == frame.Text {
		return string(plain), true
	}
	return plain, true
}
