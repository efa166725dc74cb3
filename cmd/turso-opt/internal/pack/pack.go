// Package pack estimates what compressing a database's columns would save, and
// converts them both ways.
package pack

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/frame"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// Options say what is done, and to what.
type Options struct {
	// Config is the database's, and its CompressAlgorithm what rewrite compresses by.
	// Its CompressColumns are left out: what is stored has to be seen as it is.
	Config *tursoopt.Config
	// Columns are "table.column"; estimate takes all if there is none.
	Columns []string
	// Min is the length in bytes from which a value is compressed.
	Min int
	// Sample is how many rows of a table estimate looks at.
	Sample int
	// Rows is how many rows one transaction of a conversion changes at most.
	Rows int
	// DryRun counts and changes nothing.
	DryRun bool
	// Force converts a column although something in the schema uses it, or a trigger
	// is set off.
	Force bool
}

// ErrLeft says that rows were left as they were, and the output which.
var ErrLeft = errors.New("some values could not be converted")

// open opens the database so that frames are seen.
func (o *Options) open() (*sql.DB, error) {
	cfg := o.Config.Clone()
	cfg.CompressColumns = nil
	c, err := tursoopt.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}

// look opens the database and finds the columns that are asked for in its schema.
// If there is no error the caller closes the database.
func (o *Options) look(ctx context.Context) (db *sql.DB, s schema, columns []column, err error) {
	if db, err = o.open(); err != nil {
		return nil, s, nil, err
	}
	if s, err = readSchema(ctx, db); err == nil {
		columns, err = s.find(o.Columns)
	}
	if err != nil {
		db.Close()
		return nil, s, nil, err
	}
	return db, s, columns, nil
}

// A column is one of a table.
type column struct {
	table, name, decl string
}

func (c column) String() string { return c.table + "." + c.name }

// object is a definition of the schema.
type object struct{ kind, name, table, text string }

// A schema is what a database says of itself.
type schema struct {
	columns []column
	objects []object
}

func readSchema(ctx context.Context, db *sql.DB) (s schema, err error) {
	err = each(ctx, db, "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name", func(rows *sql.Rows) error {
		var o object
		err := rows.Scan(&o.kind, &o.name, &o.table, &o.text)
		s.objects = append(s.objects, o)
		return err
	})
	if err != nil {
		return s, err
	}
	for _, o := range s.objects {
		if o.kind != "table" || strings.HasPrefix(strings.ToUpper(o.text), "CREATE VIRTUAL") || o.name == stateTable {
			continue
		}
		err := each(ctx, db, "SELECT name, type FROM pragma_table_info(?) ORDER BY cid", func(rows *sql.Rows) error {
			c := column{table: o.name}
			err := rows.Scan(&c.name, &c.decl)
			s.columns = append(s.columns, c)
			return err
		}, o.name)
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

func each(ctx context.Context, db *sql.DB, query string, row func(*sql.Rows) error, args ...any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// find gives the columns that were asked for.
func (s *schema) find(names []string) (found []column, err error) {
	for _, name := range names {
		n := len(found)
		for _, c := range s.columns {
			if strings.EqualFold(c.String(), name) {
				found = append(found, c)
			}
		}
		if len(found) == n {
			return nil, fmt.Errorf("there is no column %s", name)
		}
	}
	return found, nil
}

// holdsText tells whether a column may hold what is compressed.
func (c column) holdsText() bool {
	d := strings.ToUpper(c.decl)
	if strings.Contains(d, "INT") {
		return false
	}
	for _, part := range []string{"CHAR", "CLOB", "TEXT", "BLOB", "JSON"} {
		if strings.Contains(d, part) {
			return true
		}
	}
	return d == ""
}

// breaks says what in the schema would see frames in place of a column's values.
func (s *schema) breaks(c column) (reasons []string) {
	marks := sqltext.Marks{sqltext.Lower(c.table): {sqltext.Lower(c.name): c.String()}}
	var definitions []sqltext.Definition
	for _, o := range s.objects {
		definitions = append(definitions, sqltext.Definition{Kind: o.kind, Name: o.name, Table: o.table, SQL: o.text})
	}
	for _, b := range marks.Schema(definitions).Breaches {
		reasons = append(reasons, b.Kind+" "+b.Name+": "+b.Why)
	}
	for _, o := range s.objects {
		text := strings.ToUpper(o.text)
		i := strings.LastIndexByte(text, ')')
		if o.kind != "table" || o.name != c.table || i < 0 {
			continue
		}
		if strings.Contains(text[i:], "STRICT") {
			reasons = append(reasons, "table "+o.name+": it is STRICT, and its columns take no BLOB but where they are declared so")
		}
	}
	return reasons
}

// rowid is what a column's table calls the rowid by which rewrite and undo go. A
// table's own column may have one of its names, or all. The reason says why there
// is none.
func (s *schema) rowid(c column) (name, reason string) {
	for _, o := range s.objects {
		text := strings.ToUpper(o.text)
		if i := strings.LastIndexByte(text, ')'); o.kind == "table" && o.name == c.table && i >= 0 && strings.Contains(text[i:], "WITHOUT") {
			return "", "table " + c.table + ": it has no rowid, by which rewrite and undo go"
		}
	}
	for _, name := range []string{"rowid", "_rowid_", "oid"} {
		if !slices.ContainsFunc(s.columns, func(own column) bool { return own.table == c.table && strings.EqualFold(own.name, name) }) {
			return name, ""
		}
	}
	return "", "table " + c.table + ": its columns have all the names of the rowid, by which rewrite and undo go"
}

// Doubts says which of the columns that a Config has compressed are not there, and
// what the others break.
func Doubts(ctx context.Context, cfg *tursoopt.Config) (missing, broken []string, err error) {
	o := Options{Config: cfg}
	db, s, _, err := o.look(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer db.Close()
	for _, name := range cfg.CompressColumns {
		found, err := s.find([]string{name})
		if err != nil {
			missing = append(missing, err.Error())
			continue
		}
		for _, r := range s.breaks(found[0]) {
			broken = append(broken, name+" breaks "+r)
		}
	}
	return missing, broken, nil
}

// quote makes an identifier of a name.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// packed is a value as it would be stored; ok is false if that is as it is. A frame
// is compressed again if it is another algorithm's.
func packed(by frame.Algorithm, v any, least int) (f []byte, from int, ok bool) {
	switch x := v.(type) {
	case string:
		if len(x) >= least {
			f, ok = frame.Compress(by, frame.Text, []byte(x))
		}
		return f, len(x), ok
	case []byte:
		if frame.Is(x) {
			if k, plain, err := frame.Decode(x); err == nil { // it is one
				if is := frame.AlgorithmOf(x); is != by && is != frame.Stored {
					f, ok = frame.Compress(by, k, plain)
					ok = ok && frame.AlgorithmOf(f) == by
				}
				return f, len(x), ok
			}
		}
		if len(x) >= least {
			f, ok = frame.Compress(by, frame.Blob, x)
		}
		if !ok && frame.Is(x) {
			var err error
			f, err = frame.Escape(frame.Blob, x)
			ok = err == nil
		}
		return f, len(x), ok
	}
	return nil, 0, false
}

// algorithms are those that values can be compressed by.
var algorithms = map[string]frame.Algorithm{"": frame.LZ4, tursoopt.AlgorithmLZ4: frame.LZ4, tursoopt.AlgorithmZstd: frame.Zstd}
