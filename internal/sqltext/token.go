package sqltext

// class is the sort of a token, as far as anything here tells them apart.
type class uint8

const (
	end      class = iota // the text is over
	space                 // white space, a byte order mark, or a comment
	word                  // a keyword or an unquoted identifier
	quoted                // an identifier in "..", `..` or [..]
	str                   // '..'
	blob                  // x'..'
	number                // 12, 0x1F, .5e-3, 1_000
	variable              // ?, ?12, :a, @a, $a, #a
	punct                 // an operator; semicolon, comma, dot and parentheses
	semi                  //   have classes of their own
	comma
	dot
	lparen
	rparen
	illegal // what SQLite refuses: unrecognized token
)

// A token is a piece of the text: sql[start:end].
type token struct {
	start, end int
	class      class
	// open: the text ended before the token did, or might have gone on with it.
	open bool
}

// Character traits, as SQLite's tokenizer has them.
const (
	isDigit uint8 = 1 << iota
	isHex
	isIdent // may stand within an identifier
	isSpace
)

var traits = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c >= '0' && c <= '9':
			t[c] = isDigit | isHex | isIdent
		case c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F':
			t[c] = isHex | isIdent
		case c >= 'g' && c <= 'z' || c >= 'G' && c <= 'Z', c == '_', c == '$', c >= 0x80:
			t[c] = isIdent
		case c == ' ', c >= '\t' && c <= '\r':
			t[c] = isSpace
		}
	}
	return t
}()

// run is the end of the bytes from i on that have a trait.
func run(sql string, i int, trait uint8) int {
	for i < len(sql) && traits[sql[i]]&trait != 0 {
		i++
	}
	return i
}

// at is the byte at i, 0 beyond the text, as in C.
func at(sql string, i int) byte {
	if i < len(sql) {
		return sql[i]
	}
	return 0
}

// next is the token that begins at i. SQLite's text ends at a NUL byte and sqld
// refuses one: here it is illegal, together with all that follows. next accepts
// what the newest SQLite does (1_000, which older ones call illegal) and finds
// the same boundaries as they do.
func next(sql string, i int) token {
	if i >= len(sql) {
		return token{start: i, end: i}
	}
	one := func(c class) token { return token{start: i, end: i + 1, class: c} }
	switch c := sql[i]; c {
	case ' ', '\t', '\n', '\f', '\r':
		// A vertical tab continues white space but does not begin it.
		return token{start: i, end: run(sql, i+1, isSpace), class: space}
	case ';':
		return one(semi)
	case ',':
		return one(comma)
	case '(':
		return one(lparen)
	case ')':
		return one(rparen)
	case '\'':
		return delimited(sql, i, c, str)
	case '"', '`':
		return delimited(sql, i, c, quoted)
	case '[':
		for j := i + 1; j < len(sql); j++ {
			if sql[j] == ']' {
				return token{start: i, end: j + 1, class: quoted}
			}
		}
		return token{start: i, end: len(sql), class: illegal, open: true}
	case '?':
		return token{start: i, end: run(sql, i+1, isDigit), class: variable}
	case ':', '@', '#', '$':
		return named(sql, i)
	case '-', '/':
		return dashOrSlash(sql, i)
	case '+', '*', '%', '&', '~', '=', '<', '>', '!', '|':
		return operator(sql, i)
	case '.':
		if traits[at(sql, i+1)]&isDigit == 0 {
			return one(dot)
		}
		return numeric(sql, i)
	case 'x', 'X':
		if at(sql, i+1) == '\'' {
			return blobAt(sql, i)
		}
	case 0xEF:
		// SQLite takes a byte order mark for white space wherever a token could
		// begin.
		if at(sql, i+1) == 0xBB && at(sql, i+2) == 0xBF {
			return token{start: i, end: i + 3, class: space}
		}
	}
	switch t := traits[sql[i]]; {
	case t&isDigit != 0:
		return numeric(sql, i)
	case t&isIdent != 0:
		return token{start: i, end: run(sql, i+1, isIdent), class: word}
	}
	return one(illegal)
}

// delimited reads a string or identifier between two delimiters; a doubled one
// stands for itself.
func delimited(sql string, i int, delim byte, c class) token {
	for j := i + 1; j < len(sql); j++ {
		if sql[j] != delim {
			continue
		}
		if at(sql, j+1) != delim {
			return token{start: i, end: j + 1, class: c}
		}
		j++
	}
	return token{start: i, end: len(sql), class: illegal, open: true}
}

func blobAt(sql string, i int) token {
	j := run(sql, i+2, isHex)
	c := blob
	if at(sql, j) != '\'' || (j-i)%2 != 0 {
		c = illegal
		for j < len(sql) && sql[j] != '\'' {
			j++
		}
	}
	if j == len(sql) {
		return token{start: i, end: j, class: illegal, open: true}
	}
	return token{start: i, end: j + 1, class: c}
}

// named reads a named parameter. `::` may stand in the name and a bracketed
// suffix after it: the form is Tcl's.
func named(sql string, i int) token {
	n := 0
	for j := i + 1; ; j++ {
		switch c := at(sql, j); {
		case traits[c]&isIdent != 0:
			n++
			continue
		case c == '(' && n > 0:
			for j++; j < len(sql) && sql[j] != ')' && traits[sql[j]]&isSpace == 0; j++ {
			}
			if at(sql, j) == ')' {
				return token{start: i, end: j + 1, class: variable}
			}
			return token{start: i, end: j, class: illegal, open: j == len(sql)}
		case c == ':' && at(sql, j+1) == ':':
			j++
			continue
		}
		if n == 0 {
			return token{start: i, end: j, class: illegal}
		}
		return token{start: i, end: j, class: variable}
	}
}

func dashOrSlash(sql string, i int) token {
	c := at(sql, i+1)
	switch {
	case sql[i] == '-' && c == '-':
		for j := i + 2; j < len(sql); j++ {
			if sql[j] == '\n' {
				return token{start: i, end: j, class: space}
			}
		}
		return token{start: i, end: len(sql), class: space, open: true}
	case sql[i] == '-' && c == '>':
		if at(sql, i+2) == '>' {
			return token{start: i, end: i + 3, class: punct}
		}
		return token{start: i, end: i + 2, class: punct}
	case sql[i] == '/' && c == '*':
		if i+2 == len(sql) {
			// As the last two bytes of a text they are two operators.
			return token{start: i, end: i + 1, class: punct, open: true}
		}
		for j := i + 2; j+1 < len(sql); j++ {
			if sql[j] == '*' && sql[j+1] == '/' {
				return token{start: i, end: j + 2, class: space}
			}
		}
		return token{start: i, end: len(sql), class: space, open: true}
	}
	return token{start: i, end: i + 1, class: punct}
}

func operator(sql string, i int) token {
	n, c := 1, at(sql, i+1)
	switch sql[i] {
	case '=':
		if c == '=' {
			n = 2
		}
	case '<':
		if c == '=' || c == '>' || c == '<' {
			n = 2
		}
	case '>':
		if c == '=' || c == '>' {
			n = 2
		}
	case '!':
		if c != '=' {
			return token{start: i, end: i + 1, class: illegal}
		}
		n = 2
	case '|':
		if c == '|' {
			n = 2
		}
	}
	return token{start: i, end: i + n, class: punct}
}

// numeric reads a number. Whatever letters follow belong to the token, which is
// illegal then.
func numeric(sql string, i int) token {
	j := i
	if sql[i] == '0' && (at(sql, i+1) == 'x' || at(sql, i+1) == 'X') && traits[at(sql, i+2)]&isHex != 0 {
		j = digits(sql, i+2, isHex)
	} else {
		j = digits(sql, i, isDigit)
		if at(sql, j) == '.' {
			j = digits(sql, j+1, isDigit)
		}
		if at(sql, j)|0x20 == 'e' {
			k := j + 1
			if at(sql, k) == '+' || at(sql, k) == '-' {
				k++
			}
			if traits[at(sql, k)]&isDigit != 0 {
				j = digits(sql, k, isDigit)
			}
		}
	}
	if k := run(sql, j, isIdent); k > j {
		return token{start: i, end: k, class: illegal}
	}
	return token{start: i, end: j, class: number}
}

// digits is the end of a run of digits that single underscores may separate.
func digits(sql string, i int, trait uint8) int {
	first := i
	for {
		i = run(sql, i, trait)
		if i == first || at(sql, i) != '_' || traits[at(sql, i+1)]&trait == 0 {
			return i
		}
		i++
	}
}
