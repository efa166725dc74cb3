package sqltext

import "strings"

// redactedMax is where Redact cuts, in bytes.
const redactedMax = 512

// Redact is a text for logs and errors: its literals (strings, blobs, numbers)
// are replaced by ?, comments are dropped, white space is a single blank, and
// beyond about 512 bytes it is cut and ends in "...". What SQLite could not read
// as a token is taken for data too. Identifiers stay, in double quotes as well.
func Redact(sql string) string {
	var b strings.Builder
	sc := scanner{sql: sql, nul: strings.IndexByte(sql, 0)}
	at := 0
	for {
		t := sc.token()
		if t.class == end {
			return b.String()
		}
		if b.Len() > 0 && t.start > at {
			b.WriteByte(' ')
		}
		at = t.end
		piece := sql[t.start:t.end]
		switch t.class {
		case str, blob, number, illegal:
			piece = "?"
		}
		if b.Len()+len(piece) > redactedMax {
			b.WriteString("...")
			return b.String()
		}
		b.WriteString(piece)
	}
}
