package tursoopt

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"
	"sync"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/frame"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// A compression is what a Connector with CompressColumns does to statements on
// their way to the database, and to values on their way back.
type compression struct {
	min       int
	algorithm frame.Algorithm
	guard     bool
	marks     sqltext.Marks // the columns of the Config

	columns map[string]*compressCounters // by the name in the Config
	others  compressCounters             // of frames whose column is not known
	byName  map[string]*compressCounters // by a column's name alone, where only one has it
	by      [frame.Algorithms]frameCounters

	mu     sync.Mutex
	schema *compressSchema // nil: not known
	// unknown is what is taken for it by statements that need none.
	unknown *compressSchema
	// changes counts what may have changed the schema, so that nobody keeps what
	// was asked for before.
	changes uint64
}

func newCompression(cfg *Config) *compression {
	if len(cfg.CompressColumns) == 0 {
		return nil
	}
	by, _ := algorithm(cfg.CompressAlgorithm) // the Config is valid
	z := &compression{
		min: cfg.compressMin(), algorithm: by, guard: cfg.compressGuard(), marks: sqltext.Marks{},
		columns: map[string]*compressCounters{}, byName: map[string]*compressCounters{},
	}
	for _, name := range cfg.CompressColumns {
		table, column, _ := strings.Cut(sqltext.Lower(name), ".")
		if z.marks[table] == nil {
			z.marks[table] = map[string]string{}
		}
		z.marks[table][column] = name
		c := &compressCounters{}
		z.columns[name] = c
		if _, twice := z.byName[column]; twice {
			c = &z.others
		}
		z.byName[column] = c
	}
	z.unknown = z.newSchema(nil)
	return z
}

// escape keeps blobs that look like frames from being read as such, wherever
// they are stored.
func (z *compression) escape(args []driver.NamedValue) ([]driver.NamedValue, error) {
	copied := false
	for i := range args {
		var b []byte
		switch x := args[i].Value.(type) {
		case []byte:
			if !frame.Is(x) {
				continue
			}
			b = x
		case framedBlob:
			// Whoever reads it will undo one frame more than it has.
			if _, inner, err := frame.Decode(x); err != nil || !frame.Is(inner) {
				continue
			}
			b = x
		default:
			continue
		}
		f, err := frame.Escape(frame.Blob, b)
		if err != nil {
			return nil, fmt.Errorf("turso-opt: %w", err)
		}
		if !copied {
			args, copied = append([]driver.NamedValue(nil), args...), true
		}
		args[i].Value = framedBlob(f)
	}
	return args, nil
}

// uses is what the statements of a text do with compressed columns; the error
// refuses the text. later is what the statements before it, which are sent with it,
// make of the schema: nil if they leave it as it is. What follows gets the one given back.
func (z *compression) uses(ctx context.Context, text *sqltext.Text, ask asker, later *compressSchema) ([]*compressUse, *compressSchema, error) {
	all := make([]*compressUse, len(text.Stmts))
	for i := range text.Stmts {
		st := &text.Stmts[i]
		schema := later
		if later == nil {
			schema = z.schemaFor(ctx, st, ask)
			all[i] = schema.use(st)
		} else {
			all[i] = schema.analyse(st)
		}
		switch {
		case !z.guard:
		case all[i].refused != nil:
			return nil, nil, all[i].refused
		case schema.failed != nil && z.needsSchema(st):
			// A view or a trigger that is not known may use a column.
			return nil, nil, fmt.Errorf("turso-opt: what has to be known of the schema for compress_columns could not be asked for "+
				"(compress_guard=off does without): %w", schema.failed)
		}
		if changes(st) {
			later = schema.after(all[i])
		}
	}
	return all, later, nil
}

// apply compresses the parameters of a statement that land in compressed columns.
func (z *compression) apply(u *compressUse, args []exec.Value) {
	for _, l := range u.lands {
		if l.Param > len(args) {
			continue
		}
		v := &args[l.Param-1]
		switch v.Kind {
		case exec.Text:
			if f := z.pack(l.Column, u.asIs[l.Param], frame.Text, bytesOf(v.Text)); f != nil {
				*v = exec.Value{Kind: exec.Blob, Blob: f}
			}
		case exec.Blob:
			if f := z.pack(l.Column, u.asIs[l.Param], frame.Blob, v.Blob); f != nil {
				*v = exec.Value{Kind: exec.Blob, Blob: f}
			}
		}
	}
	z.missed(u)
}

// missed counts what is stored as it is although it may land in a column.
func (z *compression) missed(u *compressUse) {
	for _, m := range u.misses {
		z.columns[m.Column].skip(m.Why)
	}
}

// Why a value is stored as it is, beside sqltext's reasons.
const (
	skipShort  = "shorter than compress_min"
	skipGain   = "no gain"
	skipLong   = "longer than 64 MiB"
	skipFrame  = "a frame already"
	skipStrict = "the table is STRICT"
	skipNumber = "the column is numeric, and text in it may become a number"
	skipScript = "several statements in one text"
)

// pack is a value as a frame, nil if it is stored as it is.
func (z *compression) pack(column, asIs string, k frame.Kind, value []byte) []byte {
	c := z.columns[column]
	switch {
	case asIs != "":
		c.skip(asIs)
	case k == frame.Blob && frame.Is(value):
		c.skip(skipFrame)
	case len(value) < z.min:
		c.skip(skipShort)
	case len(value) > frame.MaxLength:
		c.skip(skipLong)
	default:
		start := now()
		f, ok := frame.Compress(z.algorithm, k, value)
		took := now().Sub(start)
		if !ok {
			c.packTime.Add(int64(took))
			c.skip(skipGain)
			return nil
		}
		c.storedOne(len(value), len(f), took)
		z.by[frame.AlgorithmOf(f)].storedOne(len(value), len(f), took)
		return f
	}
	return nil
}

// unpack gives the value of a blob that begins like a frame, a string or a
// []byte. The column's name is the result's.
func (z *compression) unpack(column string, b []byte) (driver.Value, error) {
	start := now()
	k, v, err := frame.Decode(b)
	if err != nil {
		return nil, fmt.Errorf("turso-opt: column %s: %w", column, err)
	}
	c := z.byName[sqltext.Lower(column)]
	if c == nil {
		c = &z.others
	}
	took := now().Sub(start)
	c.readOne(len(b), len(v), took)
	z.by[frame.AlgorithmOf(b)].readOne(len(b), len(v), took)
	if k == frame.Text {
		return stringOf(v), nil
	}
	return v, nil
}

// misuseError refuses a statement.
func misuseError(m *sqltext.Misuse) error {
	return fmt.Errorf("turso-opt: column %s is compressed, and %s: it would see the compressed form; "+
		"compress_guard=off lets the statement run all the same", m.Column, m.Why)
}

// needsSchema tells whether a statement may use columns of tables that are there.
// A definition does if it holds a query.
func (z *compression) needsSchema(s *sqltext.Stmt) bool {
	switch s.Kind {
	case sqltext.Create:
		return strings.Contains(strings.ToUpper(s.SQL), "SELECT")
	case sqltext.Select, sqltext.Values, sqltext.Insert, sqltext.Replace, sqltext.Update, sqltext.Delete, sqltext.Unknown:
		return true
	}
	return false
}

// checkNamedValue converts an argument on the native base.
func (c *Connector) checkNamedValue(nv *driver.NamedValue) error {
	if err := c.compression.checkBulk(nv); err != nil {
		return err
	}
	return checkNamedValue(nv)
}

// checkBulk refuses rows as one text if a column of them is compressed.
func (z *compression) checkBulk(nv *driver.NamedValue) error {
	j, ok := nv.Value.(bulkJSON)
	if !ok || z == nil {
		return nil
	}
	table := sqltext.Lower(j.table)
	cols := z.marks[table[strings.LastIndexByte(table, '.')+1:]]
	for _, name := range j.columns {
		if cols[sqltext.Lower(name)] != "" {
			return errListed
		}
	}
	return nil
}
