package hranatest

import (
	"regexp"
	"strings"
	"sync"

	"github.com/ncruces/go-sqlite3"

	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// sqld reads every text with a parser of its own before SQLite sees it, refuses
// what it does not want on a shared server, and does not begin a batch that
// holds a text it cannot read. Here the tokenizer sorts statements, and a SQLite
// without any tables says whether a text is SQL at all.

// A parser is used by all streams of a server at once.
type parser struct {
	mu    sync.Mutex
	db    *sqlite3.Conn
	texts map[string]*script
	size  int
}

// The cache is thrown away when it holds this many bytes of text; texts above
// maxText never get into it.
const (
	maxTexts = 1 << 20
	maxText  = 1 << 12
)

func newParser() (*parser, error) {
	db, err := sqlite3.Open(":memory:")
	if err != nil {
		return nil, err
	}
	return &parser{db: db, texts: make(map[string]*script)}, nil
}

func (p *parser) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.db.Close()
}

// A script is a text as sqld understands it. It is immutable once it is in the
// cache.
type script struct {
	sql   string
	stmts []command
	// err is a syntax error in a text without statements.
	err error
	// checked: every command's err is known. Until then only the cheap part is.
	checked bool
}

// A command is one statement of a script.
type command struct {
	sql  string
	kind sqltext.Kind
	sets bool
	// err is why the statement cannot be executed by anybody.
	err error
	// ignored: sqld does not notice that the statement is there. Its parser has
	// met the error at the last token while it looked ahead.
	ignored bool
}

// read sorts a text. If check, it is also known whether its statements are SQL.
func (p *parser) read(sql string, check bool) *script {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.texts[sql]
	if ok && (s.checked || !check) {
		return s
	}
	if !ok {
		s = sort(sql)
	}
	if check || s.refused() {
		s = p.check(s)
	}
	if len(sql) <= maxText {
		if p.size > maxTexts {
			clear(p.texts)
			p.size = 0
		}
		if !ok {
			p.size += len(sql)
		}
		p.texts[sql] = s
	}
	return s
}

func sort(sql string) *script {
	t := sqltext.Parse(sql)
	s := &script{sql: sql, stmts: make([]command, len(t.Stmts))}
	for i := range t.Stmts {
		stmt := &t.Stmts[i]
		cmd := command{sql: stmt.SQL, kind: stmt.Kind}
		if i == 0 && !strings.HasPrefix(strings.TrimSpace(sql), ";") {
			// The places that SQLite names in its errors are those of the whole
			// text.
			cmd.sql = sql
		}
		cmd.sort(stmt)
		s.stmts[i] = cmd
	}
	return s
}

func (s *script) refused() bool {
	for i := range s.stmts {
		if s.stmts[i].err != nil {
			return true
		}
	}
	return false
}

// check is s with the syntax errors of all statements. A syntax error comes
// before any other.
func (p *parser) check(s *script) *script {
	c := &script{sql: s.sql, stmts: append([]command(nil), s.stmts...), checked: true}
	if len(c.stmts) == 0 {
		if at := openComment(s.sql); at >= 0 {
			c.err = parseRefusal("non-terminated block comment at " + place(s.sql, at))
		}
	}
	for i := range c.stmts {
		cmd := &c.stmts[i]
		stmt, _, err := p.db.Prepare(cmd.sql)
		if err == nil {
			_ = stmt.Close()
		} else if r := syntaxError(err, cmd.sql); r != nil {
			cmd.err = r
			cmd.ignored = atEnd(err, cmd.sql)
		}
	}
	return c
}

var (
	temporary     = regexp.MustCompile(`(?is)^create\s+(temp|temporary)\s|^create\s+(virtual\s+)?table\s+(if\s+not\s+exists\s+)?["\x60\[]?temp["\x60\]]?\s*\.`)
	beginReadonly = regexp.MustCompile(`(?is)^begin\s+readonly\b`)
	journalMode   = regexp.MustCompile(`(?is)^pragma\s+(main\s*\.\s*)?journal_mode$`)
	attach        = regexp.MustCompile(`(?is)^attach\s+(?:database\s+)?["\x60\[]?([a-z_][\w-]*)["\x60\]]?\s+(?:as\s+)?\S+$`)
)

// sort finds what sqld does with a statement that it has read.
func (c *command) sort(stmt *sqltext.Stmt) {
	unsupported := false
	switch stmt.Kind {
	case sqltext.Vacuum, sqltext.Analyze:
		unsupported = true
	case sqltext.Create:
		unsupported = temporary.MatchString(stmt.SQL)
	case sqltext.Pragma:
		unsupported = !servedPragma(stmt.SQL)
		c.sets = !stmt.ReadOnly
		if journalMode.MatchString(stmt.SQL) {
			// Whatever it is here, there it is always the log.
			c.sql = "SELECT 'wal' AS journal_mode"
		}
	case sqltext.Begin:
		// It is libSQL's own, and nothing is enforced by it.
		if beginReadonly.MatchString(stmt.SQL) {
			c.sql = "BEGIN"
		}
	case sqltext.Attach:
		unsupported = true
		if m := attach.FindStringSubmatch(stmt.SQL); m != nil {
			c.err = &failure{status: 403, json: true,
				message: "Authorization forbidden: Namespace `" + m[1] + "` doesn't allow attach"}
			return
		}
	}
	if unsupported {
		c.err = parseRefusal("unsupported statement: " + c.sql)
	}
}
