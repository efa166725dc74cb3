package pack

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
	"github.com/turso-opt/turso-opt/internal/frame"
)

// probe is how many rows are read at each place that a sample looks at.
const probe = 10

// Estimate looks at a sample of each column and writes what compression would
// save and break. It only reads.
func Estimate(ctx context.Context, o Options, out io.Writer) error {
	db, s, columns, err := o.look(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if len(o.Columns) == 0 {
		for _, c := range s.columns {
			if c.holdsText() {
				columns = append(columns, c)
			}
		}
	}
	t := ui.Table{Left: 1}
	t.Add("column", "rows seen", "of them smaller", "bytes", "by LZ4", "saved", "by zstd", "saved")
	var broken []string
	for _, c := range columns {
		rowid, rowless := s.rowid(c)
		values, err := o.sample(ctx, db, c, rowid)
		if err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
		var smaller int64
		var cells []string
		for _, by := range []frame.Algorithm{frame.LZ4, frame.Zstd} {
			var from, to, n int64
			for _, v := range values {
				f, before, ok := packed(by, v, o.Min)
				from += int64(before)
				if ok {
					n++
					before = len(f)
				}
				to += int64(before)
			}
			saved := "-"
			if from > 0 {
				saved = fmt.Sprintf("%.0f %%", 100*(1-float64(to)/float64(from)))
			}
			if cells == nil {
				cells = []string{ui.Thousands(from)}
			}
			cells = append(cells, ui.Thousands(to), saved)
			smaller = max(smaller, n)
		}
		t.Add(append([]string{c.String(), ui.Thousands(int64(len(values))), ui.Thousands(smaller)}, cells...)...)
		if smaller == 0 {
			continue // nobody would compress it
		}
		for _, r := range s.breaks(c) {
			broken = append(broken, c.String()+" would break "+r)
		}
		if rowless != "" {
			broken = append(broken, c.String()+" is for new values only: "+rowless)
		}
	}
	if _, err := t.WriteTo(out); err != nil {
		return err
	}
	for _, b := range broken {
		if _, err := fmt.Fprintln(out, b); err != nil {
			return err
		}
	}
	return nil
}

// sample reads rows at random places of a table, in one round trip. One without
// rowids is read from its beginning.
func (o *Options) sample(ctx context.Context, db *sql.DB, c column, rowid string) (values []any, err error) {
	table, name := quote(c.table), quote(c.name)
	if rowid == "" {
		err := each(ctx, db, "SELECT "+name+" FROM "+table+" LIMIT ?", func(rows *sql.Rows) error {
			var v any
			err := rows.Scan(&v)
			values = append(values, v)
			return err
		}, o.Sample)
		return values, err
	}
	var least, most sql.NullInt64
	if err := db.QueryRowContext(ctx, "SELECT min("+rowid+"), max("+rowid+") FROM "+table).Scan(&least, &most); err != nil {
		return nil, err
	}
	if !least.Valid {
		return nil, nil
	}
	seen := map[int64]bool{}
	random := rand.New(rand.NewPCG(1, 2)) // the same sample each time
	span := uint64(most.Int64-least.Int64) + 1
	b := &tursoopt.Batch{Independent: true}
	for i := range max(1, o.Sample/probe) {
		at := least.Int64
		if span > uint64(o.Sample) && span != 0 {
			at += int64(random.Uint64N(span))
		} else {
			at += int64(i * probe)
		}
		b.Queue("SELECT "+rowid+", "+name+" FROM "+table+" WHERE "+rowid+" >= ? ORDER BY 1 LIMIT ?", at, probe)
	}
	res, err := tursoopt.SendBatch(ctx, db, b)
	if err != nil {
		return nil, err
	}
	for range b.Len() {
		rows, err := res.Query()
		if err != nil {
			_ = res.Close()
			return nil, err
		}
		for rows.Next() {
			var id int64
			var v any
			if err := rows.Scan(&id, &v); err != nil {
				_ = res.Close()
				return nil, err
			}
			if b, ok := v.([]byte); ok {
				v = append([]byte{}, b...)
			}
			if !seen[id] {
				seen[id] = true
				values = append(values, v)
			}
		}
		if err := rows.Err(); err != nil {
			_ = res.Close()
			return nil, err
		}
	}
	return values, res.Close()
}
