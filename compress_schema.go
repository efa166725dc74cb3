package tursoopt

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// A compressSchema is what a database says of the compressed columns' tables, and
// of what is defined around them. It is replaced, not changed, but for the
// statements that it remembers.
type compressSchema struct {
	*sqltext.MarkedSchema
	order  map[string][]string // the tables' columns
	asIs   map[string]string   // why a column's values stay as they are
	asked  time.Time
	failed error // why it is not known

	mu   sync.Mutex
	uses map[string]*compressUse
}

// A compressUse is what is known of one statement. It is shared.
type compressUse struct {
	lands   []sqltext.Landing
	misses  []sqltext.Miss
	asIs    map[int]string // why a parameter stays as it is
	refused error
	view    string // a view that it makes of compressed columns
	cols    map[string]string
}

const (
	// schemaTrust is how long a schema is believed: others may change it.
	schemaTrust = time.Minute
	// schemaRetry is how long one that could not be asked for is done without, if
	// nothing has to be guarded.
	schemaRetry = 5 * time.Second
	// useTexts bounds the statements remembered, and useText the length of each.
	useTexts = 512
	useText  = 64 << 10
)

// now is the time, for what is measured.
func now() time.Time { return time.Now() }

// schemaQuery asks for everything at once: the definitions that may have to do with
// the tables, and the tables' columns.
func (z *compression) schemaQuery() string {
	var names []string
	for table := range z.marks {
		names = append(names, "'"+strings.ReplaceAll(table, "'", "''")+"'")
	}
	in := " IN (" + strings.Join(names, ", ") + ")"
	return "SELECT type, name, tbl_name, sql, 0 FROM sqlite_master WHERE type IN ('view', 'trigger') OR type = 'index' AND lower(tbl_name)" + in +
		" OR type = 'table' AND (lower(name)" + in + " OR sql LIKE 'CREATE VIRTUAL%' OR sql LIKE '%REFERENCES%')" +
		" UNION ALL SELECT 'column', m.name, p.name, p.type, p.cid FROM sqlite_master m, pragma_table_info(m.name) p" +
		" WHERE m.type = 'table' AND lower(m.name)" + in + " ORDER BY 5"
}

// An asker asks a database for its schema.
type asker struct {
	query func(ctx context.Context, query string) ([][]exec.Value, error)
	// own is the schema as only the session sees it, which has changed it in a
	// transaction; nil if it has not.
	own **compressSchema
}

// schemaFor is what is known for a statement, after asking if need be.
func (z *compression) schemaFor(ctx context.Context, s *sqltext.Stmt, ask asker) *compressSchema {
	if ask.own != nil {
		return z.ownSchema(ctx, s, ask)
	}
	z.mu.Lock()
	known, changes := z.schema, z.changes
	z.mu.Unlock()
	if known != nil && (now().Sub(known.asked) < known.trust() || !z.needsSchema(s)) {
		return known
	}
	if !z.needsSchema(s) {
		return z.unknown
	}
	fresh := z.askFor(ctx, ask)
	if ctx.Err() == nil && (fresh.failed == nil || !z.guard) {
		z.mu.Lock()
		if z.changes == changes {
			z.schema = fresh
		}
		z.mu.Unlock()
	}
	return fresh
}

// ownSchema is schemaFor a session that sees another schema than everybody else.
func (z *compression) ownSchema(ctx context.Context, s *sqltext.Stmt, ask asker) *compressSchema {
	switch {
	case *ask.own != nil:
	case !z.needsSchema(s):
		return z.unknown
	default:
		fresh := z.askFor(ctx, ask)
		if fresh.failed != nil {
			return fresh
		}
		*ask.own = fresh
	}
	return *ask.own
}

func (z *compression) askFor(ctx context.Context, ask asker) *compressSchema {
	rows, err := ask.query(ctx, z.schemaQuery())
	s := z.newSchema(rows)
	s.failed = err
	return s
}

// trust is how long a schema is believed.
func (s *compressSchema) trust() time.Duration {
	if s.failed != nil {
		return schemaRetry
	}
	return schemaTrust
}

// forget is for when the schema may have changed.
func (z *compression) forget() {
	z.mu.Lock()
	z.schema = nil
	z.changes++
	z.mu.Unlock()
}

// newSchema reads the answer to schemaQuery.
func (z *compression) newSchema(rows [][]exec.Value) *compressSchema {
	s := &compressSchema{order: map[string][]string{}, asIs: map[string]string{}, asked: now(), uses: map[string]*compressUse{}}
	var definitions []sqltext.Definition
	for _, r := range rows {
		name := sqltext.Lower(r[1].Text)
		if r[0].Text != "column" {
			definitions = append(definitions, sqltext.Definition{Kind: r[0].Text, Name: r[1].Text, Table: r[2].Text, SQL: r[3].Text})
			if r[0].Text == "table" && isStrict(r[3].Text) {
				for _, label := range z.marks[name] {
					s.asIs[label] = skipStrict
				}
			}
			continue
		}
		s.order[name] = append(s.order[name], r[2].Text)
		label := z.marks[name][sqltext.Lower(r[2].Text)]
		if decl, _ := splitDecltype(r[3].Text); label != "" && s.asIs[label] == "" {
			if a := affinity(decl); a != affText && a != affBlob {
				s.asIs[label] = skipNumber
			}
		}
	}
	s.MarkedSchema = z.marks.Schema(definitions)
	return s
}

// isStrict tells whether a table's definition makes it a STRICT one.
func isStrict(sql string) bool {
	text := strings.ToUpper(sql)
	i := strings.LastIndexByte(text, ')')
	return i >= 0 && strings.Contains(text[i:], "STRICT")
}

// use is what a statement does, remembered.
func (s *compressSchema) use(st *sqltext.Stmt) *compressUse {
	s.mu.Lock()
	u := s.uses[st.SQL]
	s.mu.Unlock()
	if u != nil {
		return u
	}
	u = s.analyse(st)
	if len(st.SQL) <= useText {
		s.mu.Lock()
		if len(s.uses) >= useTexts {
			clear(s.uses)
		}
		s.uses[st.SQL] = u
		s.mu.Unlock()
	}
	return u
}

func (s *compressSchema) analyse(st *sqltext.Stmt) *compressUse {
	m := s.Use(st, func(table string) []string { return s.order[table] })
	u := &compressUse{lands: m.Lands, misses: m.Misses, asIs: map[int]string{}, view: m.View, cols: m.Result}
	for _, l := range m.Lands {
		if why := s.asIs[l.Column]; why != "" {
			u.asIs[l.Param] = why
		}
	}
	if m.Misuse != nil {
		u.refused = misuseError(m.Misuse)
	}
	return u
}

// changes tells whether a statement may change the schema.
func changes(st *sqltext.Stmt) bool {
	switch st.Kind {
	case sqltext.Create, sqltext.Drop, sqltext.Alter, sqltext.Unknown:
		return true
	}
	return false
}

// after is the schema for what follows a statement in the same text: the database
// cannot be asked in between. The order of the columns is not believed any more.
func (s *compressSchema) after(u *compressUse) *compressSchema {
	next := &compressSchema{MarkedSchema: s.MarkedSchema, asIs: s.asIs, asked: s.asked, failed: s.failed, uses: map[string]*compressUse{}}
	if u.view != "" {
		next.MarkedSchema = s.With(u.view, u.cols)
	}
	return next
}
