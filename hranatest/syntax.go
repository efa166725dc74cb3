package hranatest

import (
	"errors"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// A syntaxError is what SQLite found wrong with a text in itself, whatever
// tables there are.
type syntaxError struct {
	token      string // the wrong one
	at         int    // where it is
	lexical    bool   // it is no token at all
	incomplete bool   // the text ended too early
}

// syntax compiles a text's first statement without regard to tables, and is nil
// if its syntax is right.
func (p *parser) syntax(sql string) *syntaxError {
	stmt, _, err := p.db.Prepare(sql)
	if err != nil {
		return syntaxErrorOf(err, sql)
	}
	_ = stmt.Close()
	return nil
}

// syntaxErrorOf is nil if err is about anything other than the syntax.
func syntaxErrorOf(err error, sql string) *syntaxError {
	var code sqlite3.ErrorCode
	if !errors.As(err, &code) || code != sqlite3.ERROR {
		return nil
	}
	message := messageOf(err)
	at, located := offsetOf(err, sql)
	if !located {
		at = len(sql)
	}
	if message == "incomplete input" {
		return &syntaxError{at: at, incomplete: true}
	}
	if token, ok := strings.CutPrefix(message, `near "`); ok {
		if token, ok = strings.CutSuffix(token, `": syntax error`); ok {
			return &syntaxError{token: token, at: at}
		}
	}
	if strings.HasPrefix(message, "unrecognized token: ") {
		return &syntaxError{at: at, lexical: true}
	}
	return nil
}

// refusal is the error in sqld's words, at its place in the whole text.
func (e *syntaxError) refusal(sql string, at int) *refusal {
	switch {
	case e.incomplete:
		return parseRefusal("unexpected end of input at " + place(sql, len(sql)))
	case e.lexical:
		return parseRefusal(lexicalError(sql, at) + " at " + place(sql, at))
	}
	end := min(at+len(e.token), len(sql))
	if name := tokenName(e.token); name != "" {
		return parseRefusal("near " + name + `, "None": syntax error at ` + place(sql, end))
	}
	line, col := position(sql, end)
	return parseRefusal("syntax error around L" + itoa(line) + ":" + itoa(col) + ": `" + e.token + "`")
}

// lexicalError says what is wrong with the token at the given place.
func lexicalError(sql string, at int) string {
	rest := sql[min(at, len(sql)):]
	switch {
	case rest == "":
		return "unrecognized token"
	case strings.ContainsRune("'\"`", rune(rest[0])):
		return "non-terminated literal"
	case rest[0] == '[':
		return "non-terminated bracket"
	case rest[0] == 'x' || rest[0] == 'X':
		return "malformed blob literal"
	case rest[0] == '!':
		return "expected = sign"
	case '0' <= rest[0] && rest[0] <= '9':
		return "bad number"
	case strings.ContainsRune("@$#:?", rune(rest[0])):
		return "bad variable name"
	}
	return "unrecognized token"
}

// position is the line and column of an offset, both from 1.
func position(sql string, at int) (line, col int) {
	before := sql[:at]
	return 1 + strings.Count(before, "\n"), at - strings.LastIndexByte(before, '\n')
}

func place(sql string, at int) string {
	line, col := position(sql, at)
	return "(" + itoa(line) + ", " + itoa(col) + ")"
}

// explains reports whether a text is an EXPLAIN.
func explains(sql string) bool {
	t := sqltext.Parse(sql)
	return len(t.Stmts) > 0 && t.Stmts[0].Kind == sqltext.Explain
}
