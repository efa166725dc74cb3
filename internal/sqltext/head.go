package sqltext

import "iter"

// A head reads a statement's tokens from the front.
type head struct {
	sql  string
	toks []token
}

// peek is the class of the first token, end if there is none.
func (h *head) peek() class {
	if len(h.toks) == 0 {
		return end
	}
	return h.toks[0].class
}

// text is the first token's.
func (h *head) text() string {
	if len(h.toks) == 0 {
		return ""
	}
	return h.sql[h.toks[0].start:h.toks[0].end]
}

func (h *head) skip() { h.toks = h.toks[1:] }

// is reports whether the first token is a keyword.
func (h *head) is(keyword string) bool {
	return h.peek() == word && fold(h.text(), keyword)
}

// accept skips a keyword and reports whether it was there.
func (h *head) accept(keyword string) bool {
	if h.is(keyword) {
		h.skip()
		return true
	}
	return false
}

// name skips an identifier and reports whether it was there.
func (h *head) name() bool {
	switch h.peek() {
	case word, quoted, str:
		h.skip()
		return true
	}
	return false
}

// parens skips what stands in a pair of parentheses, with them.
func (h *head) parens() bool {
	if h.peek() != lparen {
		return false
	}
	depth := 0
	for len(h.toks) > 0 {
		c := h.peek()
		h.skip()
		switch c {
		case lparen:
			depth++
		case rparen:
			if depth--; depth == 0 {
				return true
			}
		}
	}
	return false
}

// with skips the common table expressions after WITH.
func (h *head) with() bool {
	h.accept("RECURSIVE")
	for {
		if !h.name() {
			return false
		}
		if h.peek() == lparen && !h.parens() {
			return false
		}
		if !h.accept("AS") {
			return false
		}
		h.accept("NOT")
		h.accept("MATERIALIZED")
		if !h.parens() {
			return false
		}
		if h.peek() != comma {
			return true
		}
		h.skip()
	}
}

// find reports whether a keyword stands outside of parentheses.
func (h *head) find(keyword string) bool {
	for i, t := range outside(h.toks) {
		if t.class == word && t.end-t.start == len(keyword) && (i == 0 || h.toks[i-1].class != dot) &&
			fold(h.sql[t.start:t.end], keyword) {
			return true
		}
	}
	return false
}

// outside gives the tokens that stand outside of parentheses, with their indices.
func outside(toks []token) iter.Seq2[int, token] {
	return func(yield func(int, token) bool) {
		depth := 0
		for i, t := range toks {
			switch t.class {
			case lparen:
				depth++
			case rparen:
				depth--
			default:
				if depth <= 0 && !yield(i, t) {
					return
				}
			}
		}
	}
}
