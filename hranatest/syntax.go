package hranatest

import (
	"errors"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// syntaxError is a parse error in sqld's words, nil if err is about anything
// other than the text itself.
func syntaxError(err error, sql string) *refusal {
	var code sqlite3.ErrorCode
	if !errors.As(err, &code) || code != sqlite3.ERROR {
		return nil
	}
	message := messageOf(err)
	at, located := offsetOf(err, sql)
	switch {
	case message == "incomplete input":
		return parseRefusal("unexpected end of input at " + place(sql, len(sql)))
	case strings.HasPrefix(message, `near "`) && strings.HasSuffix(message, `": syntax error`):
		token := message[len(`near "`) : len(message)-len(`": syntax error`)]
		if !located {
			return parseRefusal("syntax error around " + place(sql, len(sql)))
		}
		line, col := position(sql, at+len(token))
		return parseRefusal("syntax error around L" + itoa(line) + ":" + itoa(col) + ": `" + token + "`")
	case strings.HasPrefix(message, "unrecognized token: "):
		return parseRefusal(lexicalError(sql, at) + " at " + place(sql, at))
	}
	return nil
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

// atEnd reports whether a syntax error is at the last token of the text or
// after it.
func atEnd(err error, sql string) bool {
	at, ok := offsetOf(err, sql)
	if !ok {
		return true
	}
	message := messageOf(err)
	token := strings.TrimSuffix(strings.TrimPrefix(message, `near "`), `": syntax error`)
	return strings.TrimRight(sql[at:], " \t\r\n;") == token
}

// openComment is where a comment begins that does not end, -1 if there is none
// in a text that holds nothing but comments. SQLite accepts one, sqld does not.
func openComment(sql string) int {
	for at := 0; at < len(sql); {
		switch rest := sql[at:]; {
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				return at
			}
			at += end + 4
		case strings.HasPrefix(rest, "--"):
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				return -1
			}
			at += end
		default:
			at++
		}
	}
	return -1
}

// explains reports whether a text is an EXPLAIN.
func explains(sql string) bool {
	t := sqltext.Parse(sql)
	return len(t.Stmts) > 0 && t.Stmts[0].Kind == sqltext.Explain
}
