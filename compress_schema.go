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
// of the views and triggers around them. It is replaced, not changed, but for the
// statements that it remembers.
type compressSchema struct {
	marks sqltext.Marks       // with views
	order map[string][]string // the tables' columns
	asIs  map[string]string   // why a column's values stay as they are
	// broken are the views and tables that no statement can use without misuse.
	broken sqltext.Marks
	why    map[string]*sqltext.Misuse
	asked  time.Time
	failed bool

	mu   sync.Mutex
	uses map[string]*compressUse
}

// A compressUse is what is known of one statement. It is shared.
type compressUse struct {
	lands   []sqltext.Landing
	misses  []sqltext.Miss
	asIs    map[string]string
	refused error
}

const (
	// schemaTrust is how long a schema is believed: others may change it.
	schemaTrust = time.Minute
	// schemaRetry is how long one that could not be asked for is done without.
	schemaRetry = 5 * time.Second
	// useTexts bounds the statements remembered, and useText the length of each.
	useTexts = 512
	useText  = 64 << 10
)

// now is the time, for what is measured.
func now() time.Time { return time.Now() }

// schemaQuery asks for everything at once: tables and views with their texts and
// columns, the triggers and the strict tables.
func (z *compression) schemaQuery() string {
	var names []string
	for table := range z.marks {
		names = append(names, "'"+strings.ReplaceAll(table, "'", "''")+"'")
	}
	in := " IN (" + strings.Join(names, ", ") + ")"
	return "SELECT type, name, tbl_name, sql, 0 FROM sqlite_master WHERE type IN ('view', 'trigger') OR type = 'table' AND lower(name)" + in +
		" UNION ALL SELECT 'column', m.name, p.name, p.type, p.cid FROM sqlite_master m, pragma_table_info(m.name) p" +
		" WHERE m.type = 'table' AND lower(m.name)" + in + " ORDER BY 5"
}

// schemaFor is what is known for a statement, after asking if need be.
func (z *compression) schemaFor(ctx context.Context, s *sqltext.Stmt, ask asker) *compressSchema {
	z.mu.Lock()
	known, changes := z.schema, z.changes
	z.mu.Unlock()
	if known != nil {
		trust := schemaTrust
		if known.failed {
			trust = schemaRetry
		}
		if now().Sub(known.asked) < trust || !z.needsSchema(s) {
			return known
		}
	}
	if !z.needsSchema(s) || ask == nil {
		return z.newSchema(nil)
	}
	rows, err := ask(ctx, z.schemaQuery())
	fresh := z.newSchema(rows)
	fresh.failed = err != nil
	if ctx.Err() == nil {
		z.mu.Lock()
		if z.changes == changes {
			z.schema = fresh
		}
		z.mu.Unlock()
	}
	return fresh
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
	s := &compressSchema{
		marks: sqltext.Marks{}, order: map[string][]string{}, asIs: map[string]string{},
		broken: sqltext.Marks{}, why: map[string]*sqltext.Misuse{}, asked: now(), uses: map[string]*compressUse{},
	}
	for table, cols := range z.marks {
		s.marks[table] = cols
	}
	var views, triggers [][]exec.Value
	for _, r := range rows {
		name := strings.ToLower(r[1].Text)
		switch r[0].Text {
		case "column":
			s.order[name] = append(s.order[name], r[2].Text)
			label := z.marks[name][strings.ToLower(r[2].Text)]
			if decl, _ := splitDecltype(r[3].Text); label != "" && s.asIs[label] == "" {
				if a := affinity(decl); a != affText && a != affBlob {
					s.asIs[label] = skipNumber
				}
			}
		case "table":
			text := strings.ToUpper(r[3].Text)
			if i := strings.LastIndexByte(text, ')'); i >= 0 && strings.Contains(text[i:], "STRICT") {
				for _, label := range z.marks[name] {
					s.asIs[label] = skipStrict
				}
			}
		case "view":
			views = append(views, r)
		case "trigger":
			triggers = append(triggers, r)
		}
	}
	s.readViews(views)
	for _, r := range triggers {
		if u := s.analyse(r[3].Text); u != nil && u.Misuse != nil {
			s.breakTable(strings.ToLower(r[2].Text), "trigger "+r[1].Text, u.Misuse)
		}
	}
	return s
}

// readViews finds the views that give compressed columns, also through others,
// which may come in any order.
func (s *compressSchema) readViews(views [][]exec.Value) {
	for range views {
		for _, r := range views {
			u := s.analyse(r[3].Text)
			name := strings.ToLower(r[1].Text)
			if u == nil {
				continue
			}
			if u.Misuse != nil {
				s.breakTable(name, "view "+r[1].Text, u.Misuse)
			}
			if len(u.Result) > 0 {
				s.marks[name] = u.Result
			}
		}
		if len(views) < 2 {
			return
		}
	}
}

func (s *compressSchema) analyse(sql string) *sqltext.MarkedUse {
	t := sqltext.Parse(sql)
	if len(t.Stmts) != 1 {
		return nil
	}
	return t.Stmts[0].MarkedUse(s.marks, func(string) []string { return nil })
}

// breakTable notes that something in the schema misuses a column whenever a table
// or view is used.
func (s *compressSchema) breakTable(name, by string, m *sqltext.Misuse) {
	s.why[name] = &sqltext.Misuse{Column: m.Column, Why: by + " uses it (" + m.Why + ")"}
	s.broken[name] = map[string]string{"": m.Column}
}

// use is what a statement does, remembered.
func (s *compressSchema) use(st *sqltext.Stmt, z *compression) *compressUse {
	s.mu.Lock()
	u := s.uses[st.SQL]
	s.mu.Unlock()
	if u != nil {
		return u
	}
	m := st.MarkedUse(s.marks, func(table string) []string { return s.order[table] })
	u = &compressUse{lands: m.Lands, misses: m.Misses, asIs: s.asIs}
	switch name := st.Names(s.broken); {
	case m.Misuse != nil:
		u.refused = misuseError(m.Misuse)
	case name != "" && z.needsSchema(st) && (s.order[name] == nil || !st.ReadOnly):
		u.refused = misuseError(s.why[name])
	}
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
