package hranatest

import (
	"strings"

	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// nulScript is a text with a NUL byte at the given place, where SQLite believes
// that it ends. sqld's parser does not: between two tokens it refuses the byte,
// within a literal or a comment it lets it pass, and SQLite says what it thinks
// of half a literal.
func (p *parser) nulScript(sql string, at int) *script {
	if within(sql[:at]) {
		s := &script{checked: true}
		for _, stmt := range sqltext.Parse(sql).Stmts {
			s.commands = append(s.commands, command{sql: sql, kind: stmt.Kind, writes: writes(stmt.Kind)})
		}
		return s
	}
	before := p.script(sql[:at])
	s := &script{checked: true, err: parseRefusal("unrecognized token at " + place(sql, at))}
	if before.err == nil && strings.HasSuffix(strings.TrimSpace(sql[:at]), ";") {
		s.commands = before.commands
	}
	return s
}

// within reports whether a text ends within a literal, a quoted name or a
// comment.
func within(sql string) bool {
	for sql != "" {
		closing := ""
		switch sql[0] {
		case '\'', '"', '`':
			closing = sql[:1]
		case '[':
			closing = "]"
		case '-':
			if strings.HasPrefix(sql, "--") {
				closing = "\n"
			}
		case '/':
			if strings.HasPrefix(sql, "/*") {
				sql, closing = sql[1:], "*/"
			}
		}
		sql = sql[1:]
		if closing != "" {
			_, rest, ok := strings.Cut(sql, closing)
			if !ok {
				return true
			}
			sql = rest
		}
	}
	return false
}
