package sqltext

import "strings"

// redactedMax is where Redact cuts, in bytes.
const redactedMax = 512

// Redact is a text for logs and errors: its literals (strings, blobs, numbers)
// are replaced by ?, comments are dropped, white space is a single blank, and
// beyond about 512 bytes it is cut and ends in "...".
//
// In doubt it is data: what SQLite could not read as a token, a name in double
// quotes where a string may stand (many SQLites take it for one), and
// everything from the first literal on in a text whose quotes do not match, as
// they do not if somebody has put 'O'Brien' together.
func Redact(sql string) string {
	var b strings.Builder
	var names nameFinder
	sc := scanner{sql: sql, nul: strings.IndexByte(sql, 0)}
	broken := misquoted(sc)
	at := 0
	for t := sc.token(); t.class != end; {
		following := sc.token()
		piece := sql[t.start:t.end]
		isName := names.next(sql, t, following)
		switch t.class {
		case quoted:
			if sql[t.start] == '"' && !isName {
				piece = "?"
			}
		case str, blob, number, illegal:
			piece = "?"
		}
		if b.Len() > 0 && t.start > at {
			b.WriteByte(' ')
		}
		at = t.end
		if b.Len()+len(piece) > redactedMax {
			b.WriteString("...")
			break
		}
		b.WriteString(piece)
		if broken && piece == "?" && t.class != variable {
			b.WriteString("...")
			break
		}
		t = following
	}
	return b.String()
}

// misquoted reports whether a quote is missing its other one, or whether
// something follows a closing quote as only more of the string would.
func misquoted(sc scanner) bool {
	last := token{end: -1}
	for {
		t := sc.token()
		switch t.class {
		case end:
			return false
		case illegal:
			if t.open {
				return true
			}
			fallthrough
		case word, quoted, str, blob, number, variable:
			switch last.class {
			case quoted, str, blob, illegal:
				if last.end == t.start {
					return true
				}
			}
		}
		last = t
	}
}
