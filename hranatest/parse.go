package hranatest

import (
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

// A script is a text as sqld understands it: the commands that it reads until
// it meets an error. It is immutable once it is in the cache.
type script struct {
	commands []command
	// err is what is wrong after the last command.
	err error
	// checked: the commands are known to be SQL. A text of one statement that is
	// to be executed at once is not checked, it is compiled anyway.
	checked bool
}

// A command is one statement of a script.
type command struct {
	// sql is the statement with all that stands between it and the one before.
	sql  string
	kind sqltext.Kind
	sets bool // a PRAGMA that may set something
	// writes: a token that may only read is not enough.
	writes bool
}

// read is what sqld makes of a text. If check is false, it may be that the one
// command of the script is not SQL.
func (p *parser) read(sql string, check bool) *script {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.texts[sql]
	if ok && (s.checked || !check) {
		return s
	}
	if at := strings.IndexByte(sql, 0); at >= 0 {
		s = p.nulScript(sql, at)
	} else {
		if !check {
			s = single(sql)
		}
		if s == nil || check {
			s = p.script(sql)
		}
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

// single is a text of one statement that sqld does not refuse, nil if it is not
// that.
func single(sql string) *script {
	t := sqltext.Parse(sql)
	if len(t.Stmts) != 1 || strings.Contains(sql, "/*") {
		return nil
	}
	cmd, err := sort(&t.Stmts[0], compilable(&t.Stmts[0], sql), sql)
	if err != nil {
		return nil
	}
	return &script{commands: []command{cmd}}
}

// script reads a text to its end or to the first error.
//
// sqld's parser looks one statement ahead, and forgets the syntax error that it
// meets while it does so: it goes on behind the token that was wrong. Only if
// it finds an error there too, or if the error is in the first statement, is it
// reported. An error within a token does not go away by trying again.
func (p *parser) script(sql string) *script {
	s := &script{checked: true}
	from := 0
	for ahead := false; ; ahead = true {
		t := sqltext.Parse(sql[from:])
		resumed := false
		for i := range t.Stmts {
			stmt := &t.Stmts[i]
			start, _ := skip(sql, from, true)
			end := start + len(stmt.SQL)
			text := sql[from:end]
			if i == 0 && !ahead {
				text = sql // places in errors are those of the whole text
			}
			text = compilable(stmt, text)
			if bad := p.syntax(text); bad != nil {
				at := from + bad.at
				if i == 0 && !ahead {
					at = bad.at
				}
				if open := openComment(sql, end, at, bad); open >= 0 {
					s.err = unclosed(sql, open)
					return s
				}
				if i == 0 || bad.lexical {
					s.err = bad.refusal(sql, at)
					return s
				}
				if bad.incomplete {
					return s
				}
				from, resumed = at+len(bad.token), true
				break
			}
			cmd, err := sort(stmt, text, sql)
			if err != nil {
				s.err = err
				return s
			}
			after, open := skip(sql, end, false)
			if open >= 0 {
				s.err = unclosed(sql, open)
				return s
			}
			s.commands = append(s.commands, cmd)
			from = min(after+1, len(sql)) // behind the semicolon
		}
		if !resumed {
			break
		}
	}
	if _, open := skip(sql, from, true); open >= 0 {
		s.err = unclosed(sql, open)
	}
	return s
}

// openComment is where a comment begins that does not end and that is the true
// reason of a syntax error at the given place of the statement that ends at end;
// -1 if there is none.
func openComment(sql string, end, at int, bad *syntaxError) int {
	switch {
	case strings.HasSuffix(sql, "/*") && at >= len(sql)-2:
		return len(sql) - 2
	case bad.incomplete:
		_, open := skip(sql, end, false)
		return open
	}
	return -1
}

func unclosed(sql string, open int) *refusal {
	return parseRefusal("non-terminated block comment at " + place(sql, open))
}

// skip is where white space and comments end, and semicolons too if asked for.
// open is where a comment begins that does not end, -1 if there is none: SQLite
// accepts it, sqld does not.
func skip(sql string, at int, semicolons bool) (end, open int) {
	for at < len(sql) {
		switch rest := sql[at:]; {
		case rest == "/*":
			return at, -1 // two operators, to SQLite
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest[2:], "*/")
			if n < 0 {
				return len(sql), at
			}
			at += n + 4
		case strings.HasPrefix(rest, "--"):
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				return len(sql), -1
			}
			at += n
		case strings.IndexByte(" \t\n\f\r", rest[0]) >= 0, semicolons && rest[0] == ';':
			at++
		default:
			return at, -1
		}
	}
	return at, -1
}
