package shadow

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/ncruces/go-sqlite3"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// An Object is a row of the server's sqlite_schema, by the names of its columns.
// SQL is empty where the row has NULL.
type Object struct{ Type, Name, Table, SQL string }

// A Schema is the server's sqlite_schema, all of its rows in the order in which
// they are stored, and what decides how it works.
type Schema struct {
	// Version is the PRAGMA schema_version at which the objects were read.
	Version int64
	// ForeignKeys: connections enforce foreign keys, so that writes cascade. If
	// it is not known or differs between connections it has to be true: a cascade
	// that does not happen does no harm here.
	ForeignKeys bool
	Objects     []Object
}

// A mirror is a database with the tables, indexes, views and triggers of a Schema
// and no rows.
type mirror struct {
	version int64
	texts   texts
	// What the names of the schema are, in lower case.
	kinds map[string]kind
	// contents are the tables in which a virtual table keeps its content.
	contents map[string][]string
	// words are those in the definitions of tables, in lower case.
	words map[string]bool
	// roots are the root pages of tables and indexes.
	roots map[int]tree
	// partial says what could not be made that writes may depend on, "" if
	// nothing: they are all Unknown then.
	partial string
	// impure says why no read of this database can be Pure.
	impure string

	mu     sync.Mutex // held while db is used
	db     *sqlite3.Conn
	closed bool
	rec    recorder
	prog   program
}

type kind uint8

const (
	kindNone kind = iota // also what could not be made
	kindTable
	kindView
	kindVirtual
	kindContent  // of a virtual table or a vector index
	kindInternal // SQLite's or libSQL's own
)

// A tree is what has a root page.
type tree struct {
	table         string
	index, unique bool
}

var errNotCreate = errors.New("not a CREATE statement")

func newMirror(s Schema) (*mirror, error) {
	db, err := sqlite3.Open(":memory:")
	if err != nil {
		return nil, fmt.Errorf("shadow: open: %w", err)
	}
	m := &mirror{
		version: s.Version, db: db,
		kinds: make(map[string]kind), contents: make(map[string][]string), roots: make(map[int]tree),
		words: make(map[string]bool),
	}
	if err := m.fill(s); err != nil {
		_ = db.Close()
		return nil, err
	}
	return m, nil
}

func (m *mirror) fill(s Schema) error {
	for option, on := range map[sqlite3.DBConfig]bool{
		sqlite3.DBCONFIG_ENABLE_FKEY: s.ForeignKeys,
		// As in sqld: the schema may call every function, "x" may be a string.
		sqlite3.DBCONFIG_TRUSTED_SCHEMA: true,
		sqlite3.DBCONFIG_DQS_DML:        true,
		sqlite3.DBCONFIG_DQS_DDL:        true,
	} {
		if _, err := m.db.Config(option, on); err != nil {
			return fmt.Errorf("shadow: configure: %w", err)
		}
	}
	// Where a connection has them on, REPLACE runs more triggers.
	if err := m.db.Exec("PRAGMA recursive_triggers=on"); err != nil {
		return fmt.Errorf("shadow: configure: %w", err)
	}
	if err := errors.Join(standInFunctions(m.db), standInModules(m.db)); err != nil {
		return fmt.Errorf("shadow: functions: %w", err)
	}
	// What is run now was sent by a server.
	if err := m.db.SetAuthorizer(onlySchema); err != nil {
		return fmt.Errorf("shadow: authorizer: %w", err)
	}
	if err := m.db.Exec("BEGIN"); err != nil {
		return fmt.Errorf("shadow: begin: %w", err)
	}
	m.create(s.Objects)
	if err := m.db.Exec("COMMIT"); err != nil {
		return fmt.Errorf("shadow: commit: %w", err)
	}
	if err := m.catalogue(s.Objects); err != nil {
		return fmt.Errorf("shadow: read back: %w", err)
	}
	return m.db.SetAuthorizer(m.rec.authorize)
}

// onlySchema lets statements pass that make an object, and nothing that would
// read, run or open something.
func onlySchema(action sqlite3.AuthorizerActionCode, _, _, _, _ string) sqlite3.AuthorizerReturnCode {
	switch action {
	case sqlite3.AUTH_ATTACH, sqlite3.AUTH_DETACH, sqlite3.AUTH_PRAGMA, sqlite3.AUTH_SELECT, sqlite3.AUTH_RECURSIVE:
		return sqlite3.AUTH_DENY
	}
	return sqlite3.AUTH_OK
}

// randomRowid is how libSQL says that new rows get rowids by chance. Without it
// the table is the same to whoever asks what a statement touches.
var randomRowid = regexp.MustCompile(`(?i)\sRANDOM\s+ROWID\s*$`)

// create makes the objects, those first that others need: triggers need the
// tables and views that they stand on. Whatever is named in a text and could not
// be made keeps the text from compiling, and is harmless. What works unnamed is
// not: a table may hold the cascades of another, and an index what REPLACE
// replaces.
func (m *mirror) create(objects []Object) {
	for _, round := range []string{"table", "index", "view", "trigger"} {
		for _, o := range objects {
			implicit := o.SQL == "" && o.Type == "index" // that of a UNIQUE or PRIMARY KEY
			if o.Type != round || implicit || strings.HasPrefix(lower(o.Name), "sqlite_") {
				continue
			}
			err := m.run(o.SQL)
			if short := randomRowid.ReplaceAllString(o.SQL, ""); err != nil && short != o.SQL {
				err = m.run(short)
			}
			if err != nil && m.partial == "" && o.Type != "view" && !isVirtual(o) {
				m.partial = fmt.Sprintf("%s %s of the schema is not understood", o.Type, o.Name)
			}
		}
	}
}

func (m *mirror) run(sql string) error {
	t := sqltext.Parse(sql)
	if t.Kind() != sqltext.Create {
		return errNotCreate
	}
	stmt, _, err := m.db.Prepare(t.Stmts[0].SQL)
	if err != nil {
		return err
	}
	return errors.Join(stmt.Exec(), stmt.Close())
}

func isVirtual(o Object) bool {
	const create = "CREATE VIRTUAL"
	return o.Type == "table" && len(o.SQL) > len(create) && strings.EqualFold(o.SQL[:len(create)], create)
}

// catalogue notes what was made, and what the server has whether it was made or
// not.
func (m *mirror) catalogue(objects []Object) error {
	made, err := m.madeObjects()
	if err != nil {
		return err
	}
	for _, o := range objects {
		name := lower(o.Name)
		switch {
		case o.Type != "table" && o.Type != "view":
			continue
		case !made[name]:
			m.kinds[name] = kindNone
		case o.Type == "view":
			m.kinds[name] = kindView
		case isVirtual(o):
			m.kinds[name] = kindVirtual
		default:
			m.kinds[name] = kindTable
		}
		if o.Type == "table" {
			for word := range strings.FieldsFuncSeq(lower(o.SQL), notInName) {
				m.words[word] = true
			}
		}
		if name == "libsql_wasm_func_table" {
			m.impure = "the database has functions of its own"
		}
	}
	m.kinds["sqlite_sequence"] = kindInternal
	m.findContents(objects)
	return nil
}

func notInName(r rune) bool {
	return r != '_' && !('a' <= r && r <= 'z') && !('0' <= r && r <= '9') && r < 0x80
}

func (m *mirror) madeObjects() (map[string]bool, error) {
	if err := m.db.SetAuthorizer(nil); err != nil {
		return nil, err
	}
	stmt, _, err := m.db.Prepare("SELECT s.type, s.name, s.tbl_name, s.rootpage, s.type = 'index' AND EXISTS" +
		` (SELECT 1 FROM pragma_index_list(s.tbl_name) AS i WHERE i.name = s.name AND i."unique") FROM sqlite_schema AS s`)
	if err != nil {
		return nil, err
	}
	made := make(map[string]bool)
	for stmt.Step() {
		kind, name := stmt.ColumnText(0), lower(stmt.ColumnText(1))
		if kind == "table" || kind == "view" {
			made[name] = true
		}
		if root := stmt.ColumnInt(3); root > 0 {
			m.roots[root] = tree{table: lower(stmt.ColumnText(2)), index: kind == "index", unique: stmt.ColumnInt(4) != 0}
		}
	}
	return made, errors.Join(stmt.Err(), stmt.Close())
}

// contentSuffixes end the names of the tables that the virtual tables of known
// modules, and vector indexes, keep their content in.
var contentSuffixes = names("data idx content docsize config segments segdir stat node parent rowid shadow")

// findContents tells tables that somebody else writes to from others: docs_data
// beside a virtual table docs, index_shadow beside a vector index, and libSQL's
// own. Of a virtual table of an unknown module it takes every docs_x for one.
func (m *mirror) findContents(objects []Object) {
	for name, k := range m.kinds {
		if k == kindTable && (strings.HasPrefix(name, "sqlite_") || strings.HasPrefix(name, "libsql_")) {
			m.kinds[name] = kindInternal
		}
	}
	for _, o := range objects {
		owner := lower(o.Name)
		vector := o.Type == "index" && strings.Contains(lower(o.SQL), "libsql_vector_idx")
		if !isVirtual(o) && !vector {
			continue
		}
		known := vector || m.kinds[owner] == kindVirtual
		for name, k := range m.kinds {
			suffix, ok := strings.CutPrefix(name, owner+"_")
			if ok && (k == kindTable || k == kindContent) && (!known || contentSuffixes[suffix]) {
				m.kinds[name] = kindContent
				m.contents[owner] = append(m.contents[owner], name)
			}
		}
	}
}

// lower is a name as SQLite compares it: only A to Z have two cases.
func lower(name string) string {
	for i := 0; i < len(name); i++ {
		if c := name[i]; 'A' <= c && c <= 'Z' {
			b := []byte(name)
			for ; i < len(b); i++ {
				if c := b[i]; 'A' <= c && c <= 'Z' {
					b[i] = c + ('a' - 'A')
				}
			}
			return string(b)
		}
	}
	return name
}

func (m *mirror) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return m.db.Close()
}
