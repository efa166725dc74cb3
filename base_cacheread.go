package tursoopt

import (
	"context"
	"database/sql/driver"
	"strconv"
	"time"

	"github.com/turso-opt/turso-opt/internal/cache"
	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// query runs a text that gives rows. ask asks the base; it is called once at most, and
// what it gives up with ErrSkip has not been run.
func (w *baseWatch) query(ctx context.Context, text *sqltext.Text, args []driver.NamedValue, by askedBy,
	ask func() (driver.Rows, error)) (driver.Rows, error) {
	if rows, ok, err := w.read(ctx, text, args, by, ask); ok {
		return rows, err
	}
	r := w.begin(text, args)
	rows, err := ask()
	if err != nil {
		r.end(ctx, err)
		return nil, err
	}
	return w.follow(ctx, rows, r), nil
}

// queryText runs a text that gives rows. Where the driver cannot do so without preparing it,
// a read that may be kept is prepared here: what is kept is then found before database/sql
// would prepare it.
func (w *baseWatch) queryText(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c, text := w.conn, w.rc.connector.stmts.Get(query)
	kept := keepable(text)
	if !kept && !c.queries() {
		return nil, driver.ErrSkip
	}
	return w.query(ctx, text, args, byText, func() (driver.Rows, error) { return c.askText(ctx, query, args, kept) })
}

// askText asks the base for a text, in a way that the driver has; prepared only if it may
// be kept.
func (c *baseConn) askText(ctx context.Context, query string, args []driver.NamedValue, kept bool) (rows driver.Rows, err error) {
	if err = driver.ErrSkip; c.queries() {
		rows, err = c.queryText(ctx, query, args)
	}
	if err == driver.ErrSkip && kept {
		rows, err = c.queryPrepared(ctx, query, args)
	}
	return rows, err
}

// queryPrepared does what database/sql does for a text that the driver skips. It skips what
// database/sql has more to say of.
func (c *baseConn) queryPrepared(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.prepareAs(ctx, query, nil)
	if err != nil {
		return nil, err
	}
	args = append([]driver.NamedValue(nil), args...)
	if n := s.NumInput(); n >= 0 && n != len(args) || c.convertFor(s, args) != nil {
		_ = s.Close()
		return nil, driver.ErrSkip
	}
	return rowsOf(ctx, s, args)
}

// rowsOf are the rows of a statement that ends with them.
func rowsOf(ctx context.Context, s driver.Stmt, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := queryStmt(ctx, s, args)
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return &stmtRows{baseRows{rows}, s}, nil
}

// quiet tells whether answers on the connection are those that others get.
func (w *baseWatch) quiet() bool {
	return !w.odd && !w.tx.open() && !w.rc.connector.closed.Load()
}

// readsAlone is how often a text is left alone after its result was too large to be kept.
const readsAlone = 64

// read gives the rows of a query that is answered from the cache, or through it; ok is
// false if it has to go its own way.
func (w *baseWatch) read(ctx context.Context, text *sqltext.Text, args []driver.NamedValue, by askedBy,
	ask func() (driver.Rows, error)) (rows driver.Rows, ok bool, err error) {
	if !keepable(text) || !w.quiet() || ctx.Err() != nil {
		return nil, false, nil
	}
	var buffer [quickArgs + 1]exec.Value
	k, ok := baseKey(text, args, by, buffer[:0])
	if !ok || w.rc.base.tellsTime(&k) {
		return nil, false, nil
	}
	rc, note, o := w.rc, text.Stmts[0].Note, cacheOptions(ctx)
	found := rc.cache.Get(&k, o)
	if found.Result != nil {
		res := found.Result.(*baseResult)
		if found.Revalidate {
			w.refresh(res, text, args, by)
		}
		return &keptRows{baseResult: res}, true, nil
	}
	if n := note.Alone.Load(); w.rows > 0 || n > 0 && note.Alone.CompareAndSwap(n, n-1) {
		return nil, false, nil
	}
	rc.base.learn(ctx, w.conn)
	reads, _, ok := rc.depends(&exec.Stmt{SQL: k.SQL, Args: plainArgs(text, args)})
	if !ok {
		return nil, false, nil
	}
	a, led, err := rc.share(ctx, &k, reads, o, found, func(f *cache.Flight) error {
		rows, err = w.lead(ctx, f, note, ask)
		return err
	})
	switch {
	case led, err != nil:
		return rows, true, err
	case a.Err != nil:
		return nil, true, a.Err
	}
	return &keptRows{baseResult: a.Result.(*baseResult)}, true, nil
}

// lead asks the base for a flight.
func (w *baseWatch) lead(ctx context.Context, f *cache.Flight, note *exec.Note, ask func() (driver.Rows, error)) (driver.Rows, error) {
	answer, keep, again := cache.Answer{}, false, true
	defer func() { f.Land(answer, keep, again) }() // also when a driver panics
	rows, err := ask()
	if err != nil {
		if err != driver.ErrSkip && w.rc.base.over(ctx, err) && ctx.Err() == nil {
			answer, again = cache.Answer{Err: err}, false // it is the statement's own
		}
		return nil, err
	}
	res, whole, err := takeRows(rows, w.rc.cache.LargestResult())
	switch {
	case !whole:
		note.Alone.Store(readsAlone)
		return w.follow(ctx, &headRows{baseRows: baseRows{rows}, head: res}, baseRun{watch: w, text: readText}), nil
	case err != nil:
		return &keptRows{baseResult: res, err: err, closing: rows.Close()}, nil
	}
	if err := rows.Close(); err != nil {
		return &keptRows{baseResult: res, closing: err}, nil
	}
	answer, keep, again = cache.Answer{Result: res}, true, false
	return &keptRows{baseResult: res}, nil
}

// readText stands for texts that change nothing.
var readText = sqltext.Parse("SELECT 1")

// askedBy is how a text is asked for. What a driver makes of arguments may depend on it.
type askedBy string

const (
	byText askedBy = ""
	byStmt askedBy = "s"
)

// baseKey is what a result of a text with arguments is found by. Of drivers it is not
// known what they make of an argument, so that values are told apart by Go's types, too,
// and by their names: one value more in the key says what they are, where they are not
// those that database/sql makes of most. ok is false if an argument is of a type of which
// nobody knows what makes two of them equal.
func baseKey(text *sqltext.Text, args []driver.NamedValue, by askedBy, values []exec.Value) (k cache.Key, ok bool) {
	k.SQL = text.Stmts[0].SQL
	kinds := string(by)
	for i := range args {
		v, kind, ok := keyValue(args[i].Value)
		if !ok {
			return k, false
		}
		if kind != "" || args[i].Name != "" || args[i].Ordinal != i+1 {
			// The name's length first: whatever a name holds, no two lists are told the same.
			kinds += strconv.Itoa(i) + "," + strconv.Itoa(args[i].Ordinal) + "," + kind + strconv.Itoa(len(args[i].Name)) + ":" + args[i].Name
		}
		values = append(values, v)
	}
	k.Args = append(values, exec.Value{Kind: exec.Text, Text: kinds})
	return k, true
}

// keyValue is a value in a key, with what tells it from others that are written the same.
func keyValue(v driver.Value) (value exec.Value, kind string, ok bool) {
	switch x := v.(type) {
	case nil:
		return exec.Value{}, "", true
	case int64:
		return exec.Value{Kind: exec.Integer, Int: x}, "", true
	case int:
		return exec.Value{Kind: exec.Integer, Int: int64(x)}, "i", true
	case float64:
		return exec.Value{Kind: exec.Float, Float: x}, "", true
	case string:
		return exec.Value{Kind: exec.Text, Text: x}, "", true
	case []byte:
		if x == nil {
			return exec.Value{}, "n", true
		}
		return exec.Value{Kind: exec.Blob, Blob: x}, "", true
	case bool:
		if x {
			return exec.Value{Kind: exec.Text, Text: "true"}, "b", true
		}
		return exec.Value{Kind: exec.Text, Text: "false"}, "b", true
	case time.Time:
		return exec.Value{Kind: exec.Text, Text: x.String() + "\x00" + x.Location().String()}, "t", true
	}
	return exec.Value{}, "", false
}

// plainArgs are arguments by the numbers that SQLite gives to parameters, as far as it is
// certain which argument is for which: nil if it is not, and then no statement is about
// one row.
func plainArgs(text *sqltext.Text, args []driver.NamedValue) []exec.Value {
	if len(text.Stmts) != 1 || len(args) == 0 || len(args) != len(text.Params) {
		return nil
	}
	values := make([]exec.Value, 0, len(args))
	for i := range args {
		v, _, ok := keyValue(args[i].Value)
		if !ok || args[i].Name != "" || args[i].Ordinal != i+1 || text.Params[i].Name != "" {
			return nil
		}
		values = append(values, v)
	}
	return values
}
