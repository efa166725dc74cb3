package shadow

import "strings"

// A plainToken is a piece of a text on which all SQL dialects agree.
type plainToken struct {
	class plainClass
	text  string
}

type plainClass uint8

const (
	plainWord plainClass = iota
	plainQuoted
	plainString
	plainNumber
	plainParam
	plainPunct
)

// plainTokens are those of a text; ok is false if it holds anything that is read in
// different ways: comments, backslashes, dollar quotes, variables, several statements.
func plainTokens(sql string) (toks []plainToken, ok bool) {
	sql = strings.TrimRight(sql, "; \t\r\n")
	for i := 0; i < len(sql); {
		c := sql[i]
		var next string
		if i+1 < len(sql) {
			next = sql[i+1 : i+2]
		}
		class, end := plainPunct, i+1
		switch {
		case c == ' ', c == '\t', c == '\n', c == '\r':
			i++
			continue
		case isDigit(c):
			class, end = plainNumber, extent(sql, i+1, func(c byte) bool { return isName(c) || c == '.' })
		case isName(c):
			class, end = plainWord, extent(sql, i+1, isName)
		case c == '\'', c == '"', c == '`':
			class = plainQuoted
			if c == '\'' {
				class = plainString
			}
			end = closing(sql, i)
			if end < 0 || strings.IndexByte(sql[i:end], '\\') >= 0 {
				return nil, false
			}
		case c == '?':
			class, end = plainParam, extent(sql, i+1, isDigit)
		case c == '$', c == ':':
			class, end = plainParam, extent(sql, i+1, isName)
			if end == i+1 || c == '$' && !isDigit(sql[i+1]) {
				return nil, false
			}
		case c == '-' && next == "-", c == '/' && next == "*":
			return nil, false
		case strings.IndexByte("+-*/%=<>!|,().", c) < 0:
			return nil, false
		}
		toks = append(toks, plainToken{class, sql[i:end]})
		i = end
	}
	return toks, true
}

// closing is where what begins at i with a quote has ended, -1 if it has not. A doubled quote stands
// for itself; whatever is quoted so is no table's name.
func closing(sql string, i int) int {
	for j := i + 1; j < len(sql); j++ {
		if sql[j] != sql[i] {
			continue
		}
		if j+1 == len(sql) || sql[j+1] != sql[i] {
			return j + 1
		}
		j++
	}
	return -1
}

func extent(sql string, i int, in func(byte) bool) int {
	for i < len(sql) && in(sql[i]) {
		i++
	}
	return i
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isName(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c >= 0x80
}
