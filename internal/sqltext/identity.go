package sqltext

import "strings"

// A text's identity in a Cache is what is left of it without a trailing
// /* comment */, white space and semicolons: sqlcommenter and its like append a
// different comment every time.
//
// A shortened text is an identity only if it is closed: it ends outside of every
// string, quoted identifier, comment and unfinished parameter. What follows such
// a text is read as if it stood alone, so white space, semicolons and a comment
// add nothing. Nothing that looks like a comment inside of a string can be taken
// for one: the text before it would not be closed. Whether a text is closed was
// found when it was parsed, so a hit needs no reading of sql.

// find is the entry of sql's identity, if it is remembered.
func (c *Cache) find(sql string) *cacheEntry {
	short := trimTail(sql)
	if c.size == 0 || len(short) > cacheMaxText+sqlcommentMax {
		return nil
	}
	if bare, ok := cutComment(short); ok {
		if e := c.lookup(bare); e != nil && e.text.Load().closed {
			return e
		}
	}
	if e := c.lookup(short); e != nil && (e.text.Load().closed || len(short) == len(sql)) {
		return e
	}
	if len(short) != len(sql) {
		return c.lookup(sql)
	}
	return nil
}

// identify parses the shortest form of sql that is closed, or all of it. If it
// is to be kept, it does not refer to sql, which may be a small part of
// something large.
func identify(sql string, keep bool) *Text {
	parse := func(s string) *Text {
		if keep {
			s = strings.Clone(s)
		}
		return Parse(s)
	}
	short := trimTail(sql)
	if bare, ok := cutComment(short); ok {
		if t := parse(bare); t.closed {
			return t
		}
	}
	if t := parse(short); t.closed || len(short) == len(sql) {
		return t
	}
	return parse(sql)
}

// trimTail cuts white space and semicolons off the end.
func trimTail(sql string) string {
	for i := len(sql); i > 0; i-- {
		switch sql[i-1] {
		case ' ', '\t', '\n', '\f', '\r', ';':
		default:
			return sql[:i]
		}
	}
	return ""
}

// cutComment is sql, which has no white space at its end, without what looks
// like a comment there.
func cutComment(sql string) (string, bool) {
	if !strings.HasSuffix(sql, "*/") {
		return sql, false
	}
	body := sql[:len(sql)-2]
	i := strings.LastIndex(body, "/*")
	if i < 0 || strings.Contains(body[i+2:], "*/") {
		return sql, false
	}
	return trimTail(sql[:i]), true
}
